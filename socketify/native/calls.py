"""The calls of the hot path: without ctypes between where CPython runs, which halves what a response costs in Python."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import sys
import types
from collections.abc import Coroutine
from typing import Any, Callable, Optional

from . import declarations as c
from .lending import lend_by, lent
from .library import load_library
from .modes import CTYPES, NO_ITERATOR_SEND, NO_MEMBERS, chosen_mode

lib = load_library()

#: Handle, head (status and fields; None for 200 without fields), number of fields, body, flags (END_CONNECTION ...).
Send = Callable[[int, Optional[bytes], int, bytes, int], int]
#: Handle, head (None when it is out), number of fields, piece.
Write = Callable[[int, Optional[bytes], int, bytes], int]
#: Handle, data, opcode and flags.
SendMessage = Callable[[int, bytes, int], int]
#: Handle, status, content type, whether it gives way to one among the headers, headers, body, flags.
SendWith = Callable[[int, Any, Any, int, Any, bytes, int], Optional[int]]
#: Loop, task, coroutine: begins it in the name of the task; None when it finished, else what it waits for and its context.
Begin = Callable[
    [asyncio.AbstractEventLoop, "asyncio.Task[Any]", "Coroutine[Any, Any, Any]"], Optional[tuple[Any, contextvars.Context]]
]
#: Handle, message (str for text, else bytes), opcode.
OnMessage = Callable[[int, Any, int], None]
#: Native app or handle, topic, data, opcode: whether there was anybody, or None when the arguments are not the usual ones.
Publish = Callable[[int, Any, Any, Any], Optional[bool]]

#: The close code (RFC 6455, erratum 3473).
_INTERNAL_ERROR = 1011

# Members of sk_python: names in CPython's C API, of which the first that is there is taken.
_C_API = {
    "vectorcall": ("PyObject_Vectorcall", "PyObject_VectorcallDict"),
    "new_function": ("PyCFunction_NewEx",),
    "new_method": ("PyDescr_NewMethod",),
    "type_from_spec": ("PyType_FromSpec",),
    "get_attribute": ("PyObject_GetAttrString",),
    "get_item": ("PyObject_GetItem",),
    "is_true": ("PyObject_IsTrue",),
    "compare": ("PyObject_RichCompareBool",),
    "inc_ref": ("Py_IncRef",),
    "dec_ref": ("Py_DecRef",),
    "from_long": ("PyLong_FromLong",),
    "from_bool": ("PyBool_FromLong",),
    "from_unsigned_long": ("PyLong_FromUnsignedLong",),
    "from_bytes": ("PyBytes_FromStringAndSize",),
    "from_latin1": ("PyUnicode_DecodeLatin1",),
    "from_utf8": ("PyUnicode_DecodeUTF8",),
    "intern": ("PyUnicode_InternFromString",),
    "as_long": ("PyLong_AsLong",),
    "as_unsigned_long": ("PyLong_AsUnsignedLong",),
    "bytes_content": ("PyBytes_AsStringAndSize",),
    "text_content": ("PyUnicode_AsUTF8AndSize",),
    "concat": ("PyUnicode_Concat",),
    "new_dict": ("PyDict_New",),
    "dict_copy": ("PyDict_Copy",),
    "dict_get": ("PyDict_GetItemWithError",),
    "dict_set": ("PyDict_SetItem",),
    "new_list": ("PyList_New",),
    "list_length": ("PyList_Size",),
    "list_get": ("PyList_GetItem",),
    "list_set": ("PyList_SetItem",),
    "new_tuple": ("PyTuple_New",),
    "tuple_length": ("PyTuple_Size",),
    "tuple_get": ("PyTuple_GetItem",),
    "tuple_set": ("PyTuple_SetItem",),
    "context_copy_current": ("PyContext_CopyCurrent",),
    "context_enter": ("PyContext_Enter",),
    "context_exit": ("PyContext_Exit",),
    "error_occurred": ("PyErr_Occurred",),
    "error_fetch": ("PyErr_Fetch",),
    "error_restore": ("PyErr_Restore",),
    "error_normalize": ("PyErr_NormalizeException",),
    "error_clear": ("PyErr_Clear",),
    "set_traceback": ("PyException_SetTraceback",),
    "set_error": ("PyErr_SetString",),
    "set_error_none": ("PyErr_SetNone",),
    "set_error_object": ("PyErr_SetObject",),
    "write_unraisable": ("PyErr_WriteUnraisable",),
}
#: Since CPython 3.10; without it coroutines are stepped by Python.
_ITERATOR_SEND = "PyIter_Send"
_OBJECTS: dict[str, object] = {
    "none": None,
    "type_error": TypeError,
    "runtime_error": RuntimeError,
    "stop_iteration": StopIteration,
    "type_type": type,
    "bytes_type": bytes,
    "text_type": str,
    "dict_type": dict,
    "list_type": list,
    "tuple_type": tuple,
    "coroutine_type": types.CoroutineType,
    "enter_task": asyncio.tasks._enter_task,
    "leave_task": asyncio.tasks._leave_task,
}


def _find_type_word() -> int:
    """Find where in an object the address of its type is: builds of CPython differ."""
    probe = object()
    words = ctypes.cast(id(probe), ctypes.POINTER(ctypes.c_void_p))
    return next(index for index in range(object.__basicsize__ // ctypes.sizeof(ctypes.c_void_p)) if words[index] == id(object))


def _count_is_first() -> bool:
    """Tell whether an object begins with its reference count, as in all builds of CPython but free-threaded ones."""
    probe = object()
    count = ctypes.c_uint32.from_address(id(probe))
    alone = count.value
    holders = [probe] * 5
    return alone == 1 and count.value == alone + len(holders)


def _find_weak_references(kind: type) -> int:
    """Find where in an object, in words, the list of its weak references begins; null when there are none."""
    # Since CPython 3.12 they lie before the object, where Python classes are concerned.
    return kind.__weakrefoffset__ // ctypes.sizeof(ctypes.c_void_p)


def _address(name: str) -> Optional[int]:
    return ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value


def _find_c_api() -> Optional[c.PythonStruct]:
    """Give the addresses of what the native side calls, or None when this is no CPython."""
    mode = chosen_mode()
    if sys.implementation.name != "cpython" or mode == CTYPES:
        return None
    members: dict[str, Optional[int]] = {name: id(each) for name, each in _OBJECTS.items()}
    for member, names in _C_API.items():
        found = [name for name in names if hasattr(ctypes.pythonapi, name)]
        if not found:
            return None
        members[member] = _address(found[0])
    has_send = hasattr(ctypes.pythonapi, _ITERATOR_SEND) and mode != NO_ITERATOR_SEND
    members["iterator_send"] = _address(_ITERATOR_SEND) if has_send else None
    return c.PythonStruct(
        type_word=_find_type_word(),
        function_weak=_find_weak_references(types.BuiltinFunctionType),
        count_is_first=mode != NO_MEMBERS and _count_is_first(),
        # CPython 3.9 and 3.10 do not export the other one.
        vectorcall_takes_dict=not hasattr(ctypes.pythonapi, _C_API["vectorcall"][0]),
        **members,
    )


_c_api = _find_c_api()
#: Whether CPython and the native side call each other without ctypes between.
by_address = _c_api is not None
if _c_api is not None:
    lib.sk_python_load(ctypes.byref(_c_api))
lend_by(lib, None if _c_api is None else (_c_api.inc_ref, _c_api.dec_ref))
#: Whether requests and messages go to handlers, and are answered by them, without Python between: members of objects are read
#: where they lie, which other threads may change at the same time when they need no common lock.
reads_members = bool(_c_api is not None and _c_api.count_is_first)
#: Documentation of native methods, of which CPython keeps only the address.
_kept: list[bytes] = []
#: Whether coroutines, and with them ASGI, are served without Python between.
steps_natively = bool(_c_api is not None and _c_api.iterator_send)


def _native(which: int, fallback: Any) -> Any:
    return fallback if _c_api is None else lib.sk_python_function(which, None)


def _text(length: int) -> str:
    if length == c.STALE:
        message = "the request is gone: call preserve() before the handler returns"
        raise RuntimeError(message)
    return ctypes.string_at(lib.sk_loop_scratch(), length).decode("latin-1")


def _header(handle: int, name: str) -> Optional[str]:
    encoded = name.lower().encode()
    length = lib.sk_req_header(handle, encoded, len(encoded))
    return None if length == c.ABSENT else _text(length)


def sent_target(handle: int) -> str:
    """Give the target of a request as it was sent, with scheme and authority of absolute-form.

    Raises:
        RuntimeError: the request is gone.

    """
    return _text(lib.sk_req_sent_target(handle))


def _parameter(handle: int, index: int) -> Optional[str]:
    length = lib.sk_req_parameter(handle, index)
    return None if length == c.ABSENT else _text(length)


def _begin(
    loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any], coroutine: Coroutine[Any, Any, Any]
) -> Optional[tuple[Any, contextvars.Context]]:
    context = contextvars.copy_context()
    asyncio.tasks._enter_task(loop, task)
    try:
        return context.run(coroutine.send, None), context
    except StopIteration:
        return None
    finally:
        asyncio.tasks._leave_task(loop, task)


def _send(handle: int, head: Optional[bytes], fields: int, body: bytes, flags: int) -> int:
    with lent(body) as content:
        return int(lib.sk_res_send(handle, head, len(head or b""), fields, content, len(body), flags))


def _write(handle: int, head: Optional[bytes], fields: int, data: bytes) -> int:
    with lent(data) as content:
        return int(lib.sk_res_write(handle, head, len(head or b""), fields, content, len(data)))


def _stream(handle: int, head: Optional[bytes], fields: int, data: bytes) -> int:
    with lent(data) as content:
        return int(lib.sk_res_stream(handle, head, len(head or b""), fields, content, len(data)))


def _send_message(handle: int, data: bytes, flags: int) -> int:
    with lent(data) as content:
        return int(lib.sk_ws_send(handle, content, len(data), flags))


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
send_with: SendWith = _native(c.PYTHON_SEND_WITH, lambda *_: None)
method: Callable[[int], str] = _native(c.PYTHON_METHOD, lambda handle: _text(lib.sk_req_method(handle)))
url: Callable[[int], str] = _native(c.PYTHON_URL, lambda handle: _text(lib.sk_req_url(handle)))
full_url: Callable[[int], str] = _native(c.PYTHON_FULL_URL, lambda handle: _text(lib.sk_req_full_url(handle)))
header: Callable[[int, str], Optional[str]] = _native(c.PYTHON_HEADER, _header)
parameter: Callable[[int, int], Optional[str]] = _native(c.PYTHON_PARAMETER, _parameter)
body_here: Callable[[int], Optional[bytes]] = _native(c.PYTHON_BODY_HERE, lambda _: None)
publish: Publish = _native(c.PYTHON_PUBLISH, lambda *_: None)
publish_from: Publish = _native(c.PYTHON_PUBLISH_FROM, lambda *_: None)
pump: Callable[[], object] = _native(c.PYTHON_PUMP, lib.sk_loop_pump)
begin: Begin = lib.sk_python_function(c.PYTHON_BEGIN, None) if steps_natively else _begin


def asgi_scope(parts: tuple[Any, ...]) -> Callable[[int], tuple[int, dict[str, Any]]]:
    """Give a function of a handle that makes flags (``SCOPE_*``) and scope; of ``parts`` (``ASGI_*``) the first will do."""
    function: Callable[[int], tuple[int, dict[str, Any]]] = lib.sk_python_function(c.PYTHON_ASGI_SCOPE, parts)
    return function


def asgi_request(parts: tuple[Any, ...]) -> Callable[[int], int]:
    """Give a function of a handle that serves a request by an ASGI application; ``parts`` by ``ASGI_*``."""
    assert len(parts) == c.ASGI_ITEMS
    function: Callable[[int], int] = lib.sk_python_function(c.PYTHON_ASGI_REQUEST, parts)
    return function


def request_handler(function: Callable[[int], int]) -> tuple[Any, Optional[int]]:
    """Give the last two arguments of ``sk_app_route``. The function and the first one must be kept alive."""
    if _c_api is not None:
        return c.RequestCallback(), id(function)

    def on_request(handle: int) -> int:
        try:
            return function(handle)
        except BaseException:
            # ctypes prints it; the client must not wait for more.
            lib.sk_res_fail(handle)
            raise

    return c.RequestCallback(on_request), None


def message_handler(
    function: OnMessage, handler: Optional[Callable[..., Any]] = None, on_result: Optional[Callable[..., Any]] = None
) -> dict[str, Any]:
    """Give the ``on_message`` members of ``sk_ws_behavior``. All arguments and the value of ``on_message`` must be kept alive.

    Args:
        function: takes every message that ``handler`` does not.
        handler: takes those of a websocket that is in its usual state, as ``handler(ws, message, opcode)``; see
            :func:`websocket_send`.
        on_result: called as ``on_result(ws, result, error)`` with what a handler returned or raised.

    """
    if _c_api is None:

        def on_message(handle: int, address: Optional[int], length: int, opcode: int) -> None:
            try:
                data = ctypes.string_at(address or 0, length)
                function(handle, data.decode() if opcode == 1 else data, opcode)
            except MemoryError:
                # Nobody shall take the messages that follow for all there are.
                lib.sk_ws_end(handle, _INTERNAL_ERROR, b"", 0)
                raise

        return {"on_message": c.WebSocketMessageCallback(on_message)}
    members = {"on_message": c.WebSocketMessageCallback(), "on_message_object": id(function)}
    if handler is not None and reads_members:
        members.update(on_message_handler=id(handler), on_message_result=id(on_result))
    return members


def _find_member(kind: type, name: str) -> int:
    """Find where in an object, in words, a slot of it lies."""
    probe: Any = object.__new__(kind)
    value = object()
    setattr(probe, name, value)
    words = ctypes.cast(id(probe), ctypes.POINTER(ctypes.c_void_p))
    return next(index for index in range(kind.__basicsize__ // ctypes.sizeof(ctypes.c_void_p)) if words[index] == id(value))


def _documentation(signature: str, function: Callable[..., Any]) -> bytes:
    """Give a signature and a function's docstring as CPython reads them from a method, which needs them for ever."""
    doc = f"{signature}\n--\n\n{function.__doc__ or ''}".encode()
    _kept.append(doc)
    return doc


def websocket_send(kind: type, send: Callable[..., Any], opcodes: tuple[Any, Any], statuses: tuple[Any, Any, Any]) -> Any:
    """Give a method for a class of websockets that sends without Python, or leaves the call to ``send``.

    Args:
        kind: has the slots ``_handle``, ``_inbox`` and ``_busy``.
        send: the method as a function.
        opcodes: TEXT and BINARY.
        statuses: BUFFERED, OK and GONE.

    """
    if not reads_members:
        return send
    words = {f"{name}_member": _find_member(kind, f"_{name}") for name in ("handle", "inbox", "busy")}
    objects = dict(zip(("opcode_text", "opcode_binary"), map(id, opcodes)))
    objects.update(zip(("status_buffered", "status_sent", "status_dropped"), map(id, statuses)))
    doc = _documentation("send($self, data, opcode=2, compress=False, fin=True)", send)
    return lib.sk_python_websocket(
        c.WebSocketPythonStruct(send=id(send), doc=doc, not_busy=id(False), **words, **objects), kind
    )


def response_end(response: type, request: type, end: Callable[..., Any]) -> Any:
    """Give a method for a class of responses that ends them without Python, or leaves the call to ``end``.

    Args:
        response: has the slots ``_handle`` and ``_dirty``.
        request: has the slots ``_handle``, ``_dirty`` and ``_yielded``.
        end: the method as a function.

    """
    if not reads_members:
        return end
    doc = _documentation("end($self, message=b'', end_connection=False)", end)
    facts = c.ExchangePythonStruct(
        end=id(end),
        end_doc=doc,
        zero=id(0),
        not_dirty=id(False),
        response_handle=_find_member(response, "_handle"),
        response_dirty=_find_member(response, "_dirty"),
        request_handle=_find_member(request, "_handle"),
        request_dirty=_find_member(request, "_dirty"),
        request_yielded=_find_member(request, "_yielded"),
        response_weak=_find_weak_references(response),
        request_weak=_find_weak_references(request),
    )
    return lib.sk_python_response(facts, response)


def exchange_handler(
    handler: Callable[[Any, Any], Any],
    pair: list[Any],
    renew: Callable[[], None],
    settle: Callable[[Any, Any, Any, Optional[BaseException]], int],
    clean: Callable[[Any, Any], None],
    otherwise: Callable[[int], int],
) -> c.ExchangeHandlerStruct:
    """Give the last argument of ``sk_app_route_exchange``, which must be kept alive; see there for what the functions do."""
    parts = {"handler": handler, "pair": pair, "renew": renew, "settle": settle, "clean": clean, "otherwise": otherwise}
    struct = c.ExchangeHandlerStruct(**{name: id(part) for name, part in parts.items()})
    struct.parts = parts
    return struct
