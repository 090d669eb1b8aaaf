"""Programs that serve with several threads: ``run(threads=...)`` and ``serve(..., threads_per_worker=...)``."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from server_programs import GET, Program
from waiting import wait_until

import socketify
from socketify import ASGI, SSGI, WSGI, App, AppListenOptions
from socketify.server.serve import NativeServer
from socketify.topics.brokers.local_broker import LocalBroker

PLACE = AppListenOptions(host="127.0.0.1")


def here() -> str:
    return str(threading.get_ident())


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": here().encode()})


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [here().encode()]


def native(app: App) -> None:
    app.get("/", lambda res, req: res.end(here()))


async def ssgi(*arguments: Any) -> None:
    arguments[-1].send(here())


SERVERS: list[tuple[Any, Any]] = [(ASGI, asgi), (WSGI, wsgi), (NativeServer, native), (SSGI, ssgi)]


def answers(port: int, count: int) -> set[str]:
    found: set[str] = set()

    def has_all() -> bool:
        found.add(httpx.get(f"http://127.0.0.1:{port}/").text)
        return len(found) >= count

    wait_until(has_all)
    return found


@pytest.mark.parametrize(("kind", "application"), SERVERS)
def test_a_server_without_block_has_threads(kind: Any, application: Any) -> None:
    server = kind(application)
    bound: list[AppListenOptions] = []
    server.listen(PLACE, bound.append)
    threads = threading.active_count()
    server.run(block=False, threads=3)
    try:
        assert len(answers(bound[0].port, 3)) == 3
    finally:
        server.close()
    assert threading.active_count() == threads
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{bound[0].port}/")


def test_all_threads_that_listen_on_several_ports_answer_on_each() -> None:
    server = ASGI(asgi)
    bound: list[AppListenOptions] = []
    server.listen(PLACE, bound.append).listen(PLACE, bound.append)
    server.run(block=False, threads=2)
    try:
        assert answers(bound[0].port, 2) == answers(bound[1].port, 2)
    finally:
        server.close()


def test_close_ends_a_run_that_blocks() -> None:
    waiting = threading.Semaphore(0)

    async def late(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            if scope["path"] == "/late":
                waiting.release()
                await asyncio.sleep(60)
            await asgi(scope, receive, send)

    server = ASGI(late)
    bound: list[AppListenOptions] = []
    server.listen(PLACE, bound.append)
    running = threading.Thread(target=lambda: server.run(threads=2))
    running.start()
    answers(bound[0].port, 2)
    with pytest.raises(RuntimeError, match="served already"):
        server.run(threads=2)
    with socket.create_connection(("127.0.0.1", bound[0].port), 20) as connection:
        connection.sendall(GET.replace(b"GET /", b"GET /late"))
        assert waiting.acquire(timeout=20)
        server.close()
        # The second one does not wait for the request.
        server.close()
        assert b"200" not in connection.recv(4096)
    running.join(20)
    assert not running.is_alive()


def test_close_while_the_apps_are_made_ends_the_run() -> None:
    server: Any = None

    def setup(app: App) -> None:
        if threading.current_thread().name == "socketify-2":
            server.close()

    server = ASGI(asgi, setup=setup).listen(PLACE)
    running = threading.Thread(target=lambda: server.run(threads=2))
    running.start()
    running.join(20)
    assert not running.is_alive()


@pytest.mark.parametrize("name", ["socketify", "socketify-2"])
def test_close_in_a_thread_that_serves_waits_for_nobody(name: str) -> None:
    server: Any = None

    async def closes(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            if threading.current_thread().name == name:
                server.close()
            await asgi(scope, receive, send)

    server = ASGI(closes)
    bound: list[AppListenOptions] = []
    server.listen(PLACE, bound.append)
    threads = threading.active_count()
    server.run(block=False, threads=2)

    def is_refused() -> bool:
        try:
            return not httpx.get(f"http://127.0.0.1:{bound[0].port}/", timeout=20).text
        except httpx.ConnectError:
            return True

    wait_until(is_refused)
    wait_until(lambda: threading.active_count() == threads)
    server.close()


@pytest.mark.parametrize("name", ["socketify", "socketify-2"])
def test_close_while_the_apps_are_made_in_other_threads_ends_them(name: str) -> None:
    server: Any = None

    def setup(app: App) -> None:
        if threading.current_thread().name == name:
            server.close()

    server = ASGI(asgi, setup=setup).listen(PLACE)
    threads = threading.active_count()
    running = threading.Thread(target=lambda: server.run(block=False, threads=2))
    running.start()
    running.join(20)
    assert not running.is_alive()
    wait_until(lambda: threading.active_count() == threads)


def test_setup_is_called_in_each_thread() -> None:
    made: list[str] = []
    server = ASGI(asgi, setup=lambda app: made.append(here()))
    made.clear()
    server.listen(PLACE).run(block=False, threads=3)
    server.close()
    assert len(set(made)) == len(made) == 3


def test_what_fails_in_one_thread_is_raised() -> None:
    def setup(app: App) -> None:
        if threading.current_thread().name == "socketify-2":
            message = "only one is possible"
            raise LookupError(message)

    server = ASGI(asgi, setup=setup).listen(PLACE)
    threads = threading.active_count()
    with pytest.raises(LookupError, match="only one is possible"):
        server.run(block=False, threads=3)
    assert threading.active_count() == threads


@pytest.mark.parametrize("kind", [ASGI, WSGI])
def test_arguments_are_checked(kind: Any) -> None:
    server = kind(asgi if kind is ASGI else wsgi)
    for wrong in ("2", 2.0, None, True):
        with pytest.raises(TypeError, match="threads must be an int from 1 to 1024"):
            server.run(threads=wrong)
    for wrong in (0, -1, 1025):
        with pytest.raises(ValueError, match="threads must be from 1 to 1024"):
            server.run(threads=wrong)
    with pytest.raises(TypeError, match="threads_per_worker must be an int"):
        socketify.serve(wsgi, threads_per_worker="2")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="threads_per_worker: an App serves with one thread"):
        socketify.serve(App(), threads_per_worker=2)
    server.close()


def test_a_broker_is_of_one_app() -> None:
    server = ASGI(asgi, broker=LocalBroker("local:///tmp/never-made")).listen(PLACE)
    with pytest.raises(ValueError, match="broker must be a URL where several threads serve"):
        server.run(threads=2)
    server.close()


def test_a_listener_that_is_exclusive_is_refused() -> None:
    server = ASGI(asgi).listen(AppListenOptions(host="127.0.0.1", options=1))
    with pytest.raises(ValueError, match="exclusive"):
        server.run(threads=2)
    server.close()


@pytest.mark.parametrize("more", [{}, {"threads_per_worker": 2}, {"workers": 2}, {"metrics": "127.0.0.1:0"}])
def test_a_handler_that_fails_leaves_no_socket(more: dict[str, Any], tmp_path: Path) -> None:
    place = tmp_path / "a.sock"

    def fails(_config: AppListenOptions) -> None:
        assert place.exists()
        message = "cannot be told"
        raise LookupError(message)

    with pytest.raises(LookupError, match="cannot be told"):
        socketify.serve(native, uds=str(place), on_listen=fails, **more)
    assert not place.exists()
    if "metrics" in more:
        with pytest.raises(LookupError, match="cannot be told"):
            socketify.serve(native, uds=str(place), on_metrics=fails, **more)
        assert not place.exists()


SERVE = """
import os, threading
import socketify

def wsgi(environ, start_response):
    start_response("200 OK", [])
    return [f"{os.getpid()} {threading.current_thread().name}".encode()]

if __name__ == "__main__":
    socketify.serve(wsgi, port=0, on_listen=lambda config: print(config.port), OPTIONS)
"""


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ("threads_per_worker=2", {"MainThread", "socketify-2"}),
        ("threads_per_worker=2, threads=1, workers=2", {"MainThread", "socketify-2"}),
        ("threads_per_worker=2, threads=2", {"socketify-wsgi-0", "socketify-wsgi-1"}),
    ],
)
def test_one_call_serves_with_threads(options: str, names: set[str]) -> None:
    with Program(SERVE.replace("OPTIONS", options)) as program:
        expected = 4 if "workers" in options else 2
        found = {tuple(each.split()) for each in answers(program.port, expected)}
        assert {name for _, name in found} == names
        program.stop(signal.SIGTERM)
