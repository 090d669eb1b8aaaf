"""Topics, metrics and what is watched of several threads of a process."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cli_command import children
from topic_program import Client, write_program
from waiting import wait_until

from socketify import SSGI, App, AppListenOptions, OpCode, Request, Response
from socketify.server.serve import NativeServer
from socketify.topics.shared_topics import SharedTopics

WSGI = """
import os, threading, time
import socketify
from socketify import OpCode

def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/say":
        socketify.publish("a", threading.current_thread().name, OpCode.TEXT)
    return [threading.current_thread().name.encode()]

def own(app):
    app.get("/say", lambda res, req: res.send(socketify.current_app() is app))

    def publish(res, req):
        threading.Thread(target=socketify.publish, args=("a", "of a thread", OpCode.TEXT)).start()
        res.end("soon")

    app.get("/elsewhere", publish)

def block(res, req):
    time.sleep(60)
    res.end("late")

def blocks(app):
    app.get("/", lambda res, req: res.end(threading.current_thread().name)).get("/block", block)

ws = {"open": lambda ws: (ws.subscribe("a"), ws.send(f"{os.getpid()} {threading.get_ident()}", OpCode.TEXT))}
"""


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Give a directory for temporary files that nobody else uses, with a short path."""
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


@contextlib.contextmanager
def clients_of(url: str, threads: int = 2) -> Iterator[list[Client]]:
    """Give a websocket of each thread."""
    found: dict[str, Client] = {}
    port = int(url.rpartition(":")[2])
    with contextlib.ExitStack() as stack:

        def has_all() -> bool:
            client = Client(port)
            stack.callback(client.close)
            found.setdefault(client.name, client)
            return len(found) == threads

        wait_until(has_all)
        yield list(found.values())


@pytest.mark.parametrize("more", [(), ("--workers", "2"), ("--loop", "asyncio")])
def test_topics_reach_the_websockets_of_all_threads(
    command: Any, tmp_path: Path, temporary: Path, more: tuple[str, ...]
) -> None:
    write_program(tmp_path)
    arguments = ("topics_app:run", "--port", "0", "--threads-per-worker", "2", *more)
    running = command(*arguments, env={"TMPDIR": str(temporary)})
    with clients_of(running.url, 4 if "--workers" in more else 2) as clients:
        for each in clients:
            each.join("a")
        one, two, *_ = clients
        assert one.ask("count a") == len(clients)
        one.say("a", "text é")
        two.say("a", "bytes", "bytes")
        two.say("a", "packed " * 10, "pack")
        for each in clients:
            assert sorted((each.recv() for _ in range(3)), key=str) == sorted(["text é", b"bytes", "packed " * 10], key=str)
    assert running.stop() == 0
    assert not list(temporary.iterdir())


def test_a_wsgi_application_publishes_to_the_websockets_of_all_threads(command: Any, tmp_path: Path) -> None:
    (tmp_path / "publishing.py").write_text(WSGI)
    arguments = ("--port", "0", "--threads-per-worker", "2", "--threads", "2")
    running = command("publishing:wsgi", "--ws", "publishing:ws", *arguments)
    with clients_of(running.url) as clients:
        name = httpx.get(running.url + "/say").text
        assert name.startswith("socketify-wsgi-")
        for each in clients:
            assert each.recv() == name
    assert running.stop() == 0


def test_the_current_app_is_that_of_the_thread(command: Any, tmp_path: Path) -> None:
    (tmp_path / "publishing.py").write_text(WSGI)
    running = command("publishing:own", "--ws", "publishing:ws", "--port", "0", "--threads-per-worker", "2")
    with clients_of(running.url) as clients:
        for _ in range(8):
            assert httpx.get(running.url + "/say").text == "true"
        # Where no app of the thread is meant, any stands for all of them.
        httpx.get(running.url + "/elsewhere")
        for each in clients:
            assert each.recv() == "of a thread"
    assert running.stop() == 0


def test_topics_are_those_of_one_server() -> None:
    def setup(app: App) -> None:
        app.ws("/", {"open": lambda ws: (ws.subscribe("a"), ws.send(f"0 {threading.get_ident()}", OpCode.TEXT))})

        def say(res: Response, req: Request) -> None:
            app.publish("a", f"by {req.get_query('who')}", OpCode.TEXT)
            res.end("said")

        app.get("/say", say)

    def serve(stack: contextlib.ExitStack) -> str:
        bound: list[AppListenOptions] = []
        server = SSGI(answer, setup=setup).listen(AppListenOptions(host="127.0.0.1"), bound.append)
        server.run(block=False, threads=2)
        stack.callback(server.close)
        return f"http://127.0.0.1:{bound[0].port}"

    async def answer(*arguments: Any) -> None:
        arguments[-1].send("")

    with contextlib.ExitStack() as stack:
        first, second = serve(stack), serve(stack)
        with clients_of(second) as clients:
            beside = App()
            stack.callback(beside.close)
            assert not isinstance(beside.topics, SharedTopics)
            for url, who in ((first, "another"), (second, "itself")):
                assert httpx.get(f"{url}/say?who={who}").text == "said"
            assert {each.recv() for each in clients} == {"by itself"}


def test_all_threads_count(command: Any) -> None:
    arguments = ("--port", "0", "--threads-per-worker", "2", "--workers", "2", "--metrics", "127.0.0.1:0")
    running = command("app:asgi", *arguments)
    metrics = running.wait_for(r"metrics on (\S+);")
    asked = 32
    for _ in range(asked):
        assert httpx.get(running.url).status_code == 200

    def counted() -> str:
        return httpx.get(f"http://{metrics}/metrics").text

    total = re.compile(r'^socketify_requests_total{.*"2xx".*} (\d+)$', re.MULTILINE)
    wait_until(lambda: total.findall(counted()) == [str(asked)])
    text = counted()
    assert 'socketify_workers{phase="serving"} 4' in text
    # Memory is the process's: the supervisor, and two workers.
    assert text.count("\nsocketify_process_resident_memory_bytes{") == 3
    assert httpx.get(f"http://{metrics}/readyz").status_code == 200
    assert running.stop() == 0


def test_many_threads_count() -> None:
    bound: list[AppListenOptions] = []
    server = NativeServer(lambda app: app.metrics("/metrics")).listen(AppListenOptions(host="127.0.0.1"), bound.append)
    server.run(block=False, threads=70)
    try:
        assert 'socketify_workers{phase="serving"} 70\n' in httpx.get(f"http://127.0.0.1:{bound[0].port}/metrics").text
    finally:
        server.close()


def test_a_blocked_thread_is_found_though_the_other_one_runs(command: Any, tmp_path: Path) -> None:
    (tmp_path / "publishing.py").write_text(WSGI)
    arguments = ("--port", "0", "--threads-per-worker", "2", "--timeout-worker", "1")
    running = command("publishing:blocks", *arguments)
    url = running.url
    before = children(running.process.pid)
    with contextlib.suppress(httpx.TransportError):
        httpx.get(url + "/block", timeout=10)
    running.wait_for("has not answered for")
    assert "in block" in running.said
    wait_until(lambda: children(running.process.pid) not in ([], before))
    wait_until(lambda: answers(url))
    assert running.stop() == 0


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(url).status_code == 200
    return False


def test_a_worker_with_threads_is_replaced_after_so_many_requests(command: Any) -> None:
    arguments = ("--port", "0", "--threads-per-worker", "2", "--limit-max-requests", "3")
    running = command("app:asgi", *arguments)
    first = httpx.get(running.url).text
    wait_until(lambda: httpx.get(running.url).text.split()[1] != first.split()[1])
    assert running.stop() == 0


def test_what_would_be_used_says_it(command: Any) -> None:
    running = command("app:asgi", "--threads-per-worker", "3", "--print-config")
    assert running.process.wait(20) == 0
    assert json.loads(running.said)["threads_per_worker"] == 3
