"""The calls of the hot path: without ctypes between where CPython runs, which halves what a response costs in Python."""

from __future__ import annotations

import ctypes
import sys
from typing import Any, Callable, Optional

from . import declarations as c
from .library import load_library

lib = load_library()

#: Handle, head (status and fields; None for 200 without fields), number of fields, body, flags (END_CONNECTION ...).
Send = Callable[[int, Optional[bytes], int, bytes, int], int]
#: Handle, head (None when it is out), number of fields, piece.
Write = Callable[[int, Optional[bytes], int, bytes], int]
#: Handle, data, opcode and flags.
SendMessage = Callable[[int, bytes, int], int]
#: Handle, message (str for text, else bytes), opcode.
OnMessage = Callable[[int, Any, int], None]

# Member of sk_python: names in CPython's C API, of which the first that is there is taken.
_C_API = {
    "vectorcall": ("PyObject_Vectorcall", "PyObject_VectorcallDict"),
    "new_function": ("PyCFunction_NewEx",),
    "from_long": ("PyLong_FromLong",),
    "from_unsigned_long": ("PyLong_FromUnsignedLong",),
    "from_bytes": ("PyBytes_FromStringAndSize",),
    "from_latin1": ("PyUnicode_DecodeLatin1",),
    "from_utf8": ("PyUnicode_DecodeUTF8",),
    "as_long": ("PyLong_AsLong",),
    "as_unsigned_long": ("PyLong_AsUnsignedLong",),
    "bytes_content": ("PyBytes_AsStringAndSize",),
    "error_occurred": ("PyErr_Occurred",),
    "set_error": ("PyErr_SetString",),
    "write_unraisable": ("PyErr_WriteUnraisable",),
    "dec_ref": ("Py_DecRef",),
}


def _find_c_api() -> Optional[c.PythonStruct]:
    """Give the addresses of what the native side calls, or None when this is no CPython."""
    if sys.implementation.name != "cpython":
        return None
    addresses: dict[str, Optional[int]] = {"none": id(None), "type_error": id(TypeError)}
    for member, names in _C_API.items():
        found = [getattr(ctypes.pythonapi, name) for name in names if hasattr(ctypes.pythonapi, name)]
        if not found:
            return None
        addresses[member] = ctypes.cast(found[0], ctypes.c_void_p).value
    return c.PythonStruct(**addresses)


_c_api = _find_c_api()
if _c_api is not None:
    lib.sk_python_load(ctypes.byref(_c_api))


def _native(which: int, fallback: Any) -> Any:
    return fallback if _c_api is None else lib.sk_python_function(which)


def _send(handle: int, head: Optional[bytes], fields: int, body: bytes, flags: int) -> int:
    return int(lib.sk_res_send_large(handle, head, len(head or b""), fields, body, len(body), flags))


def _write(handle: int, head: Optional[bytes], fields: int, data: bytes) -> int:
    return int(lib.sk_res_write(handle, head, len(head or b""), fields, data, len(data)))


def _stream(handle: int, head: Optional[bytes], fields: int, data: bytes) -> int:
    return int(lib.sk_res_stream(handle, head, len(head or b""), fields, data, len(data)))


def _send_message(handle: int, data: bytes, flags: int) -> int:
    return int(lib.sk_ws_send(handle, data, len(data), flags))


def _scope(handle: int) -> bytes:
    return ctypes.string_at(lib.sk_loop_scratch(), max(lib.sk_req_scope(handle), 0))


def _scope_text(handle: int) -> str:
    return _scope(handle).decode("latin-1")


send: Send = _native(c.PYTHON_SEND, _send)
write: Write = _native(c.PYTHON_WRITE, _write)
stream: Write = _native(c.PYTHON_STREAM, _stream)
send_message: SendMessage = _native(c.PYTHON_SEND_MESSAGE, _send_message)
scope: Callable[[int], bytes] = _native(c.PYTHON_SCOPE, _scope)
scope_text: Callable[[int], str] = _native(c.PYTHON_SCOPE_TEXT, _scope_text)


def request_handler(function: Callable[[int], int]) -> tuple[Any, Optional[int]]:
    """Give the last two arguments of ``sk_app_route``. The function and the first one must be kept alive."""
    if _c_api is None:
        return c.RequestCallback(function), None
    return c.RequestCallback(), id(function)


def message_handler(function: OnMessage) -> dict[str, Any]:
    """Give ``on_message`` and ``on_message_object`` of ``sk_ws_behavior``. The function and the former must be kept alive."""
    if _c_api is None:

        def on_message(handle: int, address: Optional[int], length: int, opcode: int) -> None:
            data = ctypes.string_at(address or 0, length)
            function(handle, data.decode() if opcode == 1 else data, opcode)

        return {"on_message": c.WebSocketMessageCallback(on_message)}
    return {"on_message": c.WebSocketMessageCallback(), "on_message_object": id(function)}
