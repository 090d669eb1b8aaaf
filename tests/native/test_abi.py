"""The C headers, what is generated from them, and the library that was built from them."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from socketify.asgi.exchange import ASGIExchange
from socketify.native import abi, lib, library

ROOT = Path(__file__).parents[2]


def load_generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate_abi", ROOT / "zig" / "build" / "generate_abi.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generator = load_generator()
HEADER = generator.read_header(generator.HEADER)


def generated(header: str) -> str:
    return "\n".join(generator.python_lines(generator.Contract(header))) + "\n"


def layout(structs: dict[str, type[ctypes.Structure]], constants: dict[str, int]) -> int:
    """Return what ``sk_abi_layout`` does, from what ctypes makes of the structs."""
    value = 0xCBF29CE484222325

    def add(name: str, *numbers: int) -> None:
        nonlocal value
        for number in (*name.encode(), *numbers):
            value = ((value ^ (number % 2**64)) * 0x100000001B3) % 2**64

    for name, number in constants.items():
        add(name, number, 0)
    for name, struct in structs.items():
        add(name, ctypes.sizeof(struct), 0)
        for member, *_ in struct._fields_:
            place = getattr(struct, member)
            add(member, place.offset, place.size)
    return value


def constants() -> dict[str, int]:
    found = {name: value for name, value in vars(abi).items() if isinstance(value, int) and name.isupper()}
    del found["DIGEST"]
    return found


def test_abi_is_what_the_headers_say() -> None:
    assert generator.ABI.read_text() == generated(HEADER), "run python zig/build/generate_abi.py"


def test_the_library_was_built_from_these_headers() -> None:
    assert lib.sk_abi_digest() == abi.DIGEST
    assert lib.sk_abi_layout() == layout(abi.STRUCTS, constants())


def test_two_members_that_changed_places_are_found() -> None:
    first, second = "  uint32_t header_timeout_s;", "  uint32_t body_timeout_s;"
    swapped = HEADER.replace(first, "?").replace(second, first).replace("?", second)
    assert generated(swapped) != generated(HEADER)
    changed: dict[str, Any] = {}
    exec(generated(swapped), changed)  # noqa: S102
    assert changed["DIGEST"] != abi.DIGEST
    assert layout(changed["STRUCTS"], constants()) != lib.sk_abi_layout()


def test_a_constant_with_another_value_is_found() -> None:
    wrong = {**constants(), "GONE": abi.OK, "OK": abi.GONE}
    assert layout(abi.STRUCTS, wrong) != lib.sk_abi_layout()


@pytest.mark.parametrize(
    "text",
    [
        "SK_API uint16_t sk_new(void);",
        "SK_API void sk_new(const sk_unknown *what);",
        "extern int32_t sk_new;",
        "#define SK_NEW other()",
        "#define sk_new 1",
        "enum { NEW = 1 };",
        "typedef struct sk_new { int32_t one; } sk_old;",
        "typedef struct sk_new { int32_t one;",
    ],
)
def test_what_the_generator_does_not_know_is_refused(text: str) -> None:
    with pytest.raises((generator.HeaderError, SyntaxError)):
        generator.Contract(HEADER + text + "\n")


def test_exchanges_have_the_methods_that_the_native_side_calls() -> None:
    names = [value for name, value in vars(abi).items() if name.startswith("ASGI_") and isinstance(value, str)]
    assert len(names) == 9
    assert all(callable(getattr(ASGIExchange, name)) for name in names)


@pytest.mark.skipif(shutil.which("nm") is None, reason="nm is not installed")
def test_only_our_functions_are_exported() -> None:
    path = Path(library.__file__).with_name("libsocketify.so")
    output = subprocess.run(["nm", "-D", "--defined-only", str(path)], capture_output=True, text=True, check=True)
    names = {line.split()[-1] for line in output.stdout.splitlines()}
    assert names == set(abi.FUNCTIONS)


@pytest.mark.skipif(shutil.which("readelf") is None, reason="readelf is not installed")
def test_the_library_needs_only_libc_and_friends() -> None:
    path = Path(library.__file__).with_name("libsocketify.so")
    # What ldd would say is how this system's C library finds them, which need not be that of the interpreter.
    output = subprocess.run(["readelf", "-d", str(path)], capture_output=True, text=True, check=True).stdout
    allowed = ("libc.so", "libm.so", "libdl.so", "libpthread.so", "librt.so", "ld-linux")
    needed = [line for line in output.splitlines() if "(NEEDED)" in line]
    assert needed
    for line in needed:
        assert any(name in line for name in allowed), line


def test_another_abi_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abi, "DIGEST", abi.DIGEST ^ 1)
    with pytest.raises(ImportError, match="ABI"):
        library.load_library()


def test_a_library_from_before_there_was_a_digest_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    libc = next(
        line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "libc" in line and ".so" in line
    )
    monkeypatch.setenv("SOCKETIFY_LIBRARY", libc)
    with pytest.raises(ImportError, match="build it again"):
        library.load_library()
