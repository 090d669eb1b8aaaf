"""``tools/wheels.py``: what it packs. A stand-in for the compiler saves the minutes that compiling takes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hatchling")

ROOT = Path(__file__).resolve().parents[1]
COMPILER = """
import pathlib, sys
prefix = pathlib.Path(sys.argv[sys.argv.index("--prefix") + 1])
target = next(each for each in sys.argv if each.startswith("-Dtarget="))
licenses = prefix / "share" / "licenses" / "uWebSockets"
licenses.mkdir(parents=True)
(prefix / "lib").mkdir()
name = "libsocketify.dylib" if "-macos" in target else "libsocketify.so"
given = pathlib.Path(__file__).with_name(name)
# The header of an ELF library of 64 bits that has nothing for the loader; behind it, what was asked for.
empty = b"\\x7fELF\\2\\1".ljust(64, b"\\0")
(prefix / "lib" / name).write_bytes(given.read_bytes() if given.exists() else empty + target.encode())
(licenses / "LICENSE").write_text("a licence")
"""


def build(tmp_path: Path, *arguments: str) -> str:
    compiler = tmp_path / "compiler" / "ziglang"
    compiler.mkdir(parents=True, exist_ok=True)
    (compiler / "__init__.py").touch()
    (compiler / "__main__.py").write_text(COMPILER)
    environment = {**os.environ, "PYTHONPATH": str(compiler.parent)}
    command = [sys.executable, "tools/wheels.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("target", "tag"),
    [("aarch64-linux-musl", "musllinux_1_2_aarch64"), ("powerpc64le-linux-gnu.2.19", "manylinux_2_19_ppc64le")],
)
def test_a_wheel_has_its_tag_and_is_the_same_each_time(tmp_path: Path, target: str, tag: str) -> None:
    said = build(tmp_path, "--target", target, "--output", str(tmp_path / "first"))
    again = build(tmp_path, "--target", target, "--output", str(tmp_path / "second"))
    (wheel,) = (tmp_path / "first").iterdir()
    assert wheel.name.endswith(f"-py3-none-{tag}.whl")
    digest = said.split()[0]
    assert re.fullmatch("[0-9a-f]{64}", digest)
    assert again.split()[0] == digest
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("socketify/native/libsocketify.so")[64:].decode() == f"-Dtarget={target}"
        assert archive.read("socketify/native/uWebSockets.LICENSE.txt").decode() == "a licence"
        metadata = next(name for name in archive.namelist() if name.endswith("/WHEEL"))
        assert f"Tag: py3-none-{tag}\n" in archive.read(metadata).decode()


@pytest.mark.parametrize(
    ("target", "tag"), [("aarch64-macos.11.0", "macosx_11_0_arm64"), ("x86_64-macos.11.0", "macosx_11_0_x86_64")]
)
def test_a_wheel_for_macos_has_the_tag_that_its_library_says(tmp_path: Path, target: str, tag: str) -> None:
    pytest.importorskip("ziglang")
    delocating: Any = pytest.importorskip("delocate.delocating")
    library = tmp_path / "compiler" / "ziglang" / "libsocketify.dylib"
    library.parent.mkdir(parents=True)
    # Made by "zig build macos".
    made = ROOT / "zig-out" / "lib" / target[: -len(".11.0")] / library.name
    if made.exists():
        library.write_bytes(made.read_bytes())
    else:
        source = tmp_path / "a.c"
        source.write_text("int getpid(void); int sk(void) { return getpid(); }")
        compiler = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-shared", "-o", str(library), str(source)]
        subprocess.run(compiler, check=True, timeout=100)
    build(tmp_path, "--target", target, "--output", str(tmp_path / "made"))
    (wheel,) = (tmp_path / "made").iterdir()
    assert wheel.name.endswith(f"-py3-none-{tag}.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "unpacked")
    assert (tmp_path / "unpacked" / "socketify" / "native" / "libsocketify.dylib").read_bytes() == library.read_bytes()
    # Which tag delocate finds right for a wheel, by what its libraries need; what else it does needs programs of macOS.
    name, too_new = delocating._calculate_minimum_wheel_name(wheel.name, tmp_path / "unpacked", None)
    assert (name, too_new) == (wheel.name, set())


def compile_library(tmp_path: Path, target: str) -> None:
    """Make a little library what the stand-in for the compiler gives."""
    library = tmp_path / "compiler" / "ziglang" / "libsocketify.so"
    library.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "a.c").write_text("int getentropy(void *, unsigned long); int sk(char *to) { return getentropy(to, 1); }")
    # Zig's run-time library takes the longest to compile; there is nothing of it in this one.
    compiler = [
        sys.executable,
        "-m",
        "ziglang",
        "build-lib",
        "-dynamic",
        "-lc",
        "-fno-compiler-rt",
        "-fstrip",
        "-target",
        target,
    ]
    subprocess.run([*compiler, f"-femit-bin={library}", str(tmp_path / "a.c")], check=True, timeout=100)


def checked(*wheels: Path, tools: Path = ROOT / "tools") -> tuple[int, str]:
    """Return how the check of wheels ended, and what it said."""
    command = [sys.executable, str(tools / "check_wheels.py"), *map(str, wheels)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("target", "promised"),
    [
        ("s390x-linux-gnu.2.28", "manylinux_2_17_s390x"),
        ("aarch64-linux-musl", "manylinux_2_28_aarch64"),
    ],
)
def test_who_takes_wheels_checks_their_tags(tmp_path: Path, target: str, promised: str) -> None:
    for each in ("ziglang", "auditwheel", "twine", "check_wheel_contents"):
        pytest.importorskip(each)
    compile_library(tmp_path, target)
    build(tmp_path, "--target", target, "--output", str(tmp_path / "made"))
    (wheel,) = (tmp_path / "made").iterdir()
    assert checked(wheel) == (0, f"{wheel.name}: taken by pip for its platform\n")
    other = wheel.rename(wheel.with_name(wheel.name.rpartition("-")[0] + f"-{promised}.whl"))
    status, said = checked(other)
    assert status == 1
    assert said.startswith(f"{other.name}: ")
    assert "auditwheel" in said


def test_what_is_not_there_is_not_said_to_be_right(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "dist").mkdir()
    (tmp_path / "tools" / "check_wheels.py").write_text((ROOT / "tools" / "check_wheels.py").read_text())
    status, said = checked(tools=tmp_path / "tools")
    assert status == 2
    assert said.splitlines()[-1].endswith("python tools/wheels.py makes them")
    status, said = checked(tmp_path / "a.whl")
    assert status == 2
    assert said.splitlines()[-1].endswith(f"there is no {tmp_path / 'a.whl'}")


def test_the_source_distribution_has_all_that_is_kept() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("it is the source distribution")
    kept = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    text = (ROOT / "pyproject.toml").read_text()
    included = re.search(r"sdist\]\ninclude = \[(.*?)\]", text, re.DOTALL)
    assert included is not None
    # hatchling adds the project file itself.
    named = {*re.findall(r'"/([^"]+)"', included[1]), "pyproject.toml"}
    assert {name.partition("/")[0] for name in kept if not name.startswith(".")} == named
