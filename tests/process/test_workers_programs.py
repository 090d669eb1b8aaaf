"""Programs that serve with several workers, without the command."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from cli_command import MODULE, ROOT, children
from server_programs import GET
from waiting import wait_until


@pytest.mark.parametrize("place", ["port", "path"])
def test_workers_of_a_program_lose_nothing_when_one_is_replaced(tmp_path: Path, place: str) -> None:
    """They listen on sockets that the supervisor keeps: what waits in the backlog is the successor's."""
    where = "0" if place == "port" else f"AppListenOptions(domain={str(tmp_path / 's')!r})"
    program = (
        "import os\nfrom socketify import AppListenOptions, WSGI\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [])\n    return [b'%d' % os.getpid()]\n"
        f"WSGI(application).listen({where}, lambda config: print(config.port, flush=True)).run(workers=2)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        wait_until(lambda: len(children(process.pid)) == 2)
        before = set(children(process.pid))
        process.send_signal(signal.SIGHUP)
        seen: set[int] = set()
        while not seen or not set(children(process.pid)).isdisjoint(before) or len(children(process.pid)) != 2:
            with socket.socket(socket.AF_INET if place == "port" else socket.AF_UNIX) as connection:
                connection.settimeout(10)
                connection.connect(("127.0.0.1", port) if place == "port" else str(tmp_path / "s"))
                connection.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                answer = b""
                while piece := connection.recv(1000):
                    answer += piece
                assert answer.startswith(b"HTTP/1.1 200 "), answer
                seen.add(int(answer.split()[-1]))
        process.terminate()
        assert process.wait(20) == -signal.SIGTERM
        assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("block", [True, False])
@pytest.mark.parametrize("workers", ["workers=2", "1, worker_options=WorkerOptions()"])
def test_servers_run_several_workers(tmp_path: Path, block: bool, workers: str) -> None:
    program = (
        "import time\nfrom app import wsgi\nfrom socketify import WSGI, WorkerOptions\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [str(environ['wsgi.multiprocess']).encode()]\n"
        "server = WSGI(application).listen(0, lambda config: print(config.port, flush=True))\n"
        f"server.run({workers}, block={block})\n"
    )
    if not block:
        program += "input()\nserver.close()\n"
    (tmp_path / "app.py").write_text(MODULE)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = int(process.stdout.readline())
        answers: list[str] = []

        def answered() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                answers.append(httpx.get(f"http://127.0.0.1:{port}/").text)
            return bool(answers)

        wait_until(answered)
        assert answers == ["True"]
        if block:
            process.terminate()
        else:
            process.stdin.write("\n")
            process.stdin.flush()
        assert process.wait(20) == (-signal.SIGTERM if block else 0)


@pytest.mark.parametrize("block", [True, False])
def test_workers_whose_application_refuses_to_start(tmp_path: Path, block: bool) -> None:
    program = (
        "from socketify import ASGI\n"
        "async def app(scope, receive, send):\n"
        "    await receive()\n"
        "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})\n"
        "try:\n"
        f"    ASGI(app).listen(0).run(workers=2, block={block})\n"
        "except RuntimeError as error:\n"
        "    print(error)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert "the workers do not serve" in found.stdout
    assert "no database" in found.stderr
    assert "Traceback" not in found.stderr


def test_workers_that_do_not_block_serve_when_run_returns(tmp_path: Path) -> None:
    """Also in a program with other threads, whose forks CPython warns of, and where warnings are errors."""
    program = (
        "import threading\nfrom app import wsgi\nfrom socketify import WSGI\nimport urllib.request\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "ports = []\n"
        "server = WSGI(wsgi).listen(0, lambda config: ports.append(config.port))\n"
        "server.run(workers=2, block=False)\n"
        "print(urllib.request.urlopen(f'http://127.0.0.1:{ports[0]}/').read().decode())\n"
        "server.close()\n"
    )
    (tmp_path / "app.py").write_text(MODULE)
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
    )
    assert found.stdout.startswith("wsgi")


def test_a_function_is_served_by_several_workers(tmp_path: Path) -> None:
    program = (
        "import os, socketify\n"
        "def run(app):\n    app.get('/', lambda res, req: res.end(str(os.getpid())))\n"
        "socketify.serve(run, port=0, workers=2, on_listen=lambda config: print(config.port, flush=True))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        seen: set[str] = set()

        def both() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                seen.add(httpx.get(f"http://127.0.0.1:{port}/").text)
            return len(seen) == 2

        wait_until(both)
        assert str(process.pid) not in seen
        process.terminate()
        assert process.wait(20) == -signal.SIGTERM


SERVES = "socketify.serve(run, port=0, workers=2, on_listen=listening)"
LISTENS = (
    "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'here']\n"
    "socketify.WSGI(application).listen(WHERE, listening).run(workers=2)"
)
IN_A_THREAD = (
    "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
    + LISTENS.replace("socketify.WSGI", "server = socketify.WSGI").replace(".run(workers=2)", "\nserver.run(block=False)")
    + "\nsignal.sigwait([signal.SIGTERM])\nserver.close()"
)
PATH = "socketify.AppListenOptions(domain='socket')"


@pytest.mark.parametrize(
    "serves", [SERVES, LISTENS, LISTENS.replace("WHERE", PATH), IN_A_THREAD, IN_A_THREAD.replace("WHERE", PATH)]
)
def test_who_connects_as_soon_as_it_listens_is_served(tmp_path: Path, serves: str) -> None:
    program = (
        "import signal, socket, threading, socketify\n"
        "def listening(config):\n"
        "    client = socket.socket(socket.AF_UNIX if config.domain else socket.AF_INET)\n"
        "    client.connect(config.domain or ('127.0.0.1', config.port))\n"
        "    client.sendall(b'GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n')\n"
        "    def tell():\n"
        "        try:\n            print(client.recv(1000), flush=True)\n"
        "        except OSError as error:\n            print(error, flush=True)\n"
        "    threading.Thread(target=tell).start()\n"
        "def run(app):\n    app.get('/', lambda res, req: res.end('here'))\n" + serves.replace("WHERE", "0")
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path) as process:
        assert process.stdout is not None
        try:
            assert "here" in process.stdout.readline()
        finally:
            process.terminate()
            process.wait(20)
    assert not list(tmp_path.iterdir())
