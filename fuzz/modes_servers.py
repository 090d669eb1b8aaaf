"""The servers of a mode in a process of their own (modes_program.py), as a test asks them."""

from __future__ import annotations

import base64
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

from server_programs import environment

PROGRAM = Path(__file__).with_name("modes_program.py")
#: Seconds after which garbage is collected, and with it what nobody holds any more.
PATIENCE = 0.2


class Mode:
    """The servers of one mode."""

    def __init__(self, name: str) -> None:
        self.name = name
        more = os.pathsep.join((environment().get("PYTHONPATH", ""), *sys.path))
        self._process = subprocess.Popen(
            [sys.executable, str(PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(SOCKETIFY_CALLS=name) | {"PYTHONPATH": more},
        )
        self.ports = self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the servers of {self.name} have ended"
        return pickle.loads(base64.b64decode(line))

    def ask(self, line: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._answer()

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()
