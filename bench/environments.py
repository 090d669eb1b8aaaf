"""The Python environments of the servers that are compared: which packages, and where."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

DEFAULT_FOLDER = Path(__file__).with_name(".peers")
#: The environment that runs the benchmark, and this tree's socketify in it.
OWN = "own"
#: Programs that are not Python.
NATIVE = "native"
#: A command of somebody else's, as it stands.
COMMAND = "command"


@dataclass(frozen=True)
class Environment:
    """A virtual environment and what is installed there; each package by itself, so that one may fail."""

    name: str
    packages: tuple[str, ...]
    why: str


#: What applications are made of; the peers get the versions that are installed beside socketify, so that all run the same.
SHARED = ("uvloop", "falcon", "starlette", "fastapi", "django", "flask", "redis", "hiredis")

ENVIRONMENTS = (
    Environment(
        "peers",
        (
            *SHARED,
            "uvicorn",
            "httptools",
            "zttp",
            "websockets",
            "granian",
            "aethonan",
            "h2corn",
            "hypercorn",
            "h2",
            "gunicorn[fast]",
            "fastpysgi",
            "fastwsgi",
            "bjoern",
            "picows",
        ),
        "servers that get along with each other",
    ),
    Environment("robyn", ("robyn",), "it wants versions of its own"),
    Environment("published", ("socketify==0.0.31", "falcon"), "the published package has the name of this one; needs libuv"),
    Environment(
        "brokers",
        ("redis", "hiredis", "uvloop", "uvicorn", "httptools", "websockets", "python-socketio", "django", "channels_redis"),
        "applications whose websockets hear each other by Redis",
    ),
    Environment("plots", ("matplotlib",), "draws, and is not measured"),
)


class Environments:
    """The environments below a folder."""

    def __init__(self, folder: Path = DEFAULT_FOLDER) -> None:
        self.folder = folder

    def python(self, name: str) -> str | None:
        """Returns the interpreter of an environment, or None when it was not set up."""
        if name == OWN:
            return sys.executable
        python = self.folder / name / "bin" / "python"
        return str(python) if python.exists() else None

    def version(self, name: str, package: str) -> str | None:
        """Returns the version of a package there, or None when it is not installed."""
        distributions: Iterable[importlib.metadata.Distribution]
        if name == OWN:
            distributions = importlib.metadata.distributions(name=package)
        else:
            paths = [str(path) for path in (self.folder / name).glob("lib/python*/site-packages")]
            distributions = importlib.metadata.distributions(name=package, path=paths)
        return next((one.version for one in distributions), None)
