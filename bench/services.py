"""What an application needs beside its server: Redis, as Debian ships it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping

from harness import START_TIMEOUT, BenchmarkError, pinned

#: The key that applications read, and what is there.
KEY, VALUE = "greeting", "Hello, World!"
ADDRESS = "BENCH_REDIS"


def free_port() -> int:
    """Returns a port of 127.0.0.1 that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def redis(cpu: int | None) -> Iterator[Mapping[str, str]]:
    """Runs a Redis that keeps nothing on disk, on a free port of 127.0.0.1, while inside; gives the variable that tells where.

    Raises BenchmarkError when there is none, or when it does not answer.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise BenchmarkError("redis-server is missing; on Debian: apt-get install redis-server")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="socketify-redis-") as folder:
        command = [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", folder]
        with pinned(cpu):
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            _fill(process, port)
            yield {ADDRESS: f"redis://127.0.0.1:{port}"}
        finally:
            process.terminate()
            process.wait()


def _fill(process: subprocess.Popen[bytes], port: int) -> None:
    """Sets the key as soon as Redis listens."""
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as connection:
                connection.sendall(f'SET {KEY} "{VALUE}"\r\n'.encode())
                if connection.recv(64) == b"+OK\r\n":
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise BenchmarkError("redis-server does not answer")
