"""The C headers against the ctypes declarations."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
from pathlib import Path

import pytest

from socketify.native import declarations, library

SHIM = Path(__file__).parents[2] / "zig" / "shim" / "abi"
HEADERS = [SHIM / "socketify.h", SHIM / "socketify_python.h"]
CODE = re.sub(r"/\*.*?\*/", "", "\n".join(each.read_text() for each in HEADERS), flags=re.DOTALL)
TYPES = {
    "void": None,
    "int32_t": ctypes.c_int32,
    "uint32_t": ctypes.c_uint32,
    "int64_t": ctypes.c_int64,
    "uint64_t": ctypes.c_uint64,
    "size_t": ctypes.c_size_t,
    "const char *": ctypes.c_char_p,
    "char *": ctypes.c_void_p,
    "sk_app *": ctypes.c_void_p,
    "sk_request_fn": declarations.RequestCallback,
    "sk_abort_fn": declarations.AbortCallback,
    "sk_body_fn": declarations.BodyCallback,
    "sk_timeout_fn": declarations.TimeoutCallback,
    "sk_writable_fn": declarations.WritableCallback,
    "sk_drained_fn": declarations.DrainedCallback,
    "sk_waiting_fn": declarations.WaitingCallback,
    "sk_log_fn": declarations.LogCallback,
    "sk_ws_open_fn": declarations.WebSocketOpenCallback,
    "sk_ws_message_fn": declarations.WebSocketMessageCallback,
    "sk_ws_close_fn": declarations.WebSocketCloseCallback,
    "sk_ws_subscription_fn": declarations.WebSocketSubscriptionCallback,
    "const sk_ws_behavior *": ctypes.POINTER(declarations.WebSocketBehaviorStruct),
    "sk_tls_missing_fn": declarations.TlsMissingCallback,
    "const void *": ctypes.c_void_p,
    "sk_object *": ctypes.py_object,
    "void *": ctypes.c_void_p,
    "const sk_wsgi_options *": ctypes.POINTER(declarations.WsgiOptionsStruct),
    "const sk_ws_python *": ctypes.POINTER(declarations.WebSocketPythonStruct),
    "const sk_exchange_python *": ctypes.POINTER(declarations.ExchangePythonStruct),
    "const sk_exchange_handler *": ctypes.POINTER(declarations.ExchangeHandlerStruct),
    "const sk_python *": ctypes.POINTER(declarations.PythonStruct),
    "const sk_tls_options *": ctypes.POINTER(declarations.TlsOptionsStruct),
    "const sk_app_options *": ctypes.POINTER(declarations.AppOptionsStruct),
}


def c_type(declaration: str, *, named: bool = True) -> object:
    text = " ".join(declaration.replace("*", " * ").split())
    if named:
        text = re.sub(r"\s?\b\w+$", "", text) if " " in text else text
    return TYPES[text.replace(" *", " *").strip()]


def functions() -> dict[str, tuple[object, tuple[object, ...]]]:
    found = {}
    for result, name, parameters in re.findall(r"SK_API ([\w *]+?)(sk_\w+)\(([^)]*)\);", CODE):
        kinds = () if parameters.strip() == "void" else tuple(c_type(each) for each in parameters.split(","))
        found[name] = (c_type(result, named=False), kinds)
    return found


def test_every_function_is_declared_as_the_header_says() -> None:
    assert functions() == dict(declarations.FUNCTIONS)


def test_every_constant_is_the_headers() -> None:
    constants = {name: int(value.strip("()")) for name, value in re.findall(r"#define SK_(\w+) (\(?-?\d+\)?)", CODE)}
    for name, value in constants.items():
        assert getattr(declarations, name) == value, name


@pytest.mark.parametrize(
    ("name", "struct"),
    [
        ("sk_app_options", declarations.AppOptionsStruct),
        ("sk_ws_behavior", declarations.WebSocketBehaviorStruct),
        ("sk_tls_options", declarations.TlsOptionsStruct),
        ("sk_wsgi_options", declarations.WsgiOptionsStruct),
        ("sk_ws_python", declarations.WebSocketPythonStruct),
        ("sk_exchange_python", declarations.ExchangePythonStruct),
        ("sk_exchange_handler", declarations.ExchangeHandlerStruct),
    ],
)
def test_the_structs_are_the_headers(name: str, struct: type[ctypes.Structure]) -> None:
    body = re.search(rf"typedef struct {name} \{{(.*?)\}} {name};", CODE, flags=re.DOTALL)
    assert body is not None
    fields = [each.strip() for each in body.group(1).split(";") if each.strip()]
    expected = [(re.findall(r"\w+", each)[-1], c_type(each)) for each in fields]
    assert [(name, kind) for name, kind in struct._fields_] == expected


def test_only_our_functions_are_exported() -> None:
    path = Path(library.__file__).with_name("libsocketify.so")
    output = subprocess.run(["nm", "-D", "--defined-only", str(path)], capture_output=True, text=True, check=True)
    names = {line.split()[-1] for line in output.stdout.splitlines()}
    assert names == set(declarations.FUNCTIONS)


def test_the_library_needs_only_libc_and_friends() -> None:
    path = Path(library.__file__).with_name("libsocketify.so")
    # What a sanitizer puts before all libraries is none that ours asks for.
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    output = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=True, env=environment).stdout
    allowed = ("linux-vdso", "libc.so", "libm.so", "libdl.so", "libpthread.so", "librt.so", "ld-linux")
    for line in output.splitlines():
        assert any(name in line for name in allowed), line


def test_another_abi_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declarations, "ABI_VERSION", declarations.ABI_VERSION + 1)
    with pytest.raises(ImportError, match="ABI"):
        library.load_library()
