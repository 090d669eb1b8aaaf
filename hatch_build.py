"""Build hook: compiles the native library with Zig and puts it into the wheel.

One wheel serves every Python from 3.9 on: the library is loaded by ctypes and knows nothing of an interpreter's ABI, so the
tag names the platform only.

Environment variables:
    SOCKETIFY_TARGET: a Zig target such as ``aarch64-linux-gnu.2.17`` to build a wheel for another machine (default: this one).
    SOCKETIFY_CPU: Zig's name of a CPU, or ``native`` (default: the architecture's baseline, which runs everywhere).
    SOCKETIFY_UWEBSOCKETS: a folder with the engine's headers, for machines without a network.

Whatever prevents it is said in one line, the last one.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import struct
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
    "powerpc64le": ("ppc64le", "2.19"),
    "s390x": ("s390x", "2.17"),
    "riscv64": ("riscv64", "2.31"),
}
MUSL_FLOOR = "1.2"
# What systems call an architecture, where Zig calls it otherwise.
MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "ppc64le": "powerpc64le"}
# Functions that musl has since versions after 1.2.0: what its headers declared in addition until 1.2.6.
NEWER_THAN_MUSL = (
    *("_Fork", "gettid", "reallocarray", "tcgetwinsize", "tcsetwinsize"),  # 1.2.2
    *("pthread_getname_np", "qsort_r"),  # 1.2.3
    *("preadv2", "pwritev2", "statx"),  # 1.2.5
    *("posix_getdents", "renameat2"),  # 1.2.6
)
# Of ELF files of 64 bits, as <elf.h> has them: PT_DYNAMIC, which the loader reads, and in it DT_RELR, relocations of a packed
# form. musl before 1.2.4 skips them without a word, and a process that calls such a library crashes.
# glibc knows them since 2.36.
ELF_DYNAMIC, ELF_PACKED_RELOCATIONS = 2, 0x24
# What Zig calls an architecture: what wheels for macOS call it, and its number in Mach-O files.
MACOS = {"x86_64": ("x86_64", 0x01000007), "aarch64": ("arm64", 0x0100000C)}
MACOS_FLOOR = (11, 0)
# Of Mach-O files, as <mach-o/loader.h> has them: of 64 bits and this byte order, a library, and what says what it needs.
MACH_MAGIC, MACH_LIBRARY, MACH_HEADER_BYTES = 0xFEEDFACF, 6, 32
MACH_BUILD_VERSION, MACH_CODE_SIGNATURE, MACH_PLATFORM_MACOS = 0x32, 0x1D, 1
MACH_NEEDS = (0x0C, 0x8000_0018, 0x8000_001F)
# Every macOS has it.
MACOS_LIBRARIES = ("/usr/lib/libSystem.B.dylib",)


def host_target() -> str:
    """Returns the Zig target of this machine, with the oldest C library that is supported.

    Raises RuntimeError where socketify does not run.
    """
    machine = platform.machine().lower()
    architecture = MACHINES.get(machine, machine)
    if sys.platform not in ("linux", "darwin"):
        raise RuntimeError(
            f"socketify does not run on {sys.platform} yet: Linux and macOS only (docs/platforms.md says what is missing)"
        )
    if sys.maxsize < 1 << 32:
        raise RuntimeError(f"socketify needs a 64-bit Python: {sys.executable} is a 32-bit program")
    if sys.platform == "darwin":
        return macos_target(architecture)
    if architecture not in GNU:
        raise RuntimeError(f"socketify does not run on {machine} yet: {', '.join(tag for tag, _ in GNU.values())} only")
    if "musl" in (sysconfig.get_config_var("HOST_GNU_TYPE") or ""):
        return f"{architecture}-linux-musl"
    return f"{architecture}-linux-gnu.{GNU[architecture][1]}"


def macos_target(architecture: str) -> str:
    """Returns the Zig target of this Mac; the architecture is that of the Python that runs, also where it is translated.

    Raises RuntimeError where socketify does not run.
    """
    if architecture not in MACOS:
        raise RuntimeError(f"socketify does not run on Macs with {architecture}: arm64 and x86_64 only")
    version = tuple(int(each) for each in re.findall(r"\d+", platform.mac_ver()[0])[:2])
    # What was compiled before there was a macOS 11 is told that it runs on 10.16.
    if version and version < (10, 16):
        raise RuntimeError(f"socketify needs macOS {MACOS_FLOOR[0]} or later: this is {platform.mac_ver()[0]}")
    return f"{architecture}-macos.{MACOS_FLOOR[0]}.{MACOS_FLOOR[1]}"


def library_name(target: str) -> str:
    """Returns what the library for a Zig target is called."""
    return "libsocketify.dylib" if "-macos" in target else "libsocketify.so"


def platform_tag(target: str) -> str:
    """Returns the wheel's platform tag for a Zig target.

    Raises ValueError for a target that has no tag.
    """
    if (mac := re.fullmatch(r"(\w+)-macos(?:\.(\d+)\.(\d+))?", target)) and mac[1] in MACOS:
        # Since macOS 11 tags name the major version, and pip takes none with another minor one.
        if mac[2] is None or int(mac[2]) < MACOS_FLOOR[0] or mac[3] != "0":
            raise ValueError(f"{target}: name the oldest macOS, for example {mac[1]}-macos.{MACOS_FLOOR[0]}.{MACOS_FLOOR[1]}")
        return f"macosx_{mac[2]}_{mac[3]}_{MACOS[mac[1]][0]}"
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


def check_relocations(library: Path, target: str) -> None:
    """Raises RuntimeError when old C libraries that the tag promises would not relocate all of the library."""
    if "-linux-" in target and ELF_PACKED_RELOCATIONS in dynamic_tags(library):
        raise RuntimeError(f"{library.name} has packed relocations, which only musl 1.2.4 and glibc 2.36 know")


def dynamic_tags(library: Path) -> set[int]:
    """Returns the kinds of what an ELF library tells the loader.

    Raises RuntimeError when it is none of 64 bits.
    """
    content = library.read_bytes()
    if content[:5] != b"\x7fELF\2":
        raise RuntimeError(f"{library.name} is no library of 64-bit Linux")
    order = "<" if content[5] == 1 else ">"
    (segments,) = struct.unpack_from(f"{order}Q", content, 32)
    size, count = struct.unpack_from(f"{order}HH", content, 54)
    tags: set[int] = set()
    for number in range(count):
        kind, _, offset, _, _, length = struct.unpack_from(f"{order}IIQQQQ", content, segments + size * number)
        if kind == ELF_DYNAMIC:
            tags.update(tag for tag, _ in struct.iter_unpack(f"{order}qQ", content[offset : offset + length]))
    return tags


def check_macos(library: Path, target: str) -> None:
    """Raises RuntimeError when the library needs another machine, a newer macOS or more libraries than its tag promises."""
    match = re.fullmatch(r"(\w+)-macos\.(\d+)\.(\d+)", target)
    if match is None:
        return
    promised = (int(match[2]), int(match[3]))
    machine, commands = mach_commands(library)
    if machine != MACOS[match[1]][1]:
        raise RuntimeError(f"{library.name} is for machine {machine:#x}, not for {match[1]}")
    for needed in (each for number, each in commands if number in MACH_NEEDS):
        offset = int.from_bytes(needed[8:12], "little")
        name = needed[offset:].partition(b"\0")[0].decode()
        if name not in MACOS_LIBRARIES:
            raise RuntimeError(f"{library.name} needs {name}, which not every Mac has")
    versions = [struct.unpack_from("<II", each, 8) for number, each in commands if number == MACH_BUILD_VERSION]
    if len(versions) != 1 or versions[0][0] != MACH_PLATFORM_MACOS:
        raise RuntimeError(f"{library.name} does not say which macOS it needs")
    needs = (versions[0][1] >> 16, versions[0][1] >> 8 & 255)
    if needs > promised:
        raise RuntimeError(f"{library.name} needs macOS {needs}, but is built for {promised}")
    if match[1] == "aarch64" and not any(number == MACH_CODE_SIGNATURE for number, _ in commands):
        raise RuntimeError(f"{library.name} is not signed, which Macs with arm64 refuse to load")


def mach_commands(library: Path) -> tuple[int, list[tuple[int, bytes]]]:
    """Returns a Mach-O library's machine, and its load commands by their numbers.

    Raises RuntimeError when it is none.
    """
    content = library.read_bytes()
    magic, machine, _, kind, count = struct.unpack_from("<5I", content.ljust(MACH_HEADER_BYTES, b"\0"))
    if (magic, kind) != (MACH_MAGIC, MACH_LIBRARY):
        raise RuntimeError(f"{library.name} is no library of macOS")
    commands, at = [], MACH_HEADER_BYTES
    for _ in range(count):
        number, size = struct.unpack_from("<II", content, at)
        commands.append((number, content[at : at + size]))
        at += size
    return machine, commands


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


def check_engine(folder: Path) -> None:
    """Raises ValueError when a folder does not have the engine's headers."""
    for name in ("src/App.h", "uSockets/src/libusockets.h", "LICENSE"):
        if not (folder / name).is_file():
            raise ValueError(f"SOCKETIFY_UWEBSOCKETS is {folder}, which has no {name}")


def has_compiler() -> bool:
    """Returns whether this interpreter has the compiler."""
    return importlib.util.find_spec("ziglang") is not None


def compiler_wanted(root: Path) -> str:
    """Returns the package of the compiler with the version that is needed."""
    match = re.search(r"ziglang==[\d.]+", (root / "pyproject.toml").read_text(encoding="utf-8"))
    return match[0] if match else "ziglang"


def compiler_found() -> str | None:
    """Returns the package of the compiler with its version; None where nobody says it."""
    try:
        return f"ziglang=={importlib.metadata.version('ziglang')}"
    except importlib.metadata.PackageNotFoundError:
        return None


class ZigBuildHook(BuildHookInterface[Any]):
    """Runs ``python -m ziglang build`` before a wheel is packed."""

    temporary: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Builds the library and adds it to the wheel; an editable install uses the one in the source tree."""
        if self.target_name != "wheel":
            return
        try:
            self.add_library(version, build_data)
        except (OSError, RuntimeError, ValueError) as error:
            if self.temporary is not None:
                self.temporary.cleanup()
            # Who installs needs the reason, and not the traceback that it would be the last line of.
            raise SystemExit(f"socketify cannot be built: {error}") from None

    def add_library(self, version: str, build_data: dict[str, Any]) -> None:
        """Builds the library and adds it to the wheel.

        Raises RuntimeError, ValueError and OSError for what prevents it.
        """
        target = os.environ.get("SOCKETIFY_TARGET") or host_target()
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag(target)}"
        self.temporary = tempfile.TemporaryDirectory(prefix="socketify-build-")
        prefix = Path(self.temporary.name)
        if version == "editable" and not can_write(Path(self.root, "socketify", "native")):
            raise RuntimeError(f"an editable install has its library in the source tree, and {self.root} cannot be written")
        self.build(target, prefix)
        library = prefix / "lib" / library_name(target)
        check_glibc(library, target)
        check_musl(library, target)
        check_relocations(library, target)
        check_macos(library, target)
        if version == "editable":
            return
        build_data["force_include"][str(library)] = f"socketify/native/{library.name}"
        engine_license = prefix / "share" / "licenses" / "uWebSockets" / "LICENSE"
        build_data["force_include"][str(engine_license)] = "socketify/native/uWebSockets.LICENSE.txt"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Removes the build's files after the wheel was written."""
        if self.temporary is not None:
            self.temporary.cleanup()

    def build(self, target: str, prefix: Path) -> None:
        """Runs the Zig build into a prefix.

        Raises RuntimeError when it fails, with the reason if that is known; what it said is on standard error by then.
        Raises ValueError for a folder that does not have the engine's headers.
        """
        if not has_compiler():
            raise RuntimeError(f"{sys.executable} has no module ziglang: pip install {compiler_wanted(Path(self.root))}")
        command = [sys.executable, "-m", "ziglang", "build", "--prefix", str(prefix)]
        command += [f"-Dtarget={target}", f"-Dpython={sys.executable}"]
        if cpu := os.environ.get("SOCKETIFY_CPU"):
            command.append(f"-Dcpu={cpu}")
        if engine := os.environ.get("SOCKETIFY_UWEBSOCKETS"):
            check_engine(Path(engine))
            command.append(f"-Duwebsockets={Path(engine).resolve()}")
        # Zig compiles its own build system first. Optimizing it would take longer than all that it builds here.
        root, environment = Path(self.root), {"ZIG_DEBUG_CMD": "1", **os.environ}
        if not can_write(root):
            # What is compiled is not kept then.
            command += ["--cache-dir", str(prefix / "cache"), "-Dinto-source=false"]
        cache = cache_folder()
        if cache is None or not can_write(cache):
            environment["ZIG_GLOBAL_CACHE_DIR"] = str(prefix / "global-cache")
        reason = prefix / "reason"
        environment["SOCKETIFY_BUILD_REASON"] = str(reason)
        status = subprocess.run(command, cwd=root, env=environment, stdout=sys.stderr, check=False).returncode
        if status == 0:
            return
        if reason.exists():
            raise RuntimeError(reason.read_text(encoding="utf-8").strip())
        wanted = compiler_wanted(root)
        found = compiler_found()
        if found not in (None, wanted):
            raise RuntimeError(f"it was tried with {found}: pip install {wanted}")
        raise RuntimeError(f"zig build ended with status {status}, and says why above (docs/platforms.md)")
