"""The calls of the hot path by ctypes, for interpreters without the C API: each does, and refuses, what its twin does."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import functools
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Coroutine
from typing import Any, Callable, Optional, TypeVar, cast

from . import abi
from .cffi_calls import cffi_calls
from .lending import lent
from .library import lib, library_path
from .signatures import OnMessage

#: What an int of C counts to.
_HEAD_BYTES_MAX = 2**31 - 1
_by_cffi = cffi_calls(str(library_path()))
_Twin = TypeVar("_Twin", bound=Callable[..., Any])


def _refusing(twin: _Twin) -> _Twin:
    """Make a function of a handle raise the same errors for wrong arguments as the C API does."""

    @functools.wraps(twin)
    def checked(handle: int, *arguments: Any) -> Any:
        if handle < 0:
            message = "can't convert negative value to unsigned int"
            raise OverflowError(message)
        try:
            return twin(handle, *arguments)
        except ctypes.ArgumentError as error:
            raise TypeError(str(error)) from None

    return cast("_Twin", checked)


def _text(length: int) -> str:
    if length == abi.STALE:
        raise RuntimeError(abi.REQUEST_IS_GONE)
    return ctypes.string_at(lib.sk_loop_scratch(), length).decode("latin-1")


@_refusing
def method(handle: int) -> str:
    """Return the method of a request."""
    return _text(lib.sk_req_method(handle))


@_refusing
def url(handle: int) -> str:
    """Return the path of a request."""
    return _text(lib.sk_req_url(handle))


@_refusing
def full_url(handle: int) -> str:
    """Return path and query of a request."""
    return _text(lib.sk_req_full_url(handle))


@_refusing
def header(handle: int, name: str) -> Optional[str]:
    """Return the first value of a field."""
    # Field names are ASCII, so lower() of bytes is enough.
    encoded = str.encode(name).lower()
    length = lib.sk_req_header(handle, encoded, len(encoded))
    return None if length == abi.ABSENT else _text(length)


@_refusing
def parameter(handle: int, index: int) -> Optional[str]:
    """Return a parameter of the path as it was sent."""
    length = lib.sk_req_parameter(handle, index)
    return None if length == abi.ABSENT else _text(length)


def sent_target(handle: int) -> str:
    """Return the target of a request as it was sent, with scheme and authority of absolute-form.

    Raises:
        RuntimeError: the request cannot be read any more.

    """
    return _text(lib.sk_req_sent_target(handle))


@_refusing
def scope(handle: int) -> bytes:
    """Return the parts of a request that interfaces need."""
    return ctypes.string_at(lib.sk_loop_scratch(), max(lib.sk_req_scope(handle), 0))


@_refusing
def scope_text(handle: int) -> str:
    """Return the same as :func:`scope`, as text."""
    return scope(handle).decode("latin-1")


def begin(
    loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any], coroutine: Coroutine[Any, Any, Any]
) -> Optional[tuple[Any, contextvars.Context]]:
    """Step a coroutine in the name of a task and in a copy of the context."""
    context = contextvars.copy_context()
    _enter_task(loop, task)
    try:
        return context.run(coroutine.send, None), context
    except StopIteration:
        return None
    finally:
        _leave_task(loop, task)


def prepare_task(runner: list[Any]) -> asyncio.Task[Any]:
    """Return the task in whose name the next coroutine begins."""
    task: asyncio.Task[Any] = runner[abi.RUNNER_TASK] or runner[abi.RUNNER_ITSELF].prepare()
    return task


def carry_on(
    runner: list[Any],
    coroutine: Any,
    waits: Any,
    report: Callable[[BaseException], None],
    finish: Optional[Callable[[], object]],
) -> asyncio.Task[Any]:
    """Let a coroutine go on that was begun."""
    task: asyncio.Task[Any] = runner[abi.RUNNER_ITSELF].adopt(coroutine, waits, report, finish)
    return task


def _with_head(function: Callable[..., int], handle: int, head: Optional[bytes], *arguments: Any) -> int:
    """Call a function that takes a head, unless that is longer than it can say."""
    length = len(head or b"")
    return abi.BAD_HEAD if length > _HEAD_BYTES_MAX else int(function(handle, head, length, *arguments))


@_refusing
def send(handle: int, head: Optional[bytes], fields: int, body: bytes, flags: int) -> int:
    """Send a whole response."""
    if _by_cffi is not None and type(body) is bytes and len(body) < abi.LENT_MIN:
        return _with_head(_by_cffi.res_send, handle, head, fields, body, len(body), flags)
    with lent(body) as content:
        return _with_head(lib.sk_res_send, handle, head, fields, content, len(body), flags)


@_refusing
def write(handle: int, head: Optional[bytes], fields: int, data: bytes) -> int:
    """Send a piece of a body of unknown length."""
    if _by_cffi is not None and type(data) is bytes and len(data) < abi.LENT_MIN:
        return _with_head(_by_cffi.res_write, handle, head, fields, data, len(data))
    with lent(data) as content:
        return _with_head(lib.sk_res_write, handle, head, fields, content, len(data))


@_refusing
def stream(handle: int, head: Optional[bytes], fields: int, data: bytes) -> int:
    """Send a piece of a body whose length may be among the fields."""
    if _by_cffi is not None and type(data) is bytes and len(data) < abi.LENT_MIN:
        return _with_head(_by_cffi.res_stream, handle, head, fields, data, len(data))
    with lent(data) as content:
        return _with_head(lib.sk_res_stream, handle, head, fields, content, len(data))


@_refusing
def send_message(handle: int, data: bytes, flags: int) -> int:
    """Send a message or fragment."""
    if _by_cffi is not None and type(data) is bytes and len(data) < abi.LENT_MIN:
        return int(_by_cffi.ws_send(handle, data, len(data), flags))
    with lent(data) as content:
        return int(lib.sk_ws_send(handle, content, len(data), flags))


def undecided(*_: Any) -> None:
    """Stand in for calls that return None outside the usual case, upon which Python does the work."""


def request_callback(function: Callable[[int], int]) -> Any:
    """Make an ``sk_request_fn`` of a function of a handle."""

    def on_request(handle: int, receipt: int) -> int:
        return receipt + abi.PASSED_ON if function(handle) else receipt

    return abi.RequestCallback(on_request) if _by_cffi is None else _by_cffi.request_callback(on_request)


def message_callback(function: OnMessage) -> Any:
    """Make an ``sk_ws_message_fn`` of a function of handle, message and opcode."""

    def on_message(handle: int, address: Optional[int], length: int, opcode: int, receipt: int) -> int:
        data = ctypes.string_at(address or 0, length)
        function(handle, data.decode() if opcode == abi.WS_TEXT else data, opcode)
        return receipt

    return abi.WebSocketMessageCallback(on_message)
