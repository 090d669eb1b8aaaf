"""Sockets that systemd gives, and what it hears."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
from cli_command import MODULE, ROOT


def test_systemd_gives_the_socket_and_hears_that_it_is_ready(command: Any, tmp_path: Path) -> None:
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.bind(str(tmp_path / "notify"))
    heard.settimeout(20)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        descriptor = os.dup(listening.fileno())
        os.set_inheritable(descriptor, True)
        # systemd hands it over as the first descriptor behind the standard ones.
        program = (
            "import os, sys\n"
            f"os.dup2({descriptor}, 3)\n"
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')\n"
            "from socketify.cli import main\nsys.exit(main(['app:wsgi']))\n"
        )
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}",
        }
        (tmp_path / "app.py").write_text(MODULE)
        with subprocess.Popen([sys.executable, "-c", program], env=environment, pass_fds=[descriptor]) as process:
            assert heard.recv(100) == b"READY=1"
            assert httpx.get(f"http://127.0.0.1:{listening.getsockname()[1]}/").text.startswith("wsgi")
            process.terminate()
            assert process.wait(20) == -signal.SIGTERM
        os.close(descriptor)
    heard.close()


def test_systemd_may_give_several_sockets(command: Any, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(MODULE)
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        kept = [os.dup(first.fileno()), os.dup(second.fileno())]
        # Moved out of the way first: one of them may be where the other goes.
        program = (
            "import os, sys\n"
            f"high = [os.dup({kept[0]}), os.dup({kept[1]})]\n"
            "import fcntl\n"
            "high = [fcntl.fcntl(each, fcntl.F_DUPFD, 100) for each in high]\n"
            "os.dup2(high[0], 3)\nos.dup2(high[1], 4)\n"
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='2')\n"
            "from socketify.cli import main\nsys.exit(main(['app:wsgi', '--workers', '2']))\n"
        )
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
        with subprocess.Popen(
            [sys.executable, "-c", program], env=environment, pass_fds=kept, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            said = process.stdout.readline()
            for each in (first, second):
                port = each.getsockname()[1]
                assert f"http://127.0.0.1:{port}" in said
                assert httpx.get(f"http://127.0.0.1:{port}/").text.startswith("wsgi")
            process.terminate()
            assert process.wait(20) == -signal.SIGTERM
        for each in kept:
            os.close(each)


def test_systemd_hears_when_all_workers_serve(command: Any, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(20)
        running = command("app:asgi", "--workers", "2", "--port", "0", env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        assert heard.recv(100) == b"READY=1"
        assert httpx.get(running.url).status_code == 200
        assert running.stop() == 0
        assert heard.recv(100) == b"STOPPING=1"
