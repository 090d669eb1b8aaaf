"""Layer 1: the native library, and the calls of the hot path in the fastest way that the interpreter allows.

:data:`lib` has every function of the C ABI, by ctypes; :mod:`.abi` has its types and constants. If
:data:`capabilities` allows it, the calls below go directly through the C API of CPython, else through ctypes: both
do, and refuse, the same.
"""

from __future__ import annotations

from typing import Any, Callable, Optional

from . import abi, fallback
from .cpython import Capabilities, capabilities, function
from .fallback import sent_target
from .handlers import (
    ExchangeHandler,
    asgi_request,
    asgi_scope,
    continuation_type,
    message_handler,
    request_handler,
    response_end,
    websocket_send,
)
from .lending import lent, placed
from .library import lib
from .signatures import Begin, CarryOn, OnMessage, PrepareTask, Publish, PublishFrom, Send, SendMessage, SendWith, Write

__all__ = [
    "Capabilities",
    "ExchangeHandler",
    "OnMessage",
    "abi",
    "asgi_receive",
    "asgi_request",
    "asgi_scope",
    "begin",
    "body_here",
    "capabilities",
    "carry_on",
    "continuation_type",
    "full_url",
    "header",
    "lent",
    "lib",
    "message_handler",
    "method",
    "parameter",
    "placed",
    "prepare_task",
    "publish",
    "publish_from",
    "pump",
    "request_handler",
    "response_end",
    "scope",
    "scope_text",
    "send",
    "send_message",
    "send_with",
    "sent_target",
    "stream",
    "url",
    "wait",
    "websocket_send",
    "write",
]


def _fast(which: int, twin: Optional[Callable[..., Any]], *, can: bool = capabilities.c_api) -> Any:
    return function(which) if can else twin


send: Send = _fast(abi.PYTHON_SEND, fallback.send)
write: Write = _fast(abi.PYTHON_WRITE, fallback.write)
stream: Write = _fast(abi.PYTHON_STREAM, fallback.stream)
send_message: SendMessage = _fast(abi.PYTHON_SEND_MESSAGE, fallback.send_message)
scope: Callable[[int], bytes] = _fast(abi.PYTHON_SCOPE, fallback.scope)
scope_text: Callable[[int], str] = _fast(abi.PYTHON_SCOPE_TEXT, fallback.scope_text)
send_with: SendWith = _fast(abi.PYTHON_SEND_WITH, fallback.undecided)
method: Callable[[int], str] = _fast(abi.PYTHON_METHOD, fallback.method)
url: Callable[[int], str] = _fast(abi.PYTHON_URL, fallback.url)
full_url: Callable[[int], str] = _fast(abi.PYTHON_FULL_URL, fallback.full_url)
header: Callable[[int, str], Optional[str]] = _fast(abi.PYTHON_HEADER, fallback.header)
parameter: Callable[[int, int], Optional[str]] = _fast(abi.PYTHON_PARAMETER, fallback.parameter)
body_here: Callable[[int], Optional[bytes]] = _fast(abi.PYTHON_BODY_HERE, fallback.undecided)
publish: Publish = _fast(abi.PYTHON_PUBLISH, fallback.undecided)
publish_from: PublishFrom = _fast(abi.PYTHON_PUBLISH_FROM, fallback.undecided)
pump: Callable[[], object] = _fast(abi.PYTHON_PUMP, lib.sk_loop_pump)
#: Of the C API alone: see ``PYTHON_WAIT``.
wait: Optional[Callable[..., int]] = _fast(abi.PYTHON_WAIT, None)
asgi_receive: Callable[[Any], Any] = _fast(abi.PYTHON_ASGI_RECEIVE, fallback.undecided, can=capabilities.iterator_send)
begin: Begin = _fast(abi.PYTHON_BEGIN, fallback.begin, can=capabilities.iterator_send)
prepare_task: PrepareTask = _fast(abi.PYTHON_PREPARE_TASK, fallback.prepare_task, can=capabilities.iterator_send)
carry_on: CarryOn = _fast(abi.PYTHON_CARRY_ON, fallback.carry_on, can=capabilities.iterator_send)
