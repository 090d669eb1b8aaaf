"""Build hook: compiles the native library with Zig and puts it into the wheel.

One wheel serves every Python from 3.9 on: the library is loaded by ctypes and knows nothing of an interpreter's ABI, so the
tag names the platform only.

Environment variables:
    SOCKETIFY_TARGET: a Zig target such as ``aarch64-linux-gnu.2.17`` to build a wheel for another machine (default: this one).
    SOCKETIFY_CPU: Zig's name of a CPU, or ``native`` (default: the architecture's baseline, which runs everywhere).
    SOCKETIFY_UWEBSOCKETS: a folder with the engine's headers, for machines without a network.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# What Zig calls an architecture: what wheels call it, and the oldest glibc that it runs with; `zig build` has the same floors.
GNU = {
    "x86_64": ("x86_64", "2.17"),
    "aarch64": ("aarch64", "2.17"),
    "powerpc64le": ("ppc64le", "2.17"),
    "s390x": ("s390x", "2.17"),
    "riscv64": ("riscv64", "2.31"),
}
MUSL_FLOOR = "1.2"
# What systems call an architecture, where Zig calls it otherwise.
MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "ppc64le": "powerpc64le"}
# Functions that musl has since later versions than 1.2.0.
NEWER_THAN_MUSL = (
    "_Fork",
    "gettid",
    "reallocarray",
    "qsort_r",
    "pthread_getname_np",
    "statx",
    "preadv2",
    "pwritev2",
    "renameat2",
)


def host_target() -> str:
    """Returns the Zig target of this machine, with the oldest C library that is supported.

    Raises RuntimeError where socketify does not run.
    """
    machine = platform.machine().lower()
    architecture = MACHINES.get(machine, machine)
    if sys.platform != "linux":
        raise RuntimeError(f"socketify does not run on {sys.platform} yet: Linux only (docs/platforms.md says what is missing)")
    if sys.maxsize < 1 << 32:
        raise RuntimeError(f"socketify needs a 64-bit Python: {sys.executable} is a 32-bit program")
    if architecture not in GNU:
        raise RuntimeError(f"socketify does not run on {machine} yet: {', '.join(tag for tag, _ in GNU.values())} only")
    if "musl" in (sysconfig.get_config_var("HOST_GNU_TYPE") or ""):
        return f"{architecture}-linux-musl"
    return f"{architecture}-linux-gnu.{GNU[architecture][1]}"


def platform_tag(target: str) -> str:
    """Returns the wheel's platform tag for a Zig target.

    Raises ValueError for a target that has no tag.
    """
    match = re.fullmatch(r"(\w+)-linux-(gnu|musl)(?:\.(\d+)\.(\d+))?", target)
    if match is None or match[1] not in GNU:
        raise ValueError(f"{target}: no wheel tag is known for this target")
    tag, floor = GNU[match[1]]
    if match[2] == "musl":
        return f"musllinux_{MUSL_FLOOR.replace('.', '_')}_{tag}"
    if match[3] is None:
        raise ValueError(f"{target}: name the oldest glibc, for example {target}.{floor}")
    return f"manylinux_{match[3]}_{match[4]}_{tag}"


def check_glibc(library: Path, target: str) -> None:
    """Raises RuntimeError when the library needs a newer glibc than its tag promises."""
    match = re.search(r"gnu\.(\d+)\.(\d+)$", target)
    if match is None:
        return
    promised = (int(match[1]), int(match[2]))
    # Versions of needed symbols are plain text in the library's string table.
    versions = re.findall(rb"\0GLIBC_(\d+)\.(\d+)", library.read_bytes())
    newest = max(((int(major), int(minor)) for major, minor in versions), default=(0, 0))
    if newest > promised:
        raise RuntimeError(f"{library.name} needs glibc {newest}, but is built for {promised}")


def check_musl(library: Path, target: str) -> None:
    """Raises RuntimeError when the library needs a newer musl than its tag promises."""
    if not target.endswith("-musl"):
        return
    # Names of needed functions are plain text in the library's string table, as musl gives them no versions.
    content = library.read_bytes()
    newer = [name for name in NEWER_THAN_MUSL if b"\0%s\0" % name.encode() in content]
    if newer:
        raise RuntimeError(f"{library.name} needs {', '.join(newer)}, but is built for musl {MUSL_FLOOR}")


def can_write(folder: Path) -> bool:
    """Returns whether files can be made in a folder, which is made for it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def cache_folder() -> Path | None:
    """Returns the folder that Zig keeps what it compiled in; None where the environment names none."""
    named = os.environ.get("ZIG_GLOBAL_CACHE_DIR")
    if named:
        return Path(named)
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"], "zig")
    return Path(os.environ["HOME"], ".cache", "zig") if os.environ.get("HOME") else None


class ZigBuildHook(BuildHookInterface[Any]):
    """Runs ``python -m ziglang build`` before a wheel is packed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Builds the library and adds it to the wheel; an editable install uses the one in the source tree."""
        if self.target_name != "wheel":
            return
        target = os.environ.get("SOCKETIFY_TARGET") or host_target()
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag(target)}"
        self.temporary = tempfile.TemporaryDirectory(prefix="socketify-build-")
        prefix = Path(self.temporary.name)
        self.build(target, prefix)
        library = prefix / "lib" / "libsocketify.so"
        check_glibc(library, target)
        check_musl(library, target)
        if version == "editable":
            return
        build_data["force_include"][str(library)] = "socketify/native/libsocketify.so"
        engine_license = prefix / "share" / "licenses" / "uWebSockets" / "LICENSE"
        build_data["force_include"][str(engine_license)] = "socketify/native/uWebSockets.LICENSE.txt"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Removes the build's files after the wheel was written."""
        if self.target_name == "wheel":
            self.temporary.cleanup()

    def build(self, target: str, prefix: Path) -> None:
        """Runs the Zig build into a prefix.

        Raises RuntimeError when it fails; what it said is on standard error by then.
        """
        command = [sys.executable, "-m", "ziglang", "build", "--prefix", str(prefix)]
        command += [f"-Dtarget={target}", f"-Dpython={sys.executable}"]
        if cpu := os.environ.get("SOCKETIFY_CPU"):
            command.append(f"-Dcpu={cpu}")
        if engine := os.environ.get("SOCKETIFY_UWEBSOCKETS"):
            command.append(f"-Duwebsockets={Path(engine).resolve()}")
        root, environment = Path(self.root), dict(os.environ)
        if not can_write(root):
            # What is compiled is not kept then.
            command += ["--cache-dir", str(prefix / "cache"), "-Dinto-source=false"]
        cache = cache_folder()
        if cache is None or not can_write(cache):
            environment["ZIG_GLOBAL_CACHE_DIR"] = str(prefix / "global-cache")
        status = subprocess.run(command, cwd=root, env=environment, stdout=sys.stderr, check=False).returncode
        if status != 0:
            raise RuntimeError(f"the native library could not be built: zig build ended with status {status}")
