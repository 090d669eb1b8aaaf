"""What the build hook says of machines, of wheels for them, and of libraries that need too much."""

from __future__ import annotations

import importlib.util
import platform
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, Literal

import pytest

from socketify.native import abi

pytest.importorskip("hatchling")

ROOT = Path(__file__).resolve().parents[1]
SPEC = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
assert SPEC is not None
assert SPEC.loader is not None
hook: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(hook)


@pytest.mark.parametrize(
    ("machine", "c_library", "target", "tag"),
    [
        ("x86_64", "gnu", "x86_64-linux-gnu.2.17", "manylinux_2_17_x86_64"),
        ("AMD64", "gnu", "x86_64-linux-gnu.2.17", "manylinux_2_17_x86_64"),
        ("aarch64", "gnu", "aarch64-linux-gnu.2.17", "manylinux_2_17_aarch64"),
        ("aarch64", "musl", "aarch64-linux-musl", "musllinux_1_2_aarch64"),
        ("riscv64", "gnu", "riscv64-linux-gnu.2.31", "manylinux_2_31_riscv64"),
        ("ppc64le", "gnu", "powerpc64le-linux-gnu.2.19", "manylinux_2_19_ppc64le"),
        ("ppc64le", "musl", "powerpc64le-linux-musl", "musllinux_1_2_ppc64le"),
        ("s390x", "gnu", "s390x-linux-gnu.2.17", "manylinux_2_17_s390x"),
    ],
)
def test_linux_machines(monkeypatch: pytest.MonkeyPatch, machine: str, c_library: str, target: str, tag: str) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: f"{machine}-pc-linux-{c_library}")
    monkeypatch.setattr(sys, "platform", "linux")
    assert hook.host_target() == target
    assert hook.platform_tag(target) == tag


@pytest.mark.parametrize(
    ("system", "machine", "maxsize", "said"),
    [
        ("win32", "AMD64", 2**63 - 1, "does not run on win32 yet: Linux and macOS only"),
        ("darwin", "Power Macintosh", 2**63 - 1, "does not run on Macs with power macintosh: arm64 and x86_64 only"),
        ("linux", "armv7l", 2**31 - 1, "needs a 64-bit Python"),
        # Such a Python runs on a kernel that calls itself a 64-bit one, too.
        ("linux", "x86_64", 2**31 - 1, "is a 32-bit program"),
        ("linux", "loongarch64", 2**63 - 1, "does not run on loongarch64 yet: x86_64, aarch64, ppc64le, s390x, riscv64 only"),
    ],
)
def test_what_is_refused(monkeypatch: pytest.MonkeyPatch, system: str, machine: str, maxsize: int, said: str) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(sys, "maxsize", maxsize)
    with pytest.raises(RuntimeError, match=said):
        hook.host_target()


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("x86_64-linux-gnu", "name the oldest glibc, for example x86_64-linux-gnu.2.17"),
        ("riscv64-linux-gnu", "for example riscv64-linux-gnu.2.31"),
        ("aarch64-macos", "name the oldest macOS, for example aarch64-macos.11.0"),
        ("aarch64-macos.11.3", "name the oldest macOS"),
        ("x86_64-macos.10.15", "name the oldest macOS, for example x86_64-macos.11.0"),
        ("riscv64-macos.11.0", "no wheel tag"),
        ("x86-linux-gnu.2.17", "no wheel tag"),
        ("x86_64-windows-gnu", "no wheel tag"),
    ],
)
def test_targets_without_a_tag(target: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        hook.platform_tag(target)


@pytest.mark.parametrize(
    ("machine", "target", "tag"),
    # A Python that is translated is told the machine that it was made for.
    [("arm64", "aarch64-macos.11.0", "macosx_11_0_arm64"), ("x86_64", "x86_64-macos.11.0", "macosx_11_0_x86_64")],
)
@pytest.mark.parametrize("version", ["11.0", "10.16", "15.1.2", ""])
def test_macs(monkeypatch: pytest.MonkeyPatch, machine: str, target: str, tag: str, version: str) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "mac_ver", lambda: (version, ("", "", ""), machine))
    monkeypatch.setattr(sys, "platform", "darwin")
    assert hook.host_target() == target
    assert hook.platform_tag(target) == tag
    assert hook.library_name(target) == "libsocketify.dylib"
    tags = pytest.importorskip("packaging.tags")
    assert all(tag in tags.mac_platforms(each, machine) for each in ((11, 0), (11, 7), (15, 1)))
    assert tag not in tags.mac_platforms((10, 15), machine)


def test_a_mac_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(platform, "mac_ver", lambda: ("10.15.7", ("", "", ""), "x86_64"))
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(RuntimeError, match=r"needs macOS 11 or later: this is 10\.15\.7"):
        hook.host_target()


@pytest.mark.parametrize("target", ["aarch64-macos.11.0", "x86_64-macos.11.0"])
def test_the_library_for_macos_needs_what_every_mac_has(target: str) -> None:
    library = ROOT / "zig-out" / "lib" / target[: -len(".11.0")] / "libsocketify.dylib"
    if not library.exists():
        pytest.skip("python -m ziglang build macos makes it")
    hook.check_macos(library, target)
    # Each function that Python calls is there, and found by its name.
    content = library.read_bytes()
    assert not [name for name in abi.FUNCTIONS if b"\0_%s\0" % name.encode() not in content]


def test_a_library_of_macos_that_needs_too_much(tmp_path: Path) -> None:
    pytest.importorskip("ziglang")
    target, library = "aarch64-macos.11.0", tmp_path / "libsocketify.dylib"
    (tmp_path / "a.c").write_text("int getpid(void); int sk(void) { return getpid(); }")
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-shared", "-o", str(library), str(tmp_path / "a.c")]
    subprocess.run(compiler, check=True, timeout=100)
    right = library.read_bytes()
    hook.check_macos(library, target)
    commands = dict(hook.mach_commands(library)[1])

    def refused(number: int, old: bytes, new: bytes) -> str:
        """Change a command, and return what is said then."""
        library.write_bytes(right.replace(commands[number], commands[number].replace(old, new, 1), 1))
        with pytest.raises(RuntimeError) as raised:
            hook.check_macos(library, target)
        return str(raised.value)

    version, needed, signature = hook.MACH_BUILD_VERSION, hook.MACH_NEEDS[0], hook.MACH_CODE_SIGNATURE
    minimum = bytes((0, 0, 11, 0))
    assert refused(version, minimum, bytes((0, 3, 11, 0))).endswith("needs macOS (11, 3), but is built for (11, 0)")
    assert refused(version, minimum, bytes((0, 0, 12, 0))).endswith("needs macOS (12, 0), but is built for (11, 0)")
    assert refused(version, bytes((1, 0, 0, 0)), bytes((2, 0, 0, 0))).endswith("does not say which macOS it needs")
    assert refused(needed, b"libSystem.B", b"libcrypt.35").endswith("needs /usr/lib/libcrypt.35.dylib, which not every Mac has")
    unsigned = refused(signature, signature.to_bytes(4, "little"), (0x7F).to_bytes(4, "little"))
    assert unsigned.endswith("is not signed, which Macs with arm64 refuse to load")
    library.write_bytes(right)
    with pytest.raises(RuntimeError, match=r"is for machine 0x100000c, not for x86_64"):
        hook.check_macos(library, "x86_64-macos.11.0")
    for other in (b"", b"\x7fELF" + bytes(60)):
        library.write_bytes(other)
        with pytest.raises(RuntimeError, match="is no library of macOS"):
            hook.check_macos(library, target)
    hook.check_macos(library, "x86_64-linux-musl")


def test_a_library_that_needs_too_much(tmp_path: Path) -> None:
    library = tmp_path / "libsocketify.so"
    library.write_bytes(b"\x7fELF\0malloc\0GLIBC_2.17\0statx\0GLIBC_2.28\0")
    with pytest.raises(RuntimeError, match=r"needs glibc \(2, 28\), but is built for \(2, 17\)"):
        hook.check_glibc(library, "x86_64-linux-gnu.2.17")
    hook.check_glibc(library, "x86_64-linux-gnu.2.28")
    with pytest.raises(RuntimeError, match=r"needs statx, but is built for musl 1\.2"):
        hook.check_musl(library, "x86_64-linux-musl")
    library.write_bytes(b"\x7fELF\0malloc\0statx64\0")
    hook.check_musl(library, "x86_64-linux-musl")


@pytest.mark.parametrize(("target", "order"), [("x86_64-linux-musl", "little"), ("s390x-linux-gnu.2.17", "big")])
def test_a_library_that_old_systems_relocate_in_part(tmp_path: Path, target: str, order: Literal["little", "big"]) -> None:
    pytest.importorskip("ziglang")
    library = tmp_path / "libsocketify.so"
    (tmp_path / "a.c").write_text("int value; int *pointer = &value;")
    compiler = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        "-target",
        target,
        "-nostdlib",
        "-shared",
        "-o",
        str(library),
        str(tmp_path / "a.c"),
    ]
    subprocess.run(compiler, check=True, timeout=100)
    hook.check_relocations(library, target)
    # Where the relocations are, how many bytes, and of which size: it says of the first that they are packed.
    right = library.read_bytes()
    numbers = [int.from_bytes(right[at : at + 8], order) for at in range(0, len(right), 8)]
    (found,) = (each for each in range(len(numbers)) if numbers[each : each + 6 : 2] == [7, 8, 9])
    library.write_bytes(right[: found * 8] + (0x24).to_bytes(8, order) + right[found * 8 + 8 :])
    with pytest.raises(RuntimeError, match=r"has packed relocations, which only musl 1\.2\.4"):
        hook.check_relocations(library, target)
    hook.check_relocations(library, "aarch64-macos.11.0")
    library.write_bytes(b"\x7fELF\1" + right[5:])
    with pytest.raises(RuntimeError, match="is no library of 64-bit Linux"):
        hook.check_relocations(library, target)


def test_what_is_not_writable_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    assert hook.can_write(tmp_path / "new" / "folder")
    assert not hook.can_write(tmp_path / "file" / "folder")
    for name in ("ZIG_GLOBAL_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    assert hook.cache_folder() is None
    monkeypatch.setenv("HOME", "/home/x")
    assert hook.cache_folder() == Path("/home/x/.cache/zig")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert hook.cache_folder() == Path("/cache/zig")
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", "/zig")
    assert hook.cache_folder() == Path("/zig")


def test_every_target_of_the_wheels_has_a_tag() -> None:
    listed = subprocess.run([sys.executable, "tools/wheels.py", "--list"], cwd=ROOT, capture_output=True, text=True, check=True)
    tags = [hook.platform_tag(target) for target in listed.stdout.split()]
    assert len(set(tags)) == len(tags) == 12


@pytest.mark.parametrize("writable", [True, False])
def test_a_build_without_a_home_or_in_a_tree_that_is_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writable: bool
) -> None:
    root, prefix = tmp_path / "a tree", tmp_path / "prefix"
    root.mkdir()
    asked: list[Any] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        asked.append((command, options["env"].get("ZIG_GLOBAL_CACHE_DIR")))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(hook.subprocess, "run", run)
    monkeypatch.setattr(hook, "has_compiler", lambda: True)
    # Root may write anywhere.
    monkeypatch.setattr(hook, "can_write", lambda folder: writable)
    for name in ("ZIG_GLOBAL_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    build = hook.ZigBuildHook(str(root), {}, None, None, str(tmp_path), "wheel").build
    build("x86_64-linux-gnu.2.17", prefix)
    monkeypatch.delenv("HOME")
    build("x86_64-linux-gnu.2.17", prefix)
    (command, with_home), (_, without_home) = asked
    assert with_home == (None if writable else str(prefix / "global-cache"))
    assert without_home == str(prefix / "global-cache")
    assert ("--cache-dir" in command) is ("-Dinto-source=false" in command) is not writable
