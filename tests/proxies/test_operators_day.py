"""The day that docs/deployment.md describes: its files and commands, with the real systemd, nginx, curl and logrotate.

There is no systemd that runs, so ``systemctl`` means what the units say, and ``systemd-socket-activate`` opens the socket. What
the page puts on a machine is put below the folder of the test.
"""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
from front import NGINX_BEGINNING, USER, free_port
from tls_files import Files

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "deployment.md").read_text().partition("\n## An operator's day\n")[2].partition("\n## ")[0]
HOST = "shop.example.org"
PROGRAMS = ("nginx", "systemd-socket-activate", "systemd-analyze", "logrotate", "curl")
NGINX = (
    NGINX_BEGINNING
    + """  include {folder}/etc/nginx/conf.d/*.conf;
}}
"""
)

ANSWERS = tuple((200, f'{{"version": {number}}}') for number in (1, 2))

pytestmark = pytest.mark.skipif(not all(map(shutil.which, PROGRAMS)), reason="some of its programs are not installed")


def blocks(heading: str, kind: str) -> list[str]:
    """Return the blocks of a language below a heading of the page."""
    section = PAGE.partition(f"\n### {heading}\n")[2].partition("\n### ")[0]
    found = re.findall(rf"^```{kind}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert found, f"{heading}: no {kind}"
    return found


class Load:
    """Clients that ask all the time, and remember what they were answered."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._stops = False
        self.answers: dict[int, Any] = {}
        self._threads = [threading.Thread(target=self._ask, args=[number]) for number in range(4)]

    def _ask(self, number: int) -> None:
        connection = self._machine.connection()
        while not self._stops:
            number += len(self._threads)
            try:
                self.answers[number] = self._machine.ask(connection, f"/?n={number}")
            except (OSError, ValueError) as error:
                self.answers[number] = error
                connection.close()
            # As fast as clients can would be a test of the machine.
            time.sleep(0.005)
        connection.close()

    def __enter__(self) -> Load:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stops = True
        for each in self._threads:
            each.join(20)


class Machine:
    """A machine with what the page puts on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, metrics = free_port(), free_port()
        self.certificates = Files(folder)
        self._service: Any = None
        self._nginx: Any = None
        self._notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notified.bind(str(folder / "notify"))
        self._notified.settimeout(20)
        self.journal = folder / "journal"
        self.journal.touch()
        self.waits = 0
        #: What stands on the page, and what it is here.
        self._places = {
            "/etc/ssl/certs/ca-certificates.crt": self.certificates.ca_file,
            "127.0.0.1:9100": f"127.0.0.1:{metrics}",
            "/srv/shop/bin/python": sys.executable,
            "listen 443": f"listen 127.0.0.1:{self.port}",
            "--timeout-worker 30": "--timeout-worker 4",
            **{place: str(folder) + place for place in ("/etc/", "/srv/", "/var/", "/run/")},
        }
        for place in (
            "etc/nginx/conf.d",
            "etc/systemd/system",
            "etc/logrotate.d",
            "etc/shop",
            "srv/shop",
            "var/log/shop",
            "run/shop",
        ):
            (folder / place).mkdir(parents=True)
        # Whoever drops its privileges must still reach its files.
        folder.chmod(0o755)
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, user=USER))
        self._shim("nginx", f"-p {folder} -c {folder}/nginx.conf")
        self._shim("logrotate", f"--state {folder}/logrotate.state")
        (folder / ".curlrc").write_text(
            f"cacert = {self.certificates.ca_file}\nconnect-to = {HOST}:443:127.0.0.1:{self.port}\nsilent\nshow-error\n"
        )
        path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        self._environment = {**os.environ, "PATH": path, "CURL_HOME": str(folder)}
        self.renew()

    def _shim(self, program: str, arguments: str) -> None:
        """Let a program find its files in the folder."""
        path = self.folder / "bin" / program
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\nexec {shutil.which(program)} {arguments} "$@"\n')
        path.chmod(0o755)

    def here(self, text: str) -> str:
        """Return text of the page with the places of this machine."""
        return re.sub("|".join(map(re.escape, self._places)), lambda found: self._places[found[0]], text)

    def put(self, text: str) -> Path:
        """Write a file whose first line names it."""
        path = Path(self.here(text.partition("\n")[0].removeprefix("# ")))
        path.write_text(self.here(text))
        return path

    # ---- what is not there, or is not the test's business

    def renew(self) -> None:
        """Do what certbot does."""
        made = self.certificates.issue("shop", HOST)
        for kind, path in (("key", made["key_file_name"]), ("cert", made["cert_file_name"])):
            Path(path).replace(self.folder / "etc" / "shop" / f"{kind}.pem")

    def _unit(self, name: str) -> configparser.ConfigParser:
        unit = configparser.ConfigParser(interpolation=None)
        unit.optionxform = str  # type: ignore[assignment, method-assign]
        unit.read_string((self.folder / "etc/systemd/system" / name).read_text().replace("\\\n", " "))
        return unit

    def start(self) -> None:
        service = self._unit("shop.service")["Service"]
        listening = self._unit("shop.socket")["Socket"]["ListenStream"]
        variables = {"NOTIFY_SOCKET": str(self.folder / "notify"), "PYTHONPATH": str(ROOT)}
        passed = [argument for name, value in variables.items() for argument in ("-E", f"{name}={value}")]
        command = ["systemd-socket-activate", "-l", listening, *passed, *shlex.split(service["ExecStart"])]
        with self.journal.open("w") as journal:
            self._service = subprocess.Popen(command, cwd=service["WorkingDirectory"], stdout=journal, stderr=journal)
        with socket.socket(socket.AF_UNIX) as client:
            # The service begins with the first client, where systemd starts what is enabled.
            self.until(lambda: client.connect_ex(listening) == 0, "no socket")
            assert self._notified.recv(100) == b"READY=1"

    def systemctl(self, *arguments: str) -> None:
        if arguments[0] == "daemon-reload":
            folder = self.folder / "etc/systemd/system"
            checked = subprocess.run(
                ["systemd-analyze", "verify", "--man=no", folder / "shop.service", folder / "shop.socket"],
                env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert "shop." not in checked.stderr, checked.stderr
        elif arguments[0] == "enable":
            self.start()
        elif arguments[0] == "reload":
            command = self._unit("shop.service")["Service"]["ExecReload"].replace("$MAINPID", str(self._service.pid))
            subprocess.run(["sh", "-c", command], check=True, timeout=20)
        else:
            assert arguments[0] == "stop"
            self._service.terminate()
            assert self._service.wait(30) == -signal.SIGTERM
            assert self._notified.recv(100) == b"STOPPING=1"

    def start_nginx(self) -> None:
        self._nginx = subprocess.Popen(["nginx", "-g", "daemon off;"], env=self._environment)
        self.until((self.folder / "nginx.pid").exists, "no nginx")

    # ---- commands

    def run(self, command: str, *, may_fail: bool) -> str:
        """Run a command of the page, and return what it says."""
        words = shlex.split(command)
        if words[0] == "systemctl":
            self.systemctl(*words[1:])
            return ""
        if words[0] == "git":
            program = self.folder / "srv/shop/shop.py"
            program.write_text(program.read_text().replace("VERSION = 1", "VERSION = 2"))
            # Python takes a file of the same second and size for the one that it has compiled.
            os.utime(program, times=(time.time(), time.time() + 10))
            return ""
        if words[0] == "certbot":
            self.renew()
            return self.run(words[-1], may_fail=may_fail)
        done = subprocess.run(
            ["sh", "-c", self.here(command)], env=self._environment, capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0 or may_fail, done.stderr
        return done.stdout

    def follow(self, heading: str) -> None:
        """Run the commands below a heading, and wait until each that says something says what stands there."""
        for block in blocks(heading, "console"):
            for part in re.split(r"^# ", block, flags=re.MULTILINE)[1:]:
                command, _, expected = part.strip().partition("\n")
                said = self.run(command, may_fail=bool(expected) or "--max-time" in command).strip()
                while expected and said != expected:
                    self.wait(f"{command} says {said!r}")
                    said = self.run(command, may_fail=True).strip()
                self.waits = 0

    def wait(self, why: str) -> None:
        """Wait a moment, in a loop, and fail if that goes on for too long."""
        self.waits += 1
        assert self.waits < 600, f"{why}: {self.journal.read_text()}"
        time.sleep(0.05)

    def until(self, is_so: Any, why: str) -> None:
        self.waits = 0
        while not is_so():
            self.wait(why)

    def connection(self) -> HTTPSConnection:
        connection = HTTPSConnection("127.0.0.1", self.port, timeout=20, context=self.certificates.client())
        # The name is that of the certificate.
        connection.connect = lambda: connect(connection, self.port)  # type: ignore[method-assign]
        return connection

    def ask(self, connection: HTTPSConnection, path: str = "/") -> tuple[int, str]:
        connection.request("GET", path, headers={"Host": HOST})
        response = connection.getresponse()
        return response.status, response.read().decode()

    def serial_number(self, place: Any) -> str:
        """Return the serial number of the certificate that a server shows."""
        with socket.socket(socket.AF_INET if isinstance(place, tuple) else socket.AF_UNIX) as plain:
            plain.settimeout(20)
            plain.connect(place)
            with self.certificates.client().wrap_socket(plain, server_hostname=HOST) as client:
                found = client.getpeercert()
                assert found is not None
                return str(found["serialNumber"])

    def end(self) -> None:
        for process in (self._service, self._nginx):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(20)
        self._notified.close()


def connect(connection: HTTPSConnection, port: int) -> None:
    plain = socket.create_connection(("127.0.0.1", port), 20)
    connection.sock = connection._context.wrap_socket(plain, server_hostname=HOST)  # type: ignore[attr-defined]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    made.end()


def asked(log: Path) -> set[int]:
    """Return the numbers of the requests of a log."""
    return {int(each) for each in re.findall(r"\?n=(\d+)", log.read_text())}


def test_the_day(machine: Machine) -> None:
    machine.start_nginx()
    (program,) = blocks("It is set up", "python")
    (machine.folder / "srv/shop/shop.py").write_text(program)
    for text in (*blocks("It is set up", "ini"), *blocks("It is set up", "nginx"), *blocks("Logs are rotated", "text")):
        machine.put(text)
    machine.follow("It is set up")
    machine.follow("It is watched")

    log, rotated = machine.folder / "var/log/shop/access.log", machine.folder / "var/log/shop/access.log.1"
    with Load(machine) as load:
        machine.until(lambda: len(load.answers) > 20, "nothing is answered")
        machine.follow("A new version is deployed")
        machine.follow("Logs are rotated")
        machine.until(lambda: log.exists() and len(asked(log)) > 20, "nothing is logged")
    wrong = {number: answer for number, answer in load.answers.items() if answer not in ANSWERS}
    assert not wrong
    assert set(load.answers.values()) == set(ANSWERS)
    machine.until(lambda: asked(log) | asked(rotated) == set(load.answers), "lines are lost")

    unix = str(machine.folder / "run/shop.sock")
    before = machine.serial_number(unix)
    machine.follow("The certificate is renewed")
    machine.follow("A worker is blocked")
    # Three workers, of which any may answer.
    machine.until(lambda: all(machine.serial_number(unix) != before for _ in range(12)), "the certificate is the old one")
    assert machine.serial_number(("127.0.0.1", machine.port)) == machine.serial_number(unix)
    for line in blocks("A worker is blocked", "text")[0].splitlines():
        pattern = re.sub(r"(\\\.|\d)+", r"[\\d.]+", re.escape(machine.here(line)))
        assert re.search(pattern, machine.journal.read_text()), (pattern, machine.journal.read_text())
    machine.follow("It is stopped")
