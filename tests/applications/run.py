"""Real applications under socketify and under uvicorn: the same requests, the same answers, the same end.

Run by hand, in an environment of its own:

    python -m venv env && env/bin/pip install -r tests/applications/requirements.txt
    env/bin/python tests/applications/run.py [NAME...]

Every module beside this one has ``app``, a coroutine function ``drive(url)`` that uses it and returns what it saw, and perhaps
``hold(url, stopping)``, which opens what stays open until the server is stopped, and sets the event when it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from transcript import is_same

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NAMES = (
    "compressed",
    "event_stream",
    "observed",
    "graph",
    "socketio_server",
    "channels_site",
    "mcp_server",
    "tables",
    "interface",
    "pages",
)
#: Seconds that the end may take longer than uvicorn's.
_LATER = 1.0
_COMMANDS = {
    "uvicorn": ["uvicorn", "--no-access-log", "--ws-ping-interval", "20"],
    "socketify": ["socketify"],
}
#: Lines of a log that tell of an error.
_ALARMING = re.compile(r"Traceback|^ERROR|Task was destroyed|never retrieved|never awaited")


class Outcome(NamedTuple):
    """What one server did."""

    said: list[Any]
    held: Any
    status: int
    seconds: float
    log: str

    @property
    def alarms(self) -> list[str]:
        return [line for line in self.log.splitlines() if _ALARMING.search(line)]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def wait_until_it_listens(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    listens = False
    while not listens:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            listens = True
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


async def use(module: Any, url: str, process: subprocess.Popen[bytes]) -> tuple[list[Any], Any, float]:
    """Drive, hold, stop: what was seen, and how long the stop took."""
    said = await asyncio.wait_for(module.drive(url), 120)
    held, stopping = None, asyncio.Event()
    if hasattr(module, "hold"):
        held = asyncio.create_task(module.hold(url, stopping))
        await asyncio.wait_for(stopping.wait(), 30)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    await asyncio.get_running_loop().run_in_executor(None, process.wait, 60)
    seconds = time.monotonic() - began
    if held is not None:
        held = await asyncio.wait_for(held, 30)
    return said, held, seconds


def serve(server: str, name: str) -> Outcome:
    """Let one server serve one application."""
    port = free_port()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(HERE), str(ROOT))), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", *_COMMANDS[server], f"{name}:app", "--port", str(port)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            wait_until_it_listens(port, process)
            said, held, seconds = asyncio.run(use(importlib.import_module(name), f"http://127.0.0.1:{port}", process))
            status = process.returncode
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace"))
            raise
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
        log.seek(0)
        return Outcome(said, held, status, seconds, log.read().decode(errors="replace"))


def differences(ours: Outcome, theirs: Outcome) -> list[str]:
    """Tell what our server does otherwise."""
    found = [f"answer {i}:\n    {a}\n    {b}" for i, (a, b) in enumerate(zip(ours.said, theirs.said)) if not is_same(a, b)]
    if len(ours.said) != len(theirs.said):
        found.append(f"answers: {len(ours.said)}, not {len(theirs.said)}")
    if ours.held != theirs.held:
        found.append(f"held: {ours.held!r}, not {theirs.held!r}")
    if ours.seconds > theirs.seconds + _LATER:
        found.append(f"stopped after {ours.seconds:.1f} s, not {theirs.seconds:.1f} s")
    if len(ours.alarms) > len(theirs.alarms):
        found.append(f"alarming lines: {len(ours.alarms)}, not {len(theirs.alarms)}; the log:\n{ours.log}")
    return found


def main() -> int:
    """Compare; the status is the number of applications that differ."""
    sys.path[:0] = [str(HERE), str(ROOT)]
    failed = 0
    for name in sys.argv[1:] or NAMES:
        theirs, ours = serve("uvicorn", name), serve("socketify", name)
        found = differences(ours, theirs)
        failed += bool(found)
        ends = f"{len(ours.said)} answers; stopped after {ours.seconds:.2f} s (status {ours.status}), "
        ends += f"uvicorn {theirs.seconds:.2f} s (status {theirs.status})"
        sys.stdout.write(f"{'DIFFERS' if found else 'same'}: {name}: {ends}\n")
        sys.stdout.writelines(f"  {each}\n" for each in found)
        sys.stdout.flush()
    return failed


if __name__ == "__main__":
    sys.exit(main())
