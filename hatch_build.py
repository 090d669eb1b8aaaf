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

# Oldest C libraries and systems that the library runs with; the same floor as `zig build` has by itself.
FLOORS = {"gnu": "2.17", "musl": "1.1", "macos": "11.0"}
MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}


def host_target() -> str:
    """Returns the Zig target of this machine, with the oldest C library that is supported."""
    machine = platform.machine().lower()
    architecture = MACHINES.get(machine, machine)
    if sys.platform == "darwin":
        return f"{architecture}-macos.{FLOORS['macos']}"
    if sys.platform != "linux":
        raise RuntimeError(f"socketify does not run on {sys.platform} yet: Linux and macOS only")
    if "musl" in (sysconfig.get_config_var("HOST_GNU_TYPE") or ""):
        return f"{architecture}-linux-musl"
    return f"{architecture}-linux-gnu.{FLOORS['gnu']}"


def platform_tag(target: str) -> str:
    """Returns the wheel's platform tag for a Zig target.

    Raises ValueError for a target that has no tag.
    """
    if match := re.fullmatch(r"(\w+)-linux-gnu(?:\.(\d+)\.(\d+))?", target):
        architecture, major, minor = match.groups()
        if major is None:
            raise ValueError(f"{target}: name the oldest glibc, for example {target}.{FLOORS['gnu']}")
        return f"manylinux_{major}_{minor}_{architecture}"
    if match := re.fullmatch(r"(\w+)-linux-musl", target):
        return f"musllinux_{FLOORS['musl'].replace('.', '_')}_{match[1]}"
    if match := re.fullmatch(r"(\w+)-macos(?:\.(\d+)\.(\d+))?", target):
        architecture, major, minor = match.groups()
        if major is None:
            raise ValueError(f"{target}: name the oldest macOS, for example {target}.{FLOORS['macos']}")
        return f"macosx_{major}_{minor}_{'arm64' if architecture == 'aarch64' else architecture}"
    raise ValueError(f"{target}: no wheel tag is known for this target")


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
        suffix = "dylib" if "-macos" in target else "so"
        library = prefix / "lib" / f"libsocketify.{suffix}"
        check_glibc(library, target)
        if version == "editable":
            return
        build_data["force_include"][str(library)] = f"socketify/native/libsocketify.{suffix}"
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
        status = subprocess.run(command, cwd=self.root, stdout=sys.stderr, check=False).returncode
        if status != 0:
            raise RuntimeError(f"the native library could not be built: zig build ended with status {status}")
