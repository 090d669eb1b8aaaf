"""Python handlers that the native side calls, and methods of classes that it implements: without ctypes if it can."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Callable, Optional

from . import abi, fallback
from .cpython import capabilities, find_member, find_weak_references, function
from .library import lib
from .signatures import OnMessage

#: Docstrings of native methods, of which CPython keeps only the address, and callables of native code, kept alive here.
_kept: list[object] = []


class ExchangeHandler(abi.ExchangeHandlerStruct):
    """The last argument of ``sk_app_route_exchange``, which must be kept alive; the header says what the functions do."""

    def __init__(
        self,
        handler: Callable[[Any, Any], Any],
        spare: list[Any],
        refill: Callable[[], None],
        conclude: Callable[[Any, Any, Any, Optional[BaseException]], int],
        reset: Callable[[Any], None],
        fallback: Callable[[int], int],
    ) -> None:
        #: The objects that the members refer to.
        self.parts = {
            "handler": handler,
            "spare": spare,
            "refill": refill,
            "conclude": conclude,
            "reset": reset,
            "fallback": fallback,
        }
        super().__init__(**{name: id(part) for name, part in self.parts.items()})


def request_handler(handler: Callable[[int], int]) -> tuple[Any, Optional[int]]:
    """Return the last two arguments of ``sk_app_route``. The function and the first one must be kept alive."""
    if capabilities.c_api:
        return abi.RequestCallback(), id(handler)
    return fallback.request_callback(handler), None


def message_handler(
    take: OnMessage, handler: Optional[Callable[..., Any]] = None, on_result: Optional[Callable[..., Any]] = None
) -> dict[str, Any]:
    """Return the ``on_message`` members of ``sk_ws_behavior``. Keep the arguments and the value of ``on_message`` alive.

    Args:
        take: gets every message that ``handler`` does not get.
        handler: gets those of a session that is in its usual state, as ``handler(session.socket, message, opcode)``; see
            :func:`websocket_send`.
        on_result: called as ``on_result(session, result, error)`` with what a handler returned or raised.

    """
    if not capabilities.c_api:
        return {"on_message": fallback.message_callback(take)}
    members = {"on_message": abi.WebSocketMessageCallback(), "on_message_object": id(take)}
    if handler is not None and capabilities.members:
        members.update(on_message_handler=id(handler), on_message_result=id(on_result))
    return members


def asgi_scope(parts: Mapping[int, Any]) -> Callable[[int], tuple[int, dict[str, Any]]]:
    """Make a function of a handle that makes flags (``SCOPE_*``) and scope; ``parts`` by ``ASGI_*`` but for an application."""
    return function(abi.PYTHON_ASGI_SCOPE, tuple(parts[item] for item in range(abi.ASGI_APPLICATION)))


def asgi_request(parts: Mapping[int, Any]) -> Callable[[int], int]:
    """Make a function of a handle that serves a request by an ASGI application; ``parts`` by ``ASGI_*``."""
    return function(abi.PYTHON_ASGI_REQUEST, tuple(parts[item] for item in range(abi.ASGI_ITEMS)))


def _documentation(method: Callable[..., Any]) -> bytes:
    """Return signature and docstring of a function as CPython reads them from a method, which needs them forever."""
    parameters = list(inspect.signature(method).parameters.values())[1:]
    doc = f"{method.__name__}({', '.join(['$self', *map(_literal, parameters)])})\n--\n\n{method.__doc__ or ''}".encode()
    _kept.append(doc)
    return doc


def _literal(parameter: inspect.Parameter) -> str:
    default = parameter.default
    if default is parameter.empty:
        return parameter.name
    return f"{parameter.name}={default:d}" if isinstance(default, IntEnum) else f"{parameter.name}={default!r}"


def websocket_send(
    kind: type, session: type, send: Callable[..., Any], opcodes: tuple[Any, Any], statuses: tuple[Any, Any, Any]
) -> Any:
    """Make a method for a class of websockets that sends without Python code, or passes the call on to ``send``.

    Args:
        kind: has the slot ``session_``.
        session: the class of the object in it; has the slots ``socket``, ``handle``, ``inbox`` and ``busy``.
        send: the method as a function.
        opcodes: TEXT and BINARY.
        statuses: BUFFERED, OK and GONE.

    """
    if not capabilities.members:
        return send
    text, binary = opcodes
    buffered, sent, dropped = statuses
    facts = abi.WebSocketPythonStruct(
        opcode_text=id(text),
        opcode_binary=id(binary),
        status_buffered=id(buffered),
        status_sent=id(sent),
        status_dropped=id(dropped),
        send=id(send),
        doc=_documentation(send),
        session_member=find_member(kind, "session_"),
        session_type=id(session),
        socket_member=find_member(session, "socket"),
        handle_member=find_member(session, "handle"),
        inbox_member=find_member(session, "inbox"),
        busy_member=find_member(session, "busy"),
        not_busy=id(False),
    )
    return lib.sk_python_websocket(facts, kind)


def response_end(response: type, request: type, exchange: type, end: Callable[..., Any]) -> Any:
    """Make a method for a class of responses that ends them without Python code, or passes the call on to ``end``.

    Args:
        response: has the slot ``exchange_``.
        request: has the slot ``exchange_``.
        exchange: the class of the object in these; has the slots ``handle``, ``request_handle``, ``dirty`` and ``passes_on``.
        end: the method as a function.

    """
    if not capabilities.members:
        return end
    facts = abi.ExchangePythonStruct(
        end=id(end),
        end_doc=_documentation(end),
        zero=id(0),
        not_dirty=id(False),
        exchange_type=id(exchange),
        response_exchange=find_member(response, "exchange_"),
        request_exchange=find_member(request, "exchange_"),
        response_weak=find_weak_references(response),
        request_weak=find_weak_references(request),
        **{name: find_member(exchange, name) for name in ("handle", "request_handle", "dirty", "passes_on")},
    )
    return lib.sk_python_response(facts, response)


def continuation_type(kind: type, twin: type) -> type:
    """Make a class of the coroutines of tasks, that steps another coroutine without Python code, or leaves that to ``twin``.

    Args:
        kind: has the slots that ``sk_continuation_python`` names, and methods ``idle()``, ``wake()``,
            ``fail(report, error)`` and ``close()``; the new class is derived from it.
        twin: likewise, with ``send`` and ``throw``.

    """
    if not (capabilities.members and capabilities.iterator_send):
        return twin
    slots = ("coroutine", "context", "yielded", "is_pending", "report", "finish", "running", "task", "waker", "runner")
    methods = vars(kind)
    _kept.extend(methods[name] for name in ("idle", "fail", "wake"))
    facts = abi.ContinuationPythonStruct(
        type=id(kind),
        idle=id(methods["idle"]),
        fail=id(methods["fail"]),
        wake=id(methods["wake"]),
        **{name: find_member(kind, name) for name in slots},
    )
    made: type = lib.sk_python_continuation(facts)
    return made
