"""Several workers under load: what is lost when one is killed, and when all are replaced."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from cli_command import MODULE, children
from tls_files import Files
from waiting import wait_until
from websockets.sync.client import connect

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class Clients:
    """Threads that do the same until they are stopped."""

    def __init__(self, port: int, clients: int) -> None:
        self.port = port
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(20)

    def _ask(self) -> None:
        """Go on until it is told to stop."""


class Load(Clients):
    """Clients that ask as fast as they can, each on new connections or on one."""

    def __init__(self, port: int, clients: int, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.answered = self.lost = 0
        self._lock = threading.Lock()
        super().__init__(port, clients)

    def _ask(self) -> None:
        while not self._stopping.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
                    self._ask_on(connection)
            except OSError:
                with self._lock:
                    self.lost += 1

    def _ask_on(self, connection: socket.socket) -> None:
        while not self._stopping.is_set():
            connection.sendall(GET)
            answer = b""
            while b"\r\n\r\n" not in answer or b"asgi" not in answer:
                part = connection.recv(4096)
                if not part:
                    raise ConnectionResetError
                answer += part
            with self._lock:
                self.answered += 1
            if not self.keep_alive or b"connection: close" in answer.lower():
                return


def start(command: Any, *more: str, verify: Any = True) -> tuple[Any, int]:
    running = command("app:asgi", "--workers", "2", "--port", "0", *more)
    port = int(running.url.rpartition(":")[2])
    wait_until(lambda: len(children(running.process.pid)) == 2)
    assert httpx.get(running.url, verify=verify).status_code == 200
    return running, port


@pytest.mark.parametrize("keep_alive", [False, True])
def test_killing_a_worker_loses_only_what_it_had_in_flight(command: Any, keep_alive: bool) -> None:
    running, port = start(command)
    clients = 8
    load = Load(port, clients, keep_alive)
    time.sleep(1)
    killed = children(running.process.pid)[0]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: len(children(running.process.pid)) == 2 and killed not in children(running.process.pid))
    time.sleep(1)
    load.stop()
    print(f"kill -9, keep-alive {keep_alive}: {load.answered} answered, {load.lost} lost")
    assert load.lost <= clients
    assert load.answered > 100
    assert running.stop() == 0


@pytest.mark.parametrize("keep_alive", [False, True])
def test_a_rolling_restart_loses_nothing(command: Any, keep_alive: bool) -> None:
    running, port = start(command)
    before = set(children(running.process.pid))
    load = Load(port, 8, keep_alive)
    time.sleep(0.5)
    running.process.send_signal(signal.SIGHUP)

    def replaced() -> bool:
        now = set(children(running.process.pid))
        return len(now) == 2 and not now & before

    wait_until(replaced)
    time.sleep(0.5)
    load.stop()
    print(f"rolling restart, keep-alive {keep_alive}: {load.answered} answered, {load.lost} lost")
    assert load.lost == 0
    assert load.answered > 100
    assert running.stop() == 0


SLOW = """
import asyncio

def run(app):
    async def slow(res, req):
        await asyncio.sleep(2)
        res.end("slow")

    app.get("/", lambda res, req: res.end("quick")).get("/slow", slow)
"""


def test_a_second_rolling_restart_leaves_those_alone_who_leave_already(command: Any, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    running = command("slow:run", "--workers", "2", "--port", "0")
    url, first = running.url, set(children(running.process.pid))
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=10) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        running.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(set(children(running.process.pid)) - first) == 2)
        second = set(children(running.process.pid)) - first
        running.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not set(children(running.process.pid)) & second)
        # The worker that has it was told to stop once: a second time would have cut it.
        assert connection.recv(1000).endswith(b"\r\n\r\nslow")
    wait_until(lambda: len(children(running.process.pid)) == 2)
    assert not set(children(running.process.pid)) & (first | second)
    assert running.stop() == 0


def test_certificates_are_renewed_in_all_workers(command: Any, tmp_path: Path) -> None:
    files = Files(tmp_path)
    given = files.issue("server", "localhost", "before.test", "127.0.0.1")
    flags = ("--ssl-certfile", given["cert_file_name"], "--ssl-keyfile", given["key_file_name"])
    context = files.threaded_client()
    running, port = start(command, *flags, verify=context)
    workers = set(children(running.process.pid))

    def name() -> str:
        with context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10), server_hostname="localhost") as shaken:
            found: Any = shaken.getpeercert()
        return str(found["subjectAltName"][1][1])

    # Connections reach either worker by chance.
    assert {name() for _ in range(20)} == {"before.test"}
    with connect(f"wss://localhost:{port}", ssl=context) as ws:
        files.issue("server", "localhost", "after.test", "127.0.0.1")
        running.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: {name() for _ in range(20)} == {"after.test"})
        ws.send("still here")
        assert ws.recv(timeout=10) == "asgi still here"
    assert set(children(running.process.pid)) == workers
    assert running.stop() == 0


def test_workers_without_certificates_do_not_mind(command: Any) -> None:
    running, port = start(command)
    workers = set(children(running.process.pid))
    running.process.send_signal(signal.SIGUSR1)
    time.sleep(0.3)
    assert httpx.get(f"http://127.0.0.1:{port}").status_code == 200
    assert set(children(running.process.pid)) == workers
    assert running.stop() == 0


def test_no_orphans(command: Any) -> None:
    running, _ = start(command)
    workers = children(running.process.pid)
    running.process.kill()
    running.process.wait()

    def gone() -> bool:
        for pid in workers:
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    return False
        return True

    wait_until(gone)


def test_workers_that_die_at_once_are_given_up(command: Any, tmp_path: Path) -> None:
    (tmp_path / "dies.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    running = command("dies:app", "--workers", "2", "--port", "0")
    assert running.process.wait(30) == 1
    assert "giving up" in running.said


def test_requests_that_kill_their_workers_do_not_end_the_others(command: Any, tmp_path: Path) -> None:
    (tmp_path / "dies.py").write_text(
        "import os, signal\ndef run(app):\n    app.get('/', lambda res, req: res.end('ok'))\n"
        "    app.get('/die', lambda res, req: os.kill(os.getpid(), signal.SIGKILL))\n"
    )
    running = command("dies:run", "--workers", "2", "--port", "0")
    url = running.url
    deaths = 0
    while deaths < 8:
        with contextlib.suppress(httpx.HTTPError):
            assert httpx.get(url, timeout=5).text == "ok"
        with contextlib.suppress(httpx.ReadError, httpx.RemoteProtocolError):
            httpx.get(url + "/die", timeout=5)
        deaths = running.said.count("ended with signal 9 and is replaced")
    assert "ERROR" in running.said
    assert "giving up" not in running.said
    assert httpx.get(url, timeout=5).text == "ok"
    assert running.stop() == 0


class Handshakes(Clients):
    """Clients that open websockets as fast as they can."""

    def __init__(self, port: int, clients: int) -> None:
        self.opened = 0
        self.refused: list[bytes] = []
        super().__init__(port, clients)

    def _ask(self) -> None:
        while not self._stopping.is_set():
            answer = b""
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
                    connection.sendall(HANDSHAKE)
                    answer = connection.recv(4096)
            except OSError as error:
                answer = repr(error).encode()
            if answer.startswith(b"HTTP/1.1 101 "):
                self.opened += 1
            else:
                self.refused.append(answer)


@pytest.mark.parametrize("interface", ["asgi", "run"])
def test_a_rolling_restart_refuses_no_websocket(command: Any, interface: str) -> None:
    running = command(f"app:{interface}", "--workers", "2", "--port", "0")
    port = int(running.url.rpartition(":")[2])
    clients = Handshakes(port, 8)
    roll(running)
    roll(running)
    clients.stop()
    print(f"rolling restarts: {clients.opened} websockets opened, refused: {clients.refused}")
    assert clients.refused == []
    assert clients.opened > 100
    assert running.stop() == 0


def roll(running: Any) -> None:
    before = set(children(running.process.pid))
    running.process.send_signal(signal.SIGHUP)

    def replaced() -> bool:
        now = set(children(running.process.pid))
        return len(now) == 2 and not now & before

    wait_until(replaced)


def test_a_second_interrupt_does_not_wait(command: Any, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import asyncio\nasync def slow(res, req):\n    await asyncio.sleep(60)\n    res.end('late')\n"
        "def run(app):\n    app.get('/', lambda res, req: res.end('ok')).get('/slow', slow)\n"
    )
    running = command("slow:run", "--workers", "2", "--port", "0")
    port = int(running.url.rpartition(":")[2])
    assert httpx.get(running.url).text == "ok"
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(GET.replace(b"/ ", b"/slow "))
        time.sleep(0.5)
        running.process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert running.process.poll() is None
        running.process.send_signal(signal.SIGINT)
        running.process.wait(5)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_who_comes_while_it_stops_is_refused(command: Any, tmp_path: Path, workers: str) -> None:
    (tmp_path / "slow.py").write_text(
        "import asyncio\nasync def slow(res, req):\n    await asyncio.sleep(2)\n    res.end('late')\n"
        "def run(app):\n    app.get('/', slow)\n"
    )
    running = command("slow:run", "--workers", workers, "--port", "0")
    port = int(running.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(10)
        connection.sendall(GET)
        time.sleep(0.5)
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        # A request in flight is answered all the same.
        assert connection.recv(1000).endswith(b"late")
    assert running.process.wait(20) == -signal.SIGTERM


def test_a_worker_is_replaced_after_its_requests(command: Any) -> None:
    running = command("app:asgi", "--port", "0", "--limit-max-requests", "5")
    seen = set()
    deadline = time.monotonic() + 20
    # Its successor serves when it leaves: nobody is refused, and nobody waits for those who are still served.
    with socket.create_connection(("127.0.0.1", int(running.url.rpartition(":")[2]))) as half:
        half.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        while len(seen) < 3 and time.monotonic() < deadline:
            seen.add(httpx.get(running.url, timeout=10).text.split()[1])
    assert len(seen) >= 3
    assert running.stop() == 0


def test_a_broken_module_does_not_end_workers_that_serve(command: Any, tmp_path: Path) -> None:
    running, _ = start(command)
    workers = children(running.process.pid)
    (tmp_path / "app.py").write_text("raise ValueError('broken meanwhile')\n")
    running.process.send_signal(signal.SIGHUP)
    running.wait_for("the new worker does not serve")
    assert httpx.get(running.url).text.startswith("asgi")
    assert children(running.process.pid) == workers
    os.kill(workers[0], signal.SIGKILL)
    time.sleep(0.5)
    # What replaces it fails too; meanwhile the other one serves, and the file is mended.
    (tmp_path / "app.py").write_text(MODULE)
    wait_until(lambda: len(children(running.process.pid)) == 2)
    assert httpx.get(running.url).text.startswith("asgi")
    assert running.stop() == 0
