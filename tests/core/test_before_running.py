"""What programs do with the event loop before they serve."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, sys, urllib.request
from socketify import App

{imports}
app = App()
seen = []

async def before():
    seen.append("before")
    await asyncio.sleep(0)
    seen.append(asyncio.get_running_loop() is app.loop.loop)
    future.set_result("made before")

async def ask():
    seen.append(await future)
    seen.append(await asyncio.to_thread(lambda: urllib.request.urlopen(url).read().decode()))
    app.loop.set_timeout(1, end, "ended")

async def end(data):
    seen.append(data)
    app.loop.stop()

async def fails():
    raise LookupError("on purpose")

app.on_error(lambda error, res, req: seen.append(repr(error)))
app.get("/", lambda res, req: res.end("served"))
app.listen(0, lambda config: globals().update(url=f"http://127.0.0.1:{{config.port}}/"))
{begin}
assert not app.loop.started
app.loop.run()
print(seen, app.loop.loop, app.socket)
"""
OWN = "future = app.loop.create_future(); app.run_async(before()); app.loop.ensure_future(fails()); app.loop.create_task(ask())"
MADE = """
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
future = loop.create_future()
loop.create_task(before()), loop.create_task(ask())
app.run_async(fails())
"""
GIVEN = "app.loop.set_event_loop(asyncio.new_event_loop()); " + OWN
COMPLETED = OWN + "; assert app.loop.run_until_complete(asyncio.sleep(0, 5)) == 5"


@pytest.mark.parametrize("begin", [OWN, MADE, GIVEN, COMPLETED], ids=["own", "made", "given", "completed"])
@pytest.mark.parametrize("imports", ["", "sys.modules['uvloop'] = None"], ids=["", "without uvloop"])
def test_work_before_running_is_done_by_the_loop_that_serves(begin: str, imports: str) -> None:
    program = PROGRAM.format(begin=begin, imports=imports)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    # An error handler that has no response to answer has not settled the error.
    assert done.stderr.count("Traceback") == done.stderr.count("LookupError: on purpose") == 1, done.stderr
    assert done.stdout.startswith("["), done.stdout
    seen, rest = done.stdout.rsplit("] ", 1)
    assert rest.split() == ["None", "None"]
    assert sorted(seen[1:].split(", ")) == sorted(
        ["'before'", "True", "'made before'", "'served'", "'ended'", "\"LookupError('on purpose')\""]
    )


def test_what_is_wrong_is_told() -> None:
    program = """
import asyncio, threading
import pytest
from socketify import App

async def nothing():
    pass

app = App()
with pytest.raises(ValueError, match="timeout must be milliseconds"):
    app.loop.set_timeout(-1, print)
with pytest.raises(TypeError, match="run_async takes a coroutine, not int"):
    app.loop.create_background_task(5)
others = []
thread = threading.Thread(target=lambda: others.append(app.loop.loop))
thread.start(); thread.join()
assert others == [None]
app.close()
assert app.loop.loop is None
for use in (app.loop.create_future, lambda: app.run_async(nothing()), lambda: app.loop.run_until_complete(nothing())):
    with pytest.raises(RuntimeError, match="the app is closed"):
        use()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
