"""``--loop``: which event loop serves an application, whatever the program began before, or chose itself."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import httpx
import pytest

HAS_UVLOOP = importlib.util.find_spec("uvloop") is not None
ASYNCIO = "asyncio.unix_events._UnixSelectorEventLoop"
AUTO = "uvloop.Loop" if HAS_UVLOOP else ASYNCIO

PROGRAM = """
import asyncio, selectors

class OwnLoop(asyncio.SelectorEventLoop):
    pass

def make():
    return OwnLoop(selectors.SelectSelector())

class Policy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self):
        return make()

def name(loop):
    return f"{type(loop).__module__}.{type(loop).__qualname__}"

def run(app):
    async def begun():
        begun_on.append(asyncio.get_running_loop())
        await asyncio.sleep(0)

    begun_on = []
    future = app.loop.create_future()
    app.run_async(begun())

    async def tell(res, req):
        loop = asyncio.get_running_loop()
        same = begun_on[0] is loop is future.get_loop() is app.loop.loop
        res.end(f"{name(loop)} {same}")

    app.get("/", tell)
    return app

async def asgi(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": name(asyncio.get_running_loop()).encode() + b" True"})

def fails():
    raise ValueError("on purpose")

def nothing():
    pass

def used_up():
    return closed

async def late():
    return make()

closed = make()
closed.close()
"""
WITH_POLICY = "import loops, asyncio\nasyncio.set_event_loop_policy(loops.Policy())\nfrom loops import run\n"


@pytest.fixture(autouse=True)
def programs(tmp_path: Path) -> None:
    (tmp_path / "loops.py").write_text(PROGRAM)
    (tmp_path / "policy.py").write_text(WITH_POLICY)
    (tmp_path / "uv.py").write_text("import uvloop\nuvloop.install()\nfrom loops import run\n")


@pytest.mark.parametrize(
    ("arguments", "loop"),
    [
        (["loops:run"], AUTO),
        (["loops:run", "--loop", "asyncio"], ASYNCIO),
        (["loops:run", "--loop", "loops:make"], "loops.OwnLoop"),
        (["loops:asgi", "--loop", "loops:OwnLoop", "--lifespan", "off"], "loops.OwnLoop"),
        (["loops:run", "--loop", "loops:make", "--workers", "2"], "loops.OwnLoop"),
        (["policy:run"], "loops.OwnLoop"),
        (["policy:run", "--loop", "asyncio"], ASYNCIO),
        pytest.param(
            ["policy:run", "--loop", "uvloop"],
            "uvloop.Loop",
            marks=pytest.mark.skipif(not HAS_UVLOOP, reason="uvloop is not installed"),
        ),
    ],
)
def test_the_chosen_loop_serves_and_is_there_before(command: Any, arguments: list[str], loop: str) -> None:
    running = command(*arguments, "--port", "0")
    assert httpx.get(running.url).text == f"{loop} True"
    assert running.stop() == 0


@pytest.mark.skipif(not HAS_UVLOOP, reason="uvloop is not installed")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_program_that_installs_uvloop_gets_it(command: Any) -> None:
    running = command("uv:run", "--port", "0")
    assert httpx.get(running.url).text == "uvloop.Loop True"
    assert running.stop() == 0


@pytest.mark.parametrize(
    ("loop", "said"),
    [
        ("twisted", "must be auto, asyncio, uvloop, or module:factory, not 'twisted'"),
        ("nowhere:make", "--loop: there is no module 'nowhere'"),
        ("loops:nothing", "--loop: loops:nothing must make an event loop, not NoneType"),
        ("loops:closed", "--loop: loops:closed must be a function that makes an event loop, not OwnLoop"),
        ("loops:nothing_made", "--loop: module 'loops' has no attribute 'nothing_made'"),
        ("loops:fails", "--loop: loops:fails failed: ValueError: on purpose (loops.py, line"),
        ("builtins:dict", "--loop: builtins:dict must make an event loop, not dict"),
        ("loops:used_up", "--loop: loops:used_up must make an event loop, not OwnLoop that is closed or runs already"),
        ("loops:late", "--loop: loops:late must make an event loop, not coroutine"),
    ],
)
def test_what_makes_no_loop_is_refused_in_one_line(command: Any, loop: str, said: str) -> None:
    running = command("loops:run", "--port", "0", "--loop", loop)
    assert running.process.wait(20) == 2
    assert said in running.said
    assert len(running.said.splitlines()) == 1
