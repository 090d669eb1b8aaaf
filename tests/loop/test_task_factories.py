"""Programs set task factories on their loop: coroutine handlers are served with whatever there is."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from typing import Any, Callable

import httpx
import pytest

from socketify import ASGI, App, Request, Response
from socketify.loop.event_loop import new_event_loop


class _Task(asyncio.Task):  # type: ignore[type-arg]
    """A task of somebody's own."""


class _NoTask(asyncio.Future):  # type: ignore[type-arg]
    """Something that runs a coroutine, and is no task."""

    def __init__(self, loop: asyncio.AbstractEventLoop, coroutine: Any) -> None:
        super().__init__(loop=loop)
        task = asyncio.Task(coroutine, loop=loop)
        task.add_done_callback(lambda task: self.cancel() if task.cancelled() else self.set_result(task.result()))


def _refuses(_loop: Any, coroutine: Any, **_keywords: Any) -> Any:
    coroutine.close()
    raise RuntimeError("no tasks here")


FACTORIES: dict[str, Any] = {
    "none": None,
    "without keywords": lambda loop, coroutine: asyncio.Task(coroutine, loop=loop),
    "with keywords": lambda loop, coroutine, **keywords: _Task(coroutine, loop=loop, **keywords),
    "no task": lambda loop, coroutine, **_keywords: _NoTask(loop, coroutine),
    "refuses": _refuses,
}
if sys.version_info >= (3, 12):
    FACTORIES["eager"] = asyncio.eager_task_factory

every_factory = pytest.mark.parametrize("name", FACTORIES)
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop, "usual": new_event_loop}


async def waits(res: Response, _req: Request) -> None:
    await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    await asyncio.sleep(0.001)
    res.end("waited" if asyncio.current_task() is task else "another task")


async def at_once(res: Response, _req: Request) -> None:
    res.end("at once")


def child(res: Response, _req: Request) -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        res.end("child")

    res.run_async(work())


@pytest.fixture
def run() -> Iterator[Callable[..., str]]:
    stops: list[Callable[[], None]] = []

    def start(build: Callable[[], App], loop_factory: Any, factory: Any, debug: bool = False) -> str:
        ready = threading.Event()
        ports: list[int] = []
        apps: list[App] = []

        def prepare() -> None:
            asyncio.get_running_loop().set_task_factory(factory)
            asyncio.get_running_loop().set_debug(debug)

        def main() -> None:
            app = build()
            apps.append(app)
            app.on_start(prepare)
            app.on_start(ready.set)
            app.listen(0, lambda config: ports.append(config.port))
            app.run(loop_factory)

        def stop() -> None:
            apps[0].close()
            thread.join(20)
            assert not thread.is_alive()

        thread = threading.Thread(target=main)
        thread.start()
        stops.append(stop)
        assert ready.wait(10)
        return f"http://127.0.0.1:{ports[0]}"

    yield start
    for stop in stops:
        stop()


@pytest.mark.parametrize("debug", [False, True], ids=["", "debug"])
@pytest.mark.parametrize("loop", LOOPS)
@every_factory
def test_handlers(run: Callable[..., str], name: str, loop: str, debug: bool) -> None:
    url = run(
        lambda: App().get("/waits", waits).get("/at-once", at_once).get("/child", child), LOOPS[loop], FACTORIES[name], debug
    )
    for _ in range(2):
        assert httpx.get(url + "/waits").text == "waited"
        assert httpx.get(url + "/at-once").text == "at once"
        assert httpx.get(url + "/child").text == "child"


@pytest.mark.parametrize("loop", LOOPS)
@every_factory
def test_asgi(run: Callable[..., str], name: str, loop: str) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"waited"})

    url = run(lambda: ASGI(application, lifespan="on").native_app, LOOPS[loop], FACTORIES[name])
    assert httpx.get(url).text == "waited"
