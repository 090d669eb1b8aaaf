"""Several threads of a process that serve together: what answers, how they stop, and what fails in one of them."""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import httpx
import pytest
from cli_command import children
from server_programs import GET
from tls_files import Files
from waiting import wait_until

from socketify.system.stop_signals import SAME_SECONDS

PROGRAM = """
import asyncio, os, sys, threading

def here():
    return f"{os.getpid()} {threading.get_ident()}"

def tell(*words):
    # With one call: those of print() mix with what other threads print.
    os.write(1, (" ".join(words) + "\\n").encode())

def run(app):
    async def slow(res, req):
        tell("slow begins")
        await asyncio.sleep(0.5)
        res.end("slow")

    async def slower(res, req):
        tell("slower begins")
        await asyncio.sleep(60)
        res.end("slower")

    def close(res, req):
        app.close()
        res.end("closing")

    def reported(word):
        return lambda: tell(word, here())

    app.on_start(reported("start"))
    app.on_shutdown(reported("shutdown"))
    app.get("/", lambda res, req: res.end(here()))
    app.get("/slow", slow).get("/slower", slower).get("/close", close)

async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            tell(message["type"], here())
            scope["state"]["here"] = here()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    # The state is the one that this thread has made.
    assert scope["state"]["here"] == here()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": here().encode()})

def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{here()} {environ['wsgi.multithread']} {environ['wsgi.multiprocess']}".encode()]

async def ssgi(type, server_address, remote_address, method, path, query_string, get_header, res):
    res.send(here())

def fails_in_the_second():
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("only one is possible")
    return run

def refuses_in_the_second(app):
    run(app)

    @app.on_start
    def start():
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("only one can start")

def leaves(app):
    run(app)

    def leave(res, req):
        if (threading.current_thread() is threading.main_thread()) == (req.get_url() == "/leave/first"):
            asyncio.get_running_loop().call_soon(sys.exit, 7)
        else:
            res.end("this is the other one")

    app.get("/leave/first", leave).get("/leave/second", leave)

from socketify import App
one = App()
run(one)

def make_app():
    app = App()
    run(app)
    return app

def same():
    return one
"""


@pytest.fixture
def start(command: Any, tmp_path: Path) -> Callable[..., Any]:
    def begin(application: str, *more: str, **options: Any) -> Any:
        (tmp_path / "threads_app.py").write_text(PROGRAM)
        return command(f"threads_app:{application}", "--port", "0", "--threads-per-worker", "2", *more, **options)

    return begin


def answers_of(url: str, count: int, ask: Callable[[str], str] = lambda url: httpx.get(url).text) -> set[str]:
    """Ask on new connections until so many different answers came: the system spreads connections."""
    found: set[str] = set()

    def has_all() -> bool:
        found.add(ask(url))
        return len(found) >= count

    wait_until(has_all)
    return found


def one_each(url: str, count: int) -> list[tuple[str, httpx.Client]]:
    """Return a client of each thread, connected and kept."""
    found: dict[str, httpx.Client] = {}

    def has_all() -> bool:
        client = httpx.Client(timeout=20)
        answer = client.get(url).text
        if answer in found:
            client.close()
        else:
            found[answer] = client
        return len(found) == count

    wait_until(has_all)
    return list(found.items())


@pytest.mark.parametrize(
    ("application", "loop"), [("run", "asyncio"), ("asgi", "uvloop"), ("wsgi", "auto"), ("ssgi", "auto"), ("asgi", "asyncio")]
)
def test_all_threads_of_one_process_answer(start: Any, application: str, loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    running = start(application, "--loop", loop)
    answers = [each.split() for each in answers_of(running.url, 2)]
    assert {pid for pid, *_ in answers} == {str(running.process.pid)}
    if application == "wsgi":
        # It knows that others may call it at the same time.
        assert all(more == ["True", "False"] for _, _, *more in answers)
    assert "with 1 worker(s) of 2 threads" in running.said
    assert running.stop() == 0


def test_each_thread_has_a_pool_of_a_wsgi_application(start: Any) -> None:
    running = start("wsgi", "--threads", "2")
    assert len(answers_of(running.url, 4)) == 4
    assert running.stop() == 0


def test_workers_have_threads(start: Any) -> None:
    running = start("run", "--workers", "2")
    answers = answers_of(running.url, 4)
    assert {int(each.split()[0]) for each in answers} == set(children(running.process.pid))
    assert running.stop() == 0


def test_a_rolling_restart_replaces_all_threads_of_a_worker(start: Any) -> None:
    running = start("run", "--workers", "1", "--max-rss", "2G")
    before = answers_of(running.url, 2)
    running.process.send_signal(signal.SIGHUP)
    wait_until(lambda: not {httpx.get(running.url).text.split()[0]} & {each.split()[0] for each in before})
    assert len(answers_of(running.url, 2)) == 2
    assert running.stop() == 0


def test_one_worker_fewer_accepts_from_the_sockets_of_all_threads(start: Any) -> None:
    running = start("run", "--workers", "2")
    assert len(answers_of(running.url, 4)) == 4
    running.process.send_signal(signal.SIGTTOU)
    wait_until(lambda: len(children(running.process.pid)) == 1)
    (left,) = children(running.process.pid)
    answers = [httpx.get(running.url).text for _ in range(16)]
    assert {each.split()[0] for each in answers} == {str(left)}
    assert len(answers_of(running.url, 2)) == 2
    assert running.stop() == 0


def test_a_file_that_changes_replaces_all_threads(start: Any, tmp_path: Path) -> None:
    pytest.importorskip("watchfiles")
    running = start("run", "--reload")
    before = answers_of(running.url, 2)
    (tmp_path / "threads_app.py").write_text(PROGRAM + "\nchanged = True\n")
    wait_until(lambda: running.said.count("Listening") == 2)
    assert not answers_of(running.url, 2) & before
    assert running.stop() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_unix_socket_is_accepted_from_by_all(command: Any, tmp_path: Path, workers: str) -> None:
    (tmp_path / "threads_app.py").write_text(PROGRAM)
    path = tmp_path / "s"
    running = command("threads_app:run", "--uds", str(path), "--threads-per-worker", "2", "--workers", workers)
    running.wait_for("Listening on unix:")
    kept = []

    def ask(_url: str) -> str:
        # Those that are open keep their thread from being the only one that accepts.
        connection = socket.socket(socket.AF_UNIX)
        kept.append(connection)
        connection.settimeout(20)
        connection.connect(str(path))
        connection.sendall(GET)
        return connection.recv(4096).rpartition(b"\r\n")[2].decode()

    assert len(answers_of("", 2 * int(workers), ask)) == 2 * int(workers)
    for each in kept:
        each.close()
    assert running.stop() == 0
    assert not path.exists()


def test_threads_serve_tls(start: Any, tmp_path: Path) -> None:
    files = Files(tmp_path)
    names = files.issue("server")
    running = start("run", "--ssl-certfile", names["cert_file_name"], "--ssl-keyfile", names["key_file_name"])
    url = running.url.replace("127.0.0.1", "localhost")
    assert len(answers_of(url, 2, lambda url: httpx.get(url, verify=files.client()).text)) == 2

    before = {serial for _, serial in serials_of(files, url)}
    files.issue("server")
    running.process.send_signal(signal.SIGHUP)
    wait_until(lambda: not {serial for _, serial in serials_of(files, url)} & before)
    assert running.stop() == 0


def serials_of(files: Files, url: str) -> set[tuple[str, str]]:
    """Return the threads, and the number of the certificate that each shows."""
    found: dict[str, str] = {}

    def has_both() -> bool:
        plain = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 20)
        with files.client().wrap_socket(plain, server_hostname="localhost") as secure:
            certificate = secure.getpeercert()
            secure.sendall(GET)
            answer = secure.recv(4096).rpartition(b"\r\n")[2].decode()
        assert certificate is not None
        found[answer] = str(certificate["serialNumber"])
        return len(found) == 2

    wait_until(has_both)
    return set(found.items())


# ---- stopping


def said(running: Any, word: str) -> list[str]:
    return [line for line in running.said.splitlines() if line.startswith(word)]


@contextlib.contextmanager
def asked(port: int, path: str) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(GET.replace(b"GET /", f"GET {path}".encode()))
        yield connection


def ask_both(running: Any, url: str, path: str, stack: contextlib.ExitStack) -> list[socket.socket]:
    """Ask both threads for the same; return the connections."""
    found: dict[bytes, socket.socket] = {}
    port = int(url.rpartition(":")[2])

    def has_both() -> bool:
        connection = stack.enter_context(asked(port, "/"))
        answer = connection.recv(4096).rpartition(b"\r\n")[2]
        if answer not in found:
            found[answer] = connection
            connection.sendall(GET.replace(b"GET /", f"GET {path}".encode()))
        return len(found) == 2

    wait_until(has_both)
    wait_until(lambda: len(said(running, f"{path[1:]} begins")) == 2)
    return list(found.values())


def test_a_stop_drains_all_threads_and_runs_the_handlers_of_each(start: Any) -> None:
    running = start("run")
    with contextlib.ExitStack() as stack:
        both = ask_both(running, running.url, "/slow", stack)
        running.process.send_signal(signal.SIGTERM)
        for each in both:
            assert each.recv(4096).endswith(b"slow")
    assert running.process.wait(20) == -signal.SIGTERM
    assert len(set(said(running, "start"))) == len(set(said(running, "shutdown"))) == 2


def test_a_second_signal_hurries_all_threads(start: Any) -> None:
    running = start("run")
    with contextlib.ExitStack() as stack:
        both = ask_both(running, running.url, "/slower", stack)
        running.process.send_signal(signal.SIGTERM)
        # Threads stop listening as they drain.
        wait_until(lambda: refuses(running.url))
        # One that comes sooner counts as the same.
        time.sleep(1.5 * SAME_SECONDS)
        running.process.send_signal(signal.SIGTERM)
        for each in both:
            assert b"200" not in each.recv(4096)
    assert running.process.wait(20) == -signal.SIGTERM
    assert len(set(said(running, "shutdown"))) == 2


def refuses(url: str) -> bool:
    try:
        httpx.get(url)
    except httpx.TransportError:
        return True
    return False


def test_the_app_of_a_thread_that_closes_stops_all(start: Any) -> None:
    running = start("run")
    assert httpx.get(running.url + "/close").text == "closing"
    assert running.process.wait(20) == 0
    assert len(set(said(running, "shutdown"))) == 2


def test_lifespan_runs_once_in_each_thread(start: Any) -> None:
    running = start("asgi", "--lifespan", "on")
    assert len(answers_of(running.url, 2)) == 2
    assert running.stop() == 0
    assert len(set(said(running, "lifespan.startup"))) == len(set(said(running, "lifespan.shutdown"))) == 2


def test_a_usual_signal_reaches_all_threads(start: Any, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    running = start("run", "--access-log-file", str(log))
    clients = one_each(running.url, 2)
    wait_until(lambda: log.exists() and log.read_text().count("\n") >= 2)
    log.rename(tmp_path / "renamed.log")
    running.process.send_signal(signal.SIGUSR1)
    for _, client in clients:
        wait_until(lambda client=client: client.get(running.url + "/new").status_code == 404 and log.exists())
    for number, (_, client) in enumerate(clients):
        path = f"/last{number}"
        # Each thread opens it anew by itself.
        wait_until(lambda path=path, client=client: client.get(running.url + path).is_error and path in log.read_text())
    running.process.send_signal(signal.SIGUSR2)
    wait_until(lambda: running.said.count("in flight: ") == 2)
    for _, client in clients:
        client.close()
    assert running.stop() == 0


# ---- what fails


def test_a_factory_that_fails_in_one_thread(start: Any) -> None:
    running = start("fails_in_the_second", "--factory")
    assert running.process.wait(20) == 2
    assert "only one is possible" in running.said
    assert running.said.count("\n") == 1
    assert "Listening" not in running.said


def test_a_start_handler_that_fails_in_one_thread(start: Any) -> None:
    running = start("refuses_in_the_second")
    assert running.process.wait(20) == 2
    assert "only one can start" in running.said
    assert "Listening" not in running.said


@pytest.mark.parametrize("which", ["first", "second"])
def test_an_exit_in_one_thread_ends_the_process_with_its_status(start: Any, which: str) -> None:
    running = start("leaves")

    def ended() -> bool:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"{running.url}/leave/{which}")
        return running.process.poll() is not None

    wait_until(ended)
    assert running.process.returncode == 7
    assert len(set(said(running, "shutdown"))) == 2


def test_a_factory_gives_each_thread_its_own_app(start: Any) -> None:
    running = start("make_app", "--factory")
    assert len(answers_of(running.url, 2)) == 2
    assert running.stop() == 0


@pytest.mark.parametrize("arguments", [("one",), ("same", "--factory")])
def test_one_app_cannot_be_served_by_several_threads(start: Any, arguments: tuple[str, ...]) -> None:
    running = start(*arguments)
    assert running.process.wait(20) == 2
    assert "each thread needs one" in running.said
    assert running.said.count("\n") == 1


@pytest.mark.parametrize("given", ["0", "-1", "1025", "x"])
def test_wrong_numbers(command: Any, given: str) -> None:
    running = command("app:run", f"--threads-per-worker={given}")
    assert running.process.wait(20) == 2
    assert "--threads-per-worker: must be" in running.said
