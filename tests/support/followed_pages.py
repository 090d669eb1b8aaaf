"""Follows a page of the documentation as a reader would: writes its files, types its commands, and compares what it shows."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from server_programs import environment

#: A block with the line before it, which may end with the name of a file.
_BLOCK = re.compile(
    r"^(?:[^\n]*`(?P<name>[\w/-]+\.\w+)`[^`\n]*:\n\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_STARTED = "python -m socketify"
#: What writes elsewhere may be late: such commands are typed until they show what they should.
_LOOKING = ("cat ", "tail ")
_SECONDS = 30


class Reader:
    """Somebody with a terminal for a server and one for the rest, in a folder. Port 8000 is one that is free.

    Args:
        folder: where files are written.

    """

    def __init__(self, folder: Path) -> None:
        self.folder = self._start_folder = folder
        #: What was neither a file nor typed.
        self.left_out: list[str] = []
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        # Its meter is only seen by who is at no terminal.
        (folder / ".curlrc").write_text("no-progress-meter\n")
        self._environment = environment(PATH=programs, CURL_HOME=str(folder))
        self._server: subprocess.Popen[str] | None = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def follow(self, page: Path) -> list[str]:
        """Do what a page says, in its order; returns the files that it wrote and the commands that it typed."""
        return list(self.steps(page))

    def steps(self, page: Path) -> Iterator[str]:
        """Do the same, one after the other."""
        for block in _BLOCK.finditer(page.read_text()):
            name, language, text = block["name"], block["language"], block["text"]
            if language == "console":
                for command, shown in _commands(text.replace(":8000", f":{self.port}")):
                    self._type(command, shown)
                    yield command
            elif name is not None:
                (self.folder / name).write_text(text)
                yield name
            else:
                self.left_out.append(text)

    def stop(self) -> None:
        """Stop the server as Ctrl-C does."""
        if self._server is None:
            return
        self._server.send_signal(signal.SIGINT)
        output, _ = self._server.communicate(timeout=_SECONDS)
        assert self._server.returncode == -signal.SIGINT, output
        self._server = None

    def _type(self, command: str, shown: str) -> None:
        if command.startswith(_STARTED):
            self._start(command, shown)
            return
        where = self._start_folder / "where"
        deadline = time.monotonic() + _SECONDS
        while True:
            said = subprocess.run(
                ["bash", "-c", f"trap 'pwd >{where}' EXIT\n{command}"],
                cwd=self.folder,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
            if _is_shown(shown, said.stdout):
                # Where a command leaves the reader the next one is typed.
                self.folder = Path(where.read_text().strip())
                return
            may_be_late = command.startswith(_LOOKING) and time.monotonic() < deadline
            assert may_be_late, (command, said.stdout, shown)
            time.sleep(0.05)

    def _start(self, command: str, shown: str) -> None:
        self.stop()
        parts = [sys.executable, *command.split()[1:], "--port", str(self.port)]
        self._server = subprocess.Popen(
            parts, cwd=self.folder, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        assert _is_shown(shown, line), (command, line, shown)


def _commands(text: str) -> Iterator[tuple[str, str]]:
    """Return each command with what the page shows below it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown


def _is_shown(shown: str, said: str) -> bool:
    """Return whether a page shows what was said; three dots stand for what differs."""
    return re.fullmatch(".*".join(map(re.escape, shown.strip().split("..."))), said.strip(), re.DOTALL) is not None
