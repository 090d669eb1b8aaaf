"""Builds every wheel, and the source distribution, on one Linux machine.

Wheels are built one after the other, as Zig compiles for other machines as well as for this one. The same sources give the same
bytes: the time in the archives is that of the last commit, or SOURCE_DATE_EPOCH.

Usage: python tools/wheels.py [--output DIR] [--target ZIG_TARGET ...] [--list]

Needs hatchling and ziglang (pip install hatchling ziglang==...; the version is the one that pyproject.toml names) and,
where the engine's headers are not in Zig's cache yet, a package index that pip can reach.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: docs/platforms.md says which of them were run.
TARGETS = (
    "x86_64-linux-gnu.2.17",
    "x86_64-linux-musl",
    "aarch64-linux-gnu.2.17",
    "aarch64-linux-musl",
    "riscv64-linux-gnu.2.31",
    "riscv64-linux-musl",
    "powerpc64le-linux-gnu.2.19",
    "powerpc64le-linux-musl",
    "s390x-linux-gnu.2.17",
    "s390x-linux-musl",
    "aarch64-macos.11.0",
    "x86_64-macos.11.0",
)
#: What every wheel holds beside the package's modules.
CONTENT = (
    r"socketify/native/libsocketify\.{suffix}",
    r"socketify/native/uWebSockets\.LICENSE\.txt",
    r"socketify/py\.typed",
    r"socketify-[^/]*\.dist-info/licenses/LICENSE",
    r"socketify-[^/]*\.dist-info/licenses/NOTICE",
)


def source_date() -> str:
    """Return the time that the archives say, in seconds since 1970."""
    if named := os.environ.get("SOURCE_DATE_EPOCH"):
        return named
    command = ["git", "log", "-1", "--format=%ct"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    # An unpacked source distribution has no history. No archive can say an earlier time than this.
    return found.stdout.strip() or "315532800"


def build(kind: str, output: Path, target: str | None = None) -> Path:
    """Build a wheel or a source distribution, and return it.

    Raises SystemExit when it cannot be built; why is on standard error by then.
    """
    environment = {**os.environ, "SOURCE_DATE_EPOCH": source_date()}
    if target is not None:
        environment["SOCKETIFY_TARGET"] = target
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output) as folder:
        command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", folder]
        status = subprocess.run(command, cwd=ROOT, env=environment, stdout=sys.stderr, check=False).returncode
        if status != 0:
            raise SystemExit(f"{kind} for {target or 'all machines'}: hatchling ended with status {status}")
        (made,) = Path(folder).iterdir()
        return made.replace(output / made.name)


def check_content(wheel: Path) -> None:
    """Raise SystemExit when a wheel lacks something."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    suffix = "dylib" if "-macosx_" in wheel.name else "so"
    wanted = [each.replace("{suffix}", suffix) for each in CONTENT]
    missing = [each for each in wanted if not any(re.fullmatch(each, name) for name in names)]
    if missing:
        raise SystemExit(f"{wheel.name} lacks {', '.join(missing)}")


def main(arguments: list[str] | None = None) -> int:
    """Build what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(description="Builds every wheel, and the source distribution.")
    parser.add_argument("--output", default="dist", metavar="DIR", type=Path, help="where they are put (default: %(default)s)")
    parser.add_argument("--target", action="append", metavar="ZIG_TARGET", help="only this one; several times (default: all)")
    parser.add_argument("--list", action="store_true", help="print the targets")
    settings = parser.parse_args(arguments)
    if settings.list:
        print("\n".join(TARGETS))
        return 0
    for each in ("hatchling", "ziglang"):
        if importlib.util.find_spec(each) is None:
            parser.error(f"the package {each} is not installed")
    output = settings.output.resolve()
    for target in settings.target or TARGETS:
        begun = clocks()
        wheel = build("wheel", output, target)
        check_content(wheel)
        report(wheel, begun)
    if not settings.target:
        begun = clocks()
        report(build("sdist", output), begun)
    return 0


def clocks() -> tuple[float, float]:
    """Return the time, and what processors have worked for this program and those that it ran, in seconds."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return time.monotonic(), sum(each.ru_utime + each.ru_stime for each in used)


def report(archive: Path, begun: tuple[float, float]) -> None:
    """Say what was built, and what it took since it was begun."""
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    passed, worked = (now - then for now, then in zip(clocks(), begun))
    size = archive.stat().st_size
    print(f"{digest}  {archive.name}  {size:,} bytes, {passed:.0f} s ({worked:.0f} s of processors)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
