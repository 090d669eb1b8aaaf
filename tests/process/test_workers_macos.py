"""Processes where the system is less than Linux: what macOS has not, or does otherwise, by tests/support/macos."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from cli_command import LIKE_MACOS, ROOT, children
from waiting import wait_until

# What ctypes.util imports there; Debian's CPython 3.14 comes without.
pytest.importorskip("ctypes.macholib")

APP = """
import os, sys, time

def sleep_for_long():
    time.sleep(600)

def run(app):
    assert sys.platform == "darwin"
    app.get("/", lambda res, req: res.end(str(os.getpid())))
    app.get("/sleep", lambda res, req: sleep_for_long())
    app.static("/files", ".")
"""


@pytest.fixture
def like_macos(command: Any, tmp_path: Path) -> Any:
    (tmp_path / "program.py").write_text(APP)

    def start(*more: str) -> Any:
        return command("program:run", "--port", "0", *more, env=LIKE_MACOS)

    return start


def listening(pid: int) -> set[str]:
    """Return the sockets of TCP that a process listens on, by their numbers in the kernel."""
    mine = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        found = re.fullmatch(r"socket:\[(\d+)\]", str(each.readlink()))
        if found is not None:
            mine.add(found[1])
    lines = (line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:])
    return {line[9] for line in lines if line[3] == "0A"} & mine


def ended(pids: list[int]) -> bool:
    """Return whether all have ended, whoever waits for them."""
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                return False
    return True


@pytest.mark.parametrize("more", [("--loop", "asyncio"), ("--threads-per-worker", "2")])
def test_workers_share_a_socket_and_are_replaced_stopped_and_renewed(like_macos: Any, more: tuple[str, ...]) -> None:
    # Nothing wakes up the supervisor but what happens.
    running = like_macos("--workers", "2", "--timeout-worker", "0", *more)
    url, first = running.url, children(running.process.pid)
    assert len({frozenset(listening(each)) for each in (running.process.pid, *first)}) == 1
    os.kill(first[0], signal.SIGKILL)
    running.wait_for(rf"worker [12] \(pid {first[0]}\) ended with signal 9 and is replaced in 0.0 s")
    wait_until(lambda: len(children(running.process.pid)) == 2)
    assert int(httpx.get(url).text) in children(running.process.pid)
    before = children(running.process.pid)
    running.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(now := children(running.process.pid)) == 2 and not set(now) & set(before))
    running.process.send_signal(signal.SIGTTIN)
    wait_until(lambda: len(children(running.process.pid)) == 3)
    assert int(httpx.get(url).text) in children(running.process.pid)
    last = children(running.process.pid)
    assert running.stop() == 0
    assert ended(last)


def test_workers_end_with_a_supervisor_that_is_killed(like_macos: Any) -> None:
    running = like_macos("--workers", "2", "--metrics", "127.0.0.1:0")
    assert running.url
    workers = children(running.process.pid)
    # Two workers, and who answers for the metrics.
    assert len(workers) == 3
    running.process.kill()
    wait_until(lambda: ended(workers))


def test_a_server_that_reloads_ends_with_who_watches(like_macos: Any) -> None:
    running = like_macos("--reload")
    assert httpx.get(running.url).status_code == 200
    served = children(running.process.pid)
    assert served
    running.process.kill()
    wait_until(lambda: ended(served))


def test_a_worker_that_is_blocked_says_by_what(like_macos: Any) -> None:
    running = like_macos("--workers", "2", "--timeout-worker", "1")
    port = int(running.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 20) as client:
        client.sendall(b"GET /sleep HTTP/1.1\r\nHost: a\r\n\r\n")
        running.wait_for(r"has not answered for \S+ s: it is killed, and replaced")
        running.wait_for(r"program.py\", line \d+ in sleep_for_long\n")
    assert running.stop() == 0


def test_memory_and_descriptors_are_known(like_macos: Any) -> None:
    running = like_macos("--workers", "1", "--metrics", "127.0.0.1:0", "--max-rss", "1G")
    assert running.url
    text = httpx.get(f"http://{running.wait_for(r'metrics on ([0-9.:]+)')}/metrics").text
    assert float(re.search(r"process_resident_memory_bytes\{.*?\} (\S+)", text)[1]) > 1_000_000  # type: ignore[index]
    assert float(re.search(r"process_open_fds\{.*?\} (\S+)", text)[1]) > 3  # type: ignore[index]
    assert running.stop() == 0


def test_files_are_sent_and_found_again(like_macos: Any, tmp_path: Path) -> None:
    (tmp_path / "large.bin").write_bytes(os.urandom(3_000_000))
    (tmp_path / "small.txt").write_text("small")
    (tmp_path / "link.txt").symlink_to(tmp_path / "small.txt")
    (tmp_path / "out.txt").symlink_to("/etc/passwd")
    running = like_macos()
    for _ in range(2):
        assert httpx.get(f"{running.url}/files/large.bin").content == (tmp_path / "large.bin").read_bytes()
        assert httpx.get(f"{running.url}/files/small.txt").text == "small"
        assert httpx.get(f"{running.url}/files/link.txt").text == "small"
        assert httpx.get(f"{running.url}/files/out.txt").status_code == 404
    # A client that leaves while the kernel copies is nobody's fault.
    with socket.create_connection(("127.0.0.1", int(running.url.rpartition(":")[2])), 20) as client:
        client.sendall(b"GET /files/large.bin HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(1000)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert httpx.get(f"{running.url}/files/small.txt").text == "small"
    assert running.stop() == 0
    assert "Traceback" not in running.said


def test_a_socket_that_listens_already_is_served(command: Any, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(APP)
    with socket.create_server(("127.0.0.1", 0)) as given:
        program = "import sys\nfrom socketify.cli import main\nsys.exit(main())"
        environment = {**os.environ, **LIKE_MACOS}
        arguments = [sys.executable, "-c", program, "program:run", "--fd", str(given.fileno()), "--workers", "2"]
        with subprocess.Popen(
            arguments,
            cwd=tmp_path,
            env=environment,
            pass_fds=[given.fileno()],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert "Listening" in process.stdout.readline()
            assert httpx.get(f"http://127.0.0.1:{given.getsockname()[1]}/").status_code == 200
            process.terminate()
            assert process.wait(20) == -signal.SIGTERM


PARENT = """
import os, signal, sys, time
from socketify import ASGI

async def application(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})

server = ASGI(application, lifespan="off")
server.listen(0, lambda config: None)
server.run(2, block=False, threads=2)
# Whoever else is forked must not keep alive what is to end with this process.
child = os.fork()
if not child:
    time.sleep(600)
print(server._supervisor, child, flush=True)
time.sleep(600)
"""


def test_a_supervisor_beside_a_program_ends_with_it() -> None:
    environment = {**os.environ, **LIKE_MACOS}
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        supervisor, other = map(int, program.stdout.readline().split())
        workers = children(supervisor)
        assert len(workers) == 2
        program.kill()
        try:
            wait_until(lambda: ended([supervisor, *workers]))
        finally:
            os.kill(other, signal.SIGKILL)
