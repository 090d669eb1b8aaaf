"""Checks wheels and source distributions as those do who take them.

The tags of wheels for Linux by auditwheel, metadata by twine, content by check-wheel-contents. pip has to take each wheel for
the platform that it names; what this machine can run is installed in environments of its own, and asked for a page.

Usage: python tools/check_wheels.py [--python INTERPRETER ...] [ARCHIVE ...]

Needs pip install "socketify[wheels]".
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Asked of the wheel for this machine.
HELLO = """
import asyncio, urllib.request
from socketify import App

async def main():
    app, ports = App(), []
    app.get("/", lambda res, req: res.end("Hello, World!")).listen(0, lambda config: ports.append(config.port))
    serving = asyncio.create_task(app.serve())
    url = f"http://127.0.0.1:{ports[0]}/"
    print(await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=30).read().decode()))
    app.close()
    await serving

asyncio.run(main())
"""


class CheckError(Exception):
    """An archive is not what it says."""


def run(python: str, *arguments: str) -> str:
    """Run an interpreter and return what was printed.

    Raises CheckError, with what it said, when it fails.
    """
    # What a developer's environment says is not what a user's does.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SOCKETIFY_"))}
    done = subprocess.run([python, *arguments], capture_output=True, text=True, check=False, env=environment, cwd="/")
    if done.returncode != 0:
        raise CheckError(f"{' '.join(arguments[:3])}: {(done.stdout + done.stderr).strip()}")
    return done.stdout


def platform_of(wheel: Path) -> str:
    """Return the platform tag of a wheel."""
    return wheel.stem.rpartition("-")[2]


def check_tag(wheel: Path) -> None:
    """Raise CheckError when auditwheel finds that a wheel for Linux needs more than its tag promises."""
    platform = platform_of(wheel)
    match = re.fullmatch(r"(many|musl)linux_(\d+)_(\d+)_(\w+)", platform)
    if match is None:
        return
    with tempfile.TemporaryDirectory() as nowhere:
        # It looks for what a wheel needs among the libraries of this machine, which belong to another C library or processor.
        found = json.loads(run(sys.executable, "-m", "auditwheel", "show", "--json", "--ldpaths", nowhere, str(wheel)))
    # It knows musl's library by the name that Alpine gives it alone. musl takes every name that begins as this one for its own.
    foreign = set(found["external_libs"]) - ({"libc.so"} if match[1] == "musl" else set())
    # It names no tags but those of releases that a policy was written for: the versions of symbols say it to the point.
    named = re.findall(r"GLIBC_(\d+)\.(\d+)", json.dumps(found["versioned_symbols"]))
    newest = max(((int(major), int(minor)) for major, minor in named), default=(0, 0))
    if (
        foreign
        or newest > (int(match[2]), int(match[3]))
        or not found["sym_tag"].startswith(match[1])
        or found["unsupported_isa"]
    ):
        raise CheckError(f"auditwheel finds {found}")


def is_taken_here(python: str, wheel: Path) -> bool:
    """Return whether an interpreter's pip takes a wheel for the machine that it is on."""
    tags = run(python, "-m", "pip", "debug", "--verbose", "--disable-pip-version-check")
    return re.search(rf"^\s+py3-none-{platform_of(wheel)}$", tags, re.MULTILINE) is not None


def check_elsewhere(wheel: Path) -> None:
    """Raise CheckError when pip does not take a wheel for the platform that it names."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-index", "--no-deps", "--target", folder]
        run(sys.executable, *command, "--only-binary", ":all:", "--platform", platform_of(wheel), str(wheel))


def check_here(python: str, wheel: Path) -> None:
    """Raise CheckError when a wheel that is installed for an interpreter does not serve."""
    with tempfile.TemporaryDirectory() as folder:
        run(python, "-m", "venv", folder)
        environment = str(Path(folder, "bin", "python"))
        run(environment, "-m", "pip", "install", "-q", "--disable-pip-version-check", str(wheel))
        said = run(environment, "-c", HELLO)
        if said != "Hello, World!\n":
            raise CheckError(f"{python} was told {said!r}")


def check(archive: Path, interpreters: list[str]) -> str:
    """Check an archive; return what was done. Raises CheckError when it is not right."""
    run(sys.executable, "-m", "twine", "check", "--strict", str(archive))
    if archive.suffix != ".whl":
        return "metadata is right"
    run(sys.executable, "-m", "check_wheel_contents", str(archive))
    check_tag(archive)
    here = [each for each in interpreters if is_taken_here(each, archive)]
    for python in here:
        check_here(python, archive)
    if here:
        return f"installed and run by {', '.join(here)}"
    check_elsewhere(archive)
    return "taken by pip for its platform"


def main(arguments: list[str] | None = None) -> int:
    """Check what the command line names; return the exit status."""
    parser = argparse.ArgumentParser(description="Checks wheels and source distributions as those do who take them.")
    parser.add_argument("archives", nargs="*", metavar="ARCHIVE", type=Path, help="default: all in dist/")
    interpreter_help = "runs the wheels for this machine; several times (default: this one)"
    parser.add_argument("--python", action="append", metavar="INTERPRETER", help=interpreter_help)
    settings = parser.parse_args(arguments)
    archives = settings.archives or sorted(each for name in ("*.whl", "*.tar.gz") for each in (ROOT / "dist").glob(name))
    if not archives:
        parser.error(f"there is no archive in {ROOT / 'dist'}: python tools/wheels.py makes them")
    if missing := [str(each) for each in archives if not each.is_file()]:
        parser.error(f"there is no {', '.join(missing)}")
    status = 0
    for archive in archives:
        try:
            print(f"{archive.name}: {check(archive.resolve(), settings.python or [sys.executable])}", flush=True)
        except CheckError as error:
            print(f"{archive.name}: {error}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
