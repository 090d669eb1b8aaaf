"""The native loop and asyncio's wait in one place: neither keeps the other from what it has to do."""

from __future__ import annotations

import http.client
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from backends import needs_io_uring
from server_programs import LOOPS, Program, environment

BEGIN = """
import asyncio, contextvars, logging, os, signal, socket, sys, threading, time
from socketify import App
app = App()
app.get("/", lambda res, req: res.end("Hello, World!"))
def begin():
    app.listen(0, lambda config: print(config.port, flush=True))
    app.run(LOOP)
"""


@pytest.fixture(
    params=[
        *(pytest.param((loop, "epoll"), id=f"{loop}-epoll") for loop in LOOPS),
        *(pytest.param((loop, "io_uring"), id=f"{loop}-io_uring", marks=needs_io_uring) for loop in ("uvloop", "ours")),
    ]
)
def program(request: pytest.FixtureRequest) -> Iterator[Any]:
    loop, backend = request.param
    running: list[Program] = []

    def start(text: str, **variables: str) -> Program:
        made = Program(BEGIN + text, loop, env=environment(SOCKETIFY_BACKEND=backend, **variables))
        running.append(made)
        return made.__enter__()

    yield start
    for each in running:
        each.__exit__()


def ask(connection: http.client.HTTPConnection, path: str) -> str:
    connection.request("GET", path)
    return connection.getresponse().read().decode()


def get(program: Program, path: str = "/", port: int = 0) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port or program.port, timeout=5)
    try:
        return ask(connection, path)
    finally:
        connection.close()


def keep_asking(program: Program, count: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=5)
    for _ in range(count):
        assert ask(connection, "/") == "Hello, World!"
    connection.close()


def test_other_threads_wake_it(program: Any) -> None:
    served = program("""
def hop(seconds):
    time.sleep(seconds)
    return str(seconds)
async def handler(res, req):
    loop = asyncio.get_running_loop()
    res.end(await loop.run_in_executor(None, hop, 0.05))
app.get("/hop", handler)
begin()
""")
    for _ in range(3):
        assert get(served, "/hop") == "0.05"
        keep_asking(served, 50)


def test_timers_come_in_time_while_clients_are_busy(program: Any) -> None:
    served = program("""
ticks = []
async def tick():
    while True:
        before = time.monotonic()
        await asyncio.sleep(0.02)
        ticks.append(time.monotonic() - before)
app.on_start(lambda: asyncio.get_running_loop().call_soon(lambda: app.loop.run_async(tick())))
app.get("/ticks", lambda res, req: res.end(f"{len(ticks)} {sorted(ticks)[len(ticks) // 2]}"))
begin()
""")
    begin = time.monotonic()
    while time.monotonic() < begin + 1:
        keep_asking(served, 20)
    count, median = get(served, "/ticks").split()
    assert int(count) > 5
    assert 0.015 < float(median) < 0.2


def test_a_timer_of_a_handler_is_not_early_and_ends_the_wait(program: Any) -> None:
    served = program("""
async def handler(res, req):
    before = time.monotonic()
    await asyncio.sleep(0.1)
    res.end(str(time.monotonic() - before))
app.get("/sleep", handler)
begin()
""")
    keep_asking(served, 50)
    # So long was nothing to do.
    time.sleep(0.3)
    assert 0.095 < float(get(served, "/sleep")) < 3


def test_what_a_handler_writes_to_a_transport_leaves(program: Any) -> None:
    served = program("""
async def echo(reader, writer):
    while data := await reader.read(100):
        writer.write(data)
async def handler(res, req):
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for _ in range(20):
        writer.write(b"ping")
        assert await reader.readexactly(4) == b"ping"
    writer.close()
    server.close()
    res.end("echoed")
kept = {}
async def connect():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    kept["reader"], kept["writer"] = await asyncio.open_connection(*server.sockets[0].getsockname())
async def kept_handler(res, req):
    kept["writer"].write(b"ping")
    res.end((await kept["reader"].readexactly(4)).decode())
app.on_start(connect)
app.get("/echo", handler)
app.get("/kept", kept_handler)
begin()
""")
    for _ in range(50):
        assert get(served, "/kept") == "ping"
    for _ in range(5):
        assert get(served, "/echo") == "echoed"
        keep_asking(served, 40)


def test_readers_of_the_program(program: Any) -> None:
    served = program("""
here, there = socket.socketpair()
here.setblocking(False)
read = []
async def handler(res, req):
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    def readable():
        loop.remove_reader(here)
        done.set_result(here.recv(10))
    loop.add_reader(here, readable)
    there.send(b"through")
    res.end(await done)
app.get("/read", handler)
begin()
""")
    for _ in range(3):
        assert get(served, "/read") == "through"
        keep_asking(served, 40)


def test_subprocesses(program: Any) -> None:
    served = program("""
async def handler(res, req):
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "print(7)", stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    res.end(out.decode().strip() + " " + str(process.returncode))
app.get("/run", handler)
begin()
""")
    keep_asking(served, 40)
    assert get(served, "/run") == "7 0"


def test_python_signal_handlers_run_while_it_waits(program: Any) -> None:
    served = program("""
seen = []
def install():
    signal.signal(signal.SIGUSR2, lambda number, frame: seen.append(number))
app.on_start(install)
app.get("/seen", lambda res, req: res.end(str(len(seen))))
begin()
""")
    keep_asking(served, 40)
    os.kill(served.process.pid, signal.SIGUSR2)
    time.sleep(0.2)
    assert get(served, "/seen") == "1"


def test_signals_of_the_loop(program: Any) -> None:
    served = program("""
async def handler(res, req):
    loop = asyncio.get_running_loop()
    got = loop.create_future()
    loop.add_signal_handler(signal.SIGUSR2, got.set_result, "signal")
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR2)).start()
    res.end(await got)
app.get("/signal", handler)
begin()
""")
    keep_asking(served, 40)
    assert get(served, "/signal") == "signal"


def test_handlers_see_what_start_handlers_put_into_the_context(program: Any) -> None:
    served = program("""
name = contextvars.ContextVar("name", default="unset")
app.on_start(lambda: name.set("set"))
app.get("/name", lambda res, req: res.end(name.get()))
async def handler(res, req):
    res.end(name.get())
app.get("/later", handler)
begin()
""")
    assert get(served, "/name") == get(served, "/later") == "set"


def test_it_costs_nothing_while_idle(program: Any) -> None:
    served = program("""
app.get("/cpu", lambda res, req: res.end(str(time.process_time())))
begin()
""")
    keep_asking(served, 40)
    before = float(get(served, "/cpu"))
    time.sleep(1)
    assert float(get(served, "/cpu")) - before < 0.1


def test_it_serves_while_asyncio_is_busy_and_the_other_way_round(program: Any) -> None:
    served = program("""
turns = 0
async def spin():
    global turns
    while True:
        turns += 1
        await asyncio.sleep(0)
def start(res, req):
    start.task = asyncio.ensure_future(spin())
    res.end("started")
app.get("/spin", start)
def stop(res, req):
    start.task.cancel()
    res.end(str(turns))
app.get("/stop", stop)
begin()
""")
    assert get(served, "/spin") == "started"
    keep_asking(served, 100)
    assert int(get(served, "/stop")) > 100


def test_who_waits_may_change_and_change_again(program: Any) -> None:
    served = program("""
async def hops(res, req):
    loop = asyncio.get_running_loop()
    for _ in range(100):
        await loop.run_in_executor(None, int)
        await asyncio.sleep(0.001)
    res.end("hopped")
app.get("/hops", hops)
begin()
""")
    for _ in range(3):
        keep_asking(served, 100)
        assert get(served, "/hops") == "hopped"


def test_an_app_stops_from_a_handler_and_another_begins(program: Any) -> None:
    served = program("""
def close(res, req):
    res.end("closing")
    app.close()
app.get("/close", close)
begin()
for _ in range(3):
    app = App()
    app.get("/", lambda res, req: res.end("Hello, World!"))
    app.get("/close", close)
    begin()
print("over", flush=True)
""")
    port = served.port
    for _ in range(4):
        assert get(served, port=port) == "Hello, World!"
        assert get(served, "/close", port) == "closing"
        line = served.stdout.readline().strip()
        port = int(line) if line.isdigit() else 0
    assert line == "over"
    assert served.process.wait(10) == 0
    assert served.errors == ""


def test_a_loop_that_is_stopped_may_be_closed_and_run_again(program: Any) -> None:
    served = program("""
def stop(res, req):
    res.end("stopping")
    asyncio.get_running_loop().stop()
app.get("/stop", stop)
app.listen(0, lambda config: print(config.port, flush=True))
make = (lambda *given: given[0] if given else None)(LOOP)
if make is None:
    from socketify.loop.event_loop import new_event_loop as make
loop = make()
asyncio.set_event_loop(loop)
serving = loop.create_task(app.serve())
loop.run_forever()
print("stopped", flush=True)
loop.run_until_complete(asyncio.sleep(0.1))
app.close()
loop.run_until_complete(serving)
loop.close()
print("closed", flush=True)
""")
    assert get(served, "/stop") == "stopping"
    assert served.stdout.readline() == "stopped\n"
    assert served.stdout.readline() == "closed\n"
    assert served.process.wait(10) == 0
    assert served.errors == ""


def test_a_second_loop_of_the_thread_serves_what_the_first_has_begun(program: Any) -> None:
    served = program("""
from socketify.loop.event_loop import new_event_loop
make = (lambda *given: given[0] if given else new_event_loop)(LOOP)
first, second = make(), asyncio.new_event_loop()
app.listen(0)
async def begin_and_leave():
    global serving
    serving = asyncio.ensure_future(app.serve())
    await asyncio.sleep(0.1)
first.run_until_complete(begin_and_leave())
other = App()
other.listen(0, lambda config: print(config.port, flush=True))
other.get("/", lambda res, req: res.end("Hello, World!"))
async def serve_other():
    await other.serve()
def close(res, req):
    res.end("closing")
    other.close()
other.get("/close", close)
second.run_until_complete(serve_other())
second.close()
async def end():
    app.close()
    await serving
first.run_until_complete(end())
first.close()
print("over", flush=True)
""")
    keep_asking(served, 50)
    assert get(served, "/close") == "closing"
    assert served.stdout.readline() == "over\n"
    assert served.process.wait(10) == 0


def test_debug_mode_tells_of_slow_handlers(program: Any, request: pytest.FixtureRequest) -> None:
    served = program(
        """
logging.basicConfig()
def slow(res, req):
    time.sleep(0.2)
    res.end("slow")
app.get("/slow", slow)
begin()
""",
        PYTHONASYNCIODEBUG="1",
    )
    assert get(served, "/slow") == "slow"
    assert get(served) == "Hello, World!"
    # uvloop tells it of what it calls itself, and not of readers. It is told after the answer.
    deadline = time.monotonic() + 5
    while "took 0.2" not in served.errors and "uvloop" not in request.node.name:
        assert time.monotonic() < deadline, served.errors
        time.sleep(0.05)


def test_threads_get_on_while_the_loop_always_has_something_to_run(program: Any) -> None:
    """They need the interpreter's lock, which is free for a moment in each turn of the loop, as it is in a loop of asyncio."""
    server = program(
        """
async def spin():
    while True:
        await asyncio.sleep(0)

def sleeps():
    count, end = 0, time.monotonic() + 0.5
    while time.monotonic() < end:
        time.sleep(0)
        count += 1
    return count

async def count():
    spinning = asyncio.ensure_future(spin())
    found = await asyncio.get_running_loop().run_in_executor(None, sleeps)
    spinning.cancel()
    return found

usual = asyncio.run(count())

async def answer(res, req):
    res.end(f"{await count()} {usual}")

app.get("/count", answer)
begin()
"""
    )
    found, usual = map(int, get(server, "/count").split())
    # Where a thread has to ask for the lock and to wait for it, it is a sixtieth.
    assert found > usual / 30
