"""Programs that serve in a process of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
#: What programs pass to ``run``, by the name of a loop.
LOOPS = {
    "uvloop": "",
    "asyncio": "asyncio.new_event_loop",
    "ours": "__import__('socketify.loop.event_loop', fromlist=['']).new_asyncio_loop",
}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def environment(**more: str) -> dict[str, str]:
    """Give an environment in which programs find this package, where it is not installed."""
    kept = dict(os.environ, **more)
    if (ROOT / "socketify" / "native" / "libsocketify.so").exists():
        kept["PYTHONPATH"] = str(ROOT)
    return kept


class Program:
    """A running program. Its first line on standard output ends with its port; ``LOOP`` in its text is the loop's maker.

    Args:
        text: what it does.
        loop: one of :data:`LOOPS`.
        **more: of :class:`subprocess.Popen`.

    """

    def __init__(self, text: str, loop: str = "uvloop", **more: Any) -> None:
        self._text = text.replace("LOOP", LOOPS[loop])
        self._more = more

    def __enter__(self) -> Program:
        self._errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", self._text],
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            **{"env": environment(), **self._more},
        )
        assert self.process.stdout is not None
        self.stdout = self.process.stdout
        line = self.stdout.readline()
        assert line, self.errors
        self.port = int(line.split()[-1])
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.stdout.close()
        self._errors.close()

    @property
    def errors(self) -> str:
        """What it wrote on standard error."""
        self._errors.seek(0)
        return self._errors.read()

    def connect(self, sent: bytes = b"") -> socket.socket:
        """Open a connection and send something."""
        connection = socket.create_connection(("127.0.0.1", self.port), 10)
        connection.sendall(sent)
        return connection

    def send_signal(self, number: int = signal.SIGTERM) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def wait(self, seconds: float = 10) -> int:
        """Give the exit status."""
        return self.process.wait(seconds)

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Stop it by a signal, of which it ends; gives the seconds that it took."""
        began = time.monotonic()
        self.send_signal(number)
        assert self.wait(20) == -number, self.errors
        return time.monotonic() - began
