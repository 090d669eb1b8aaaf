"""Threads of Python that run at the same time, as they do in free-threaded builds: what is shared stays whole."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Callable

import httpx
import pytest
from app_servers import ASGIServer
from wsgi_server import served

from socketify.metrics.memory import MetricsMemory
from socketify.native import capabilities

ROOT = Path(__file__).parents[2]
AT_ONCE = not getattr(sys, "_is_gil_enabled", lambda: True)()
only_at_once = pytest.mark.skipif(not AT_ONCE, reason="the interpreter's lock keeps other threads from running")


def in_another_thread(function: Callable[[], object]) -> list[str]:
    """Call a function in a thread, and return what it raised."""
    raised: list[str] = []

    def call() -> None:
        try:
            function()
        except Exception as error:
            raised.append(f"{type(error).__name__}: {error}")

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    return raised


def test_apps_of_several_threads_share_what_they_send() -> None:
    # What is run for minutes by hand.
    command = [sys.executable, str(ROOT / "tests/stress/stress.py"), "--seconds", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@only_at_once
def test_importing_leaves_the_lock_off() -> None:
    program = "import sys, socketify, socketify.cli; assert not sys._is_gil_enabled()"
    subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=ROOT, timeout=60, check=True)


@only_at_once
def test_fast_paths_are_those_of_other_builds() -> None:
    assert all(capabilities)


@only_at_once
def test_send_and_receive_of_asgi_belong_to_their_thread() -> None:
    raised: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        raised.extend(in_another_thread(lambda: send({"type": "http.response.start", "status": 500})))
        raised.extend(in_another_thread(receive))
        raised.extend(in_another_thread(send.__self__))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"mine"})

    server = ASGIServer(application)
    try:
        assert httpx.get(server.url).text == "mine"
    finally:
        server.close()
    assert raised == ["RuntimeError: receive and send are called in the thread of their event loop"] * 3


@only_at_once
def test_start_response_and_write_belong_to_their_thread() -> None:
    raised: list[str] = []

    def application(_environ: Any, start_response: Any) -> list[bytes]:
        raised.extend(in_another_thread(lambda: start_response("500 Wrong", [])))
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        raised.extend(in_another_thread(lambda: write(b"theirs")))
        return [b"mine"]

    with served(application) as server:
        assert httpx.get(server.url).text == "mine"
    assert raised == ["TypeError: the request is over, or another thread's"] * 2


@only_at_once
def test_what_takes_over_from_write_may_be_replaced_while_it_is_called() -> None:
    # Where it was not held, ThreadSanitizer says so (tests/platforms/thread_sanitizer.sh); without it, one run in ten crashed.
    def application(_environ: Any, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        shared, over = write.__self__, threading.Event()

        def replace() -> None:
            while not over.is_set():
                # Each is freed as soon as the next one is there, unless it is called.
                shared[2] = lambda *_blocks: None

        other = threading.Thread(target=replace)
        other.start()
        while shared[2] is None:
            pass
        for _ in range(100_000):
            write(b"theirs")
        over.set()
        other.join()
        shared[2] = None
        return [b"mine"]

    with served(application) as server:
        assert httpx.get(server.url, timeout=60).text == "mine"


@only_at_once
def test_what_is_counted_is_read_by_several_threads() -> None:
    memory, all_are_there, raised = MetricsMemory(2), threading.Barrier(4), list[str]()

    def read() -> None:
        all_are_there.wait()
        try:
            for _ in range(100_000):
                assert memory.block(1)[0] == 0
        except ValueError as error:
            raised.append(str(error))

    readers = [threading.Thread(target=read) for _ in range(4)]
    for each in readers:
        each.start()
    for each in readers:
        each.join()
    assert raised == []
    # What they share would be lost to all within a million of views of it, if two processors are free.
    assert memory.block(1).obj is not memory.block(1).obj


def test_what_is_counted_stays_while_it_is_looked_at() -> None:
    memory = MetricsMemory(2)
    block = memory.block(1)
    block[0] = 7
    assert memory.block(1)[0] == 7
    del memory
    gc.collect()
    assert block[0] == 7
