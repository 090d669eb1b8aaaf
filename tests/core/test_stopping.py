"""Signals, time-outs and what is left at the end, in real processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest
from server_programs import GET, LOOPS, Program, environment

from socketify import App

BEGIN = "import asyncio, os, signal, sys, threading, time\nfrom socketify import App, ASGI, Limits\n"
LISTEN = "app.listen(0, lambda config: print(config.port, flush=True))\n"
#: The port is told when signals are listened to.
SERVED = "ports = []\napp.listen(0, lambda config: ports.append(config.port)).on_start(lambda: print(ports[0], flush=True))\n"
RUN_LOOP = "app.run(LOOP)\n"
RUN = SERVED + RUN_LOOP
both_loops = pytest.mark.parametrize("loop", LOOPS)


def wait_for(program: Program, line: str) -> None:
    assert program.stdout.readline() == line + "\n", program.errors


def wait_until_served(program: Program, request: bytes = GET) -> None:
    while True:
        with contextlib.suppress(ConnectionError), program.connect(request) as connection:
            if connection.recv(1000):
                return


# ---- handlers that wait for ever


@both_loops
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_start_handler_that_waits_for_ever_is_ended_by_a_second_signal(loop: str, number: signal.Signals) -> None:
    text = (
        "app = App()\n@app.on_start\nasync def start():\n    print('waits', flush=True)\n    await asyncio.Event().wait()\n"
        "app.on_shutdown(lambda: print('stopped', flush=True))\n"
    )
    with Program(BEGIN + text + LISTEN + RUN_LOOP, loop) as program:
        wait_for(program, "waits")
        program.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):
            program.wait(0.3)
        program.send_signal(number)
        assert program.wait(5) == -number
        wait_for(program, "stopped")
        assert ("KeyboardInterrupt" in program.errors) == (number == signal.SIGINT)
        assert "Task was destroyed" not in program.errors


@both_loops
@pytest.mark.parametrize("seconds", [0, 0.5])
def test_the_time_out_bounds_a_start_handler_that_is_stopped(loop: str, seconds: float) -> None:
    text = (
        f"app = App(shutdown_timeout={seconds})\n@app.on_start\nasync def start():\n"
        "    print('waits', flush=True)\n    await asyncio.Event().wait()\n"
    )
    with Program(BEGIN + text + LISTEN + RUN_LOOP, loop) as program:
        wait_for(program, "waits")
        assert program.stop() < 5
        assert program.errors == ""


@both_loops
def test_a_shutdown_handler_that_waits_for_ever_is_ended_by_a_second_signal(loop: str) -> None:
    text = (
        "app = App()\n@app.on_shutdown\nasync def stop():\n    print('waits', flush=True)\n"
        "    try:\n        await asyncio.Event().wait()\n    finally:\n        print('ended', flush=True)\n"
    )
    with Program(BEGIN + text + RUN, loop) as program:
        program.send_signal()
        wait_for(program, "waits")
        time.sleep(0.3)
        program.send_signal()
        assert program.wait(5) == -signal.SIGTERM
        wait_for(program, "ended")


@both_loops
def test_the_time_out_bounds_the_shutdown_handlers(loop: str) -> None:
    text = "app = App(shutdown_timeout=1)\n@app.on_shutdown\nasync def stop():\n    await asyncio.Event().wait()\n"
    with Program(BEGIN + text + RUN, loop) as program:
        assert program.stop() < 5
        assert "a shutdown handler did not end in time" in program.errors


@both_loops
@pytest.mark.parametrize("event", ["startup", "shutdown"])
def test_the_lifespan_of_an_application_that_waits_for_ever(loop: str, event: str) -> None:
    text = (
        "async def application(scope, receive, send):\n    while True:\n        message = await receive()\n"
        f"        if message['type'] == 'lifespan.{event}':\n            print('waits', flush=True)\n"
        "            await asyncio.Event().wait()\n"
        "        await send({'type': message['type'] + '.complete'})\n"
        f"server = ASGI(application)\napp = server.native_app\n{LISTEN if event == 'startup' else SERVED}"
    )
    with Program(BEGIN + text + RUN_LOOP, loop) as program:
        if event == "shutdown":
            program.send_signal()
        wait_for(program, "waits")
        time.sleep(0.3)
        program.send_signal()
        if event == "startup":
            time.sleep(0.3)
            program.send_signal()
        assert program.wait(5) == -signal.SIGTERM
        assert "destroyed" not in program.errors


@both_loops
def test_a_handler_that_blocks_the_loop_for_ever(loop: str) -> None:
    text = "app = App()\n@app.on_start\ndef start():\n    print('blocks', flush=True)\n    threading.Event().wait()\n"
    with Program(BEGIN + text + LISTEN + RUN_LOOP, loop) as program:
        wait_for(program, "blocks")
        program.send_signal()
        # Who is in a hurry at once may only have hit two keys.
        time.sleep(0.2)
        program.send_signal()
        with pytest.raises(subprocess.TimeoutExpired):
            program.wait(1.2)
        program.send_signal()
        assert program.wait(5) == -signal.SIGTERM


@both_loops
def test_close_again_does_not_interrupt_shutdown_handlers(loop: str) -> None:
    text = (
        "app = App()\n@app.on_shutdown\nasync def stop():\n    app.close()\n    await asyncio.sleep(0.1)\n"
        "    print('stopped', flush=True)\n"
    )
    with Program(BEGIN + text + RUN, loop) as program:
        program.send_signal()
        wait_for(program, "stopped")
        assert program.wait() == -signal.SIGTERM


# ---- the signal is raised again


def test_who_serves_in_children_that_forked_ends_with_them() -> None:
    """As the programs of the TechEmpower benchmarks do: what follows ``run`` is the parent's code."""
    text = (
        "app = App()\napp.listen(0, lambda config: print(config.port, flush=True))\napp.close()\n"
        "def serve():\n    app = App()\n    app.listen(0)\n    app.on_start(lambda: os.write(1, b'child\\n'))\n"
        "    app.run()\n"
        "for _ in range(3):\n    if os.fork() == 0:\n        serve()\n"
        "print('parent', flush=True)\nwhile True:\n    os.wait()\n"
    )
    with Program(BEGIN + text, start_new_session=True) as program:
        said = sorted(program.stdout.readline() for _ in range(4))
        assert said == ["child\n"] * 3 + ["parent\n"]
        os.killpg(program.process.pid, signal.SIGTERM)
        assert program.wait() == -signal.SIGTERM
        # Nobody has the pipe any more, and nobody said anything.
        assert program.stdout.read() == ""
        assert program.errors == ""


@both_loops
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_handler_of_the_program_is_called_and_restored(loop: str, number: signal.Signals) -> None:
    text = (
        "def mine(number, frame):\n    print('mine', number, flush=True)\n"
        f"signal.signal({int(number)}, mine)\napp = App()\n" + RUN + "print('behind', flush=True)\n"
        f"assert signal.getsignal({int(number)}) is mine\n"
    )
    with Program(BEGIN + text, loop) as program:
        program.send_signal(number)
        assert program.wait() == 0, program.errors
        assert program.stdout.read() == f"mine {int(number)}\nbehind\n"


@both_loops
def test_an_interrupt_is_an_exception_of_run(loop: str) -> None:
    text = "app = App()\n" + SERVED + "try:\n    app.run(LOOP)\nexcept KeyboardInterrupt:\n    print('caught', flush=True)\n"
    with Program(BEGIN + text, loop) as program:
        program.send_signal(signal.SIGINT)
        assert program.wait() == 0, program.errors
        assert program.stdout.read() == "caught\n"


def test_what_was_printed_is_written_before_a_signal_ends_the_program() -> None:
    text = BEGIN + "app = App()\napp.on_shutdown(lambda: print('buffered'))\n" + RUN.replace("LOOP", "")
    command = [sys.executable, "-c", text]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        assert process.wait(10) == -signal.SIGTERM
        assert process.stdout.read() == "buffered\n"


@pytest.mark.parametrize("workers", [1, 2])
def test_servers_raise_it_too(workers: int) -> None:
    text = (
        "async def application(scope, receive, send):\n    pass\n"
        "server = ASGI(application, lifespan=False)\nserver.listen(0, lambda config: print(config.port, flush=True))\n"
        f"try:\n    server.run(workers={workers})\nexcept KeyboardInterrupt:\n    print('caught', flush=True)\n"
    )
    with Program(BEGIN + text) as program:
        wait_until_served(program)
        program.send_signal(signal.SIGINT)
        assert program.wait() == 0, program.errors
        assert program.stdout.read() == "caught\n"
    with Program(BEGIN + text) as program:
        wait_until_served(program)
        assert program.stop() < 5


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_lets_requests_finish(workers: int, number: signal.Signals) -> None:
    """As Ctrl-C in a terminal: workers get it twice, from there and from their supervisor."""
    text = (
        "import socketify\nasync def slow(res, req):\n    os.write(1, b'asked\\n')\n"
        "    await asyncio.sleep(0.7)\n    res.end('slow')\n"
        "def run(app):\n    app.get('/', slow)\n    app.get('/up', lambda res, req: res.end('up'))\n"
        f"socketify.serve(run, port=0, workers={workers}, on_listen=lambda config: print(config.port, flush=True))\n"
    )
    with Program(BEGIN + text, start_new_session=True) as program:
        wait_until_served(program, GET.replace(b"/ ", b"/up "))
        with program.connect(GET) as connection:
            wait_for(program, "asked")
            os.killpg(program.process.pid, number)
            assert connection.recv(1000).endswith(b"slow"), program.errors
        assert program.wait() == -number


def test_run_returns_after_close() -> None:
    app = App()
    app.on_start(app.close)
    app.listen(0)
    app.run()


# ---- what the program leaves in the loop

LEFT = """
import atexit, logging
app = App(shutdown_timeout=5)
async def generate():
    try:
        while True:
            yield 1
    finally:
        await asyncio.sleep(0)
        print("generator closed", flush=True)
generator = generate()
async def forever():
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.01)
        print("task ended", flush=True)
@app.on_start
async def start():
    app.task = asyncio.get_running_loop().create_task(forever())
    await generator.__anext__()
    asyncio.get_running_loop().run_in_executor(None, lambda: (time.sleep(0.3), print("thread ended", flush=True)))
"""


@both_loops
def test_tasks_generators_and_threads_end_as_with_asyncio_run(loop: str) -> None:
    with Program(BEGIN + LEFT + RUN, loop) as program:
        assert program.stop() < 5
        assert sorted(program.stdout.read().splitlines()) == ["generator closed", "task ended", "thread ended"]
        assert program.errors == ""


@both_loops
def test_a_task_that_refuses_to_end_holds_the_stop_no_longer_than_the_time_out(loop: str) -> None:
    text = (
        "app = App(shutdown_timeout=1)\nasync def refuse():\n    while True:\n        try:\n"
        "            await asyncio.sleep(60)\n        except asyncio.CancelledError:\n            pass\n"
        "@app.on_start\nasync def start():\n    app.task = asyncio.get_running_loop().create_task(refuse())\n"
    )
    with Program(BEGIN + text + RUN, loop) as program:
        assert program.stop() < 5
        assert "goes on though it was cancelled" in program.errors
        assert "destroyed" not in program.errors


@both_loops
def test_a_thread_that_does_not_end_holds_the_stop_no_longer_than_the_time_out(loop: str) -> None:
    text = (
        "app = App(shutdown_timeout=1)\n@app.on_start\nasync def start():\n"
        "    asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)\n"
    )
    with Program(BEGIN + text + RUN, loop) as program:
        assert program.stop() < 5
        assert "does not end, and is left" in program.errors


def test_run_async_is_waited_for_and_then_cancelled() -> None:
    ended: list[str] = []

    async def work(name: str, seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
            ended.append(name)
        except asyncio.CancelledError:
            ended.append(name + " cancelled")
            raise

    app = App(shutdown_timeout=0.5)

    @app.on_start
    async def start() -> None:
        app.run_async(work("short", 0.1))
        app.run_async(work("long", 60))
        app.close()

    app.listen(0)
    app.run()
    assert ended == ["short", "long cancelled"]


def test_tasks_of_a_loop_that_the_program_owns_are_its_own() -> None:
    async def main() -> bool:
        app = App()
        app.listen(0)
        mine = asyncio.ensure_future(asyncio.sleep(60))
        serving = asyncio.ensure_future(app.serve())
        await asyncio.sleep(0)
        app.close()
        await serving
        alive = not mine.done()
        mine.cancel()
        return alive

    assert asyncio.run(main())
