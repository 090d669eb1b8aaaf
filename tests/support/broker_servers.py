"""Servers of Redis and NATS, as Debian ships them, in folders and on ports of their own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Optional

import pytest
from waiting import wait_until

#: Servers have no use for a sanitizer that this process may have.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
#: Options that show a silent server soon.
QUICK = "ping_interval=0.4&timeout=0.8"


def free_port() -> int:
    """Return a port that nobody has at the moment, and whose number leaves room for the bus of a cluster."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port < 55536:
            return port


class BrokerServer:
    """A server that can be killed, started again on its port, and stopped for a while.

    Args:
        *options: of its command line.
        host: where it listens.

    """

    program = ""
    #: What a client sends, and what the answer begins with when the server is ready.
    greeting = (b"", b"")

    def __init__(self, *options: str, host: str = "127.0.0.1") -> None:
        if shutil.which(self.program) is None:
            pytest.skip(f"{self.program} is not installed")
        self.host, self.port, self._options = host, free_port(), options
        self._folder = tempfile.TemporaryDirectory(prefix="socketify-broker-")
        self.folder = Path(self._folder.name)
        self.process: Optional[subprocess.Popen[bytes]] = None

    def __enter__(self) -> BrokerServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._folder.cleanup()

    def command(self) -> list[str]:
        """Return the command line."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            command = [*self.command(), *self._options]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, env=ENVIRONMENT)
        wait_until(self._answers)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        sent, expected = self.greeting
        try:
            with socket.create_connection((self.host, self.port), 5) as connection:
                connection.sendall(sent)
                return not expected or connection.recv(256).startswith(expected)
        except OSError:
            return False

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def suspend(self) -> None:
        """Let it do nothing until :meth:`resume`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def url(self, query: str = QUICK) -> str:
        """Return what a broker is told."""
        raise NotImplementedError


class RedisServer(BrokerServer):
    """A Redis that keeps nothing on disk."""

    program = "redis-server"
    greeting = (b"PING\r\n", b"")

    def command(self) -> list[str]:
        return [
            *(self.program, "--bind", self.host, "--port", str(self.port), "--dir", str(self.folder)),
            *("--save", "", "--appendonly", "no", "--protected-mode", "no"),
        ]

    def url(self, query: str = QUICK) -> str:
        return f"redis://{self.host}:{self.port}?{query}"

    def cli(self, *arguments: str) -> str:
        """Run redis-cli, and return what it says."""
        command = ["redis-cli", "-h", self.host, "-p", str(self.port), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True, env=ENVIRONMENT)
        return done.stdout.strip()


class NatsServer(BrokerServer):
    """A NATS without JetStream."""

    program = "nats-server"
    greeting = (b"", b"INFO")

    def command(self) -> list[str]:
        return [self.program, "-a", self.host, "-p", str(self.port)]

    def url(self, query: str = QUICK) -> str:
        return f"nats://{self.host}:{self.port}?{query}"

    def configure(self, text: str) -> None:
        """Write a configuration, for the next start."""
        path = self.folder / "nats.conf"
        path.write_text(text)
        self._options = ("-c", str(path))


#: By the name of a test's parameter.
SERVERS: dict[str, type[BrokerServer]] = {"redis": RedisServer, "nats": NatsServer}
