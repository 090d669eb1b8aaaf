"""The websockets of a route: what the user said about them, and their events on the way to handlers."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import inspect
import logging
import sys
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable, Optional

from ..loop.coroutines import StoppedError
from ..native import OnMessage, abi, capabilities, lib, message_handler, request_handler
from .admission import Admission
from .constants import CompressOptions, OpCode, is_compression
from .socket import WebSocket

if TYPE_CHECKING:
    from ..app.app import App
    from ..http.request import Request
    from ..http.response import Response

logger = logging.getLogger("socketify")

Handler = Callable[..., Any]

HANDLERS = ("upgrade", "open", "message", "drain", "ping", "pong", "close", "subscription")
_PAYLOAD_MAX = 2**31 - 1
_IDLE_MIN, _IDLE_MAX, _LIFETIME_MAX = abi.WS_IDLE_TIMEOUT_MIN, abi.WS_IDLE_TIMEOUT_MAX, abi.WS_LIFETIME_MAX
#: What may wait for a handler of the same connection before reading from it pauses.
_PENDING_MAX_MESSAGES = 64
_PENDING_MAX_BYTES = 1024 * 1024
_OPCODES = {int(each): each for each in OpCode}
_getrefcount: Callable[[object], int] = getattr(sys, "getrefcount", lambda _: -1)


def _count_own_references() -> int:
    """Count the references to an object that only one variable holds; interpreters differ."""
    alone = object()
    return _getrefcount(alone)


_OWN_REFERENCES = _count_own_references()


def _is_flag(value: Any) -> bool:
    return value in (False, True)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _PAYLOAD_MAX


def _is_idle_timeout(value: Any) -> bool:
    return _is_size(value) and (value == 0 or _IDLE_MIN <= value <= _IDLE_MAX)


def _are_origins(value: Any) -> bool:
    return value is None or (
        isinstance(value, (list, tuple, set, frozenset)) and all(isinstance(each, str) and "://" in each for each in value)
    )


#: Key: its default, what it must be, and the check of that.
_OPTIONS: dict[str, tuple[Any, str, Callable[[Any], bool]]] = {
    "compression": (
        CompressOptions.DISABLED,
        "one of CompressOptions, or a compressor and a decompressor joined by |",
        lambda value: isinstance(value, int) and is_compression(value),
    ),
    "max_payload_length": (16 * 1024 * 1024, f"an int from 0 to {_PAYLOAD_MAX}", _is_size),
    "idle_timeout": (20, f"0, or an int from {_IDLE_MIN} to {_IDLE_MAX}", _is_idle_timeout),
    "max_backpressure": (64 * 1024, f"an int from 0 to {_PAYLOAD_MAX}", _is_size),
    "close_on_backpressure_limit": (False, "a bool", _is_flag),
    "reset_idle_timeout_on_send": (False, "a bool", _is_flag),
    "send_pings_automatically": (True, "a bool", _is_flag),
    "max_lifetime": (0, f"an int from 0 to {_LIFETIME_MAX}", lambda value: _is_size(value) and value <= _LIFETIME_MAX),
    "allowed_origins": (None, "None, or a list of origins such as 'https://example.org'", _are_origins),
    "max_connections": (0, f"an int from 0 to {_PAYLOAD_MAX}", _is_size),
    "max_connections_per_address": (0, f"an int from 0 to {_PAYLOAD_MAX}", _is_size),
}


def checked_options(behavior: Mapping[str, Any]) -> dict[str, Any]:
    """Give every option of a behavior.

    Raises:
        TypeError: behavior is no mapping.
        ValueError: a key is unknown or a value is not what it must be; the message names the key.

    """
    if not isinstance(behavior, Mapping):
        message = f"behavior must be a dict, not {type(behavior).__name__}"
        raise TypeError(message)
    for key in behavior:
        if key not in _OPTIONS and key not in HANDLERS:
            message = f"behavior has an unknown key: {key!r} (known are {', '.join([*_OPTIONS, *HANDLERS])})"
            raise ValueError(message)
    for key in HANDLERS:
        if behavior.get(key) is not None and not callable(behavior[key]):
            message = f"{key} must be a function, not {behavior[key]!r}"
            raise ValueError(message)
    options = {}
    for key, (default, wanted, is_right) in _OPTIONS.items():
        value = behavior.get(key, default)
        if not is_right(value):
            message = f"{key} must be {wanted}, not {value!r}"
            raise ValueError(message)
        options[key] = value
    return options


@functools.cache
def find_zlib() -> bool:
    """Load zlib; without it connections are not compressed, which the log says once."""
    if lib.sk_zlib_load(None):
        return True
    path = ctypes.util.find_library("z")
    if path and lib.sk_zlib_load(path.encode()):
        return True
    logger.warning("zlib was not found: websocket messages are not compressed")
    return False


class WebSocketRoute:
    """A websocket route of an app; what an upgrade handler gets as ``socket_context``.

    Args:
        app: the app.
        behavior: options and handlers; see :meth:`socketify.App.ws`.
        names: of the parameters in the route's pattern.

    Raises:
        TypeError, ValueError: see :func:`checked_options`.

    """

    def __init__(self, app: App, behavior: Mapping[str, Any], names: tuple[str, ...]) -> None:
        options = checked_options(behavior)
        if options["compression"] != CompressOptions.DISABLED:
            find_zlib()
        self._app = app
        self._live = app._websockets
        self._handlers: dict[str, Optional[Handler]] = {name: behavior.get(name) for name in HANDLERS}
        # Set when the native side knows the route.
        self.number = -1
        self._admission = Admission(
            options["allowed_origins"], options["max_connections"], options["max_connections_per_address"]
        )
        on_upgrade: tuple[Any, Optional[int]] = (abi.RequestCallback(), None)
        if self._handlers["upgrade"] is not None or self._admission.is_limited:
            # What the native side refers to.
            self._upgrade_callback = app._make_callback(self._upgrade, names)
            on_upgrade = request_handler(self._upgrade_callback)
        self._on_message = self._make_on_message(behavior.get("message"))
        # One object, which the native side refers to.
        self._result = self._on_result
        self.struct = abi.WebSocketBehaviorStruct(
            compression=options["compression"],
            max_payload_bytes=options["max_payload_length"],
            idle_timeout_s=options["idle_timeout"],
            max_backpressure_bytes=options["max_backpressure"],
            max_lifetime_min=options["max_lifetime"],
            close_on_backpressure_limit=options["close_on_backpressure_limit"],
            reset_idle_timeout_on_send=options["reset_idle_timeout_on_send"],
            send_pings_automatically=options["send_pings_automatically"],
            on_upgrade=on_upgrade[0],
            on_upgrade_object=on_upgrade[1],
            on_open=abi.WebSocketOpenCallback(self.open),
            **message_handler(self._on_message, behavior.get("message"), self._result),
            on_ping=self._control("ping"),
            on_pong=self._control("pong"),
            on_drain=abi.WritableCallback(self._on_drain) if behavior.get("drain") is not None else abi.WritableCallback(),
            on_close=abi.WebSocketCloseCallback(self._on_close),
            on_subscription=abi.WebSocketSubscriptionCallback(self._on_subscription)
            if behavior.get("subscription") is not None
            else abi.WebSocketSubscriptionCallback(),
        )

    def _control(self, name: str) -> Any:
        handler = self._handlers[name]
        if handler is None:
            return abi.WebSocketMessageCallback()
        app = self._app
        live = self._live

        def on_control(handle: int, _address: Optional[int], length: int, _opcode: int) -> None:
            ws = live.get(handle)
            if ws is not None:
                self._call_apart(ws, handler, bytes(app._view[:length]))

        return abi.WebSocketMessageCallback(on_control)

    def _upgrade(self, res: Response, req: Request) -> Any:
        refusal = self._admission.refusal(res, req) if self._admission.is_limited else None
        if refusal is not None:
            status, reason = refusal
            res.write_status(status).end(reason)
            return None
        handler = self._handlers["upgrade"]
        if handler is not None:
            return handler(res, req, self)
        key = req.get_header("sec-websocket-key") or ""
        protocol, extensions = req.get_header("sec-websocket-protocol"), req.get_header("sec-websocket-extensions")
        res.upgrade(key, protocol, extensions, self)
        return None

    # ---- events of the native side; nothing may be raised into it

    def open(self, handle: int, user_data: Any = None) -> None:
        """Begin the life of a websocket in Python; it is closed with 1011 when there is no memory for that."""
        try:
            self._open(handle, user_data)
        except MemoryError as error:
            self._app._outcome.fail_websocket(error, handle)

    def _open(self, handle: int, user_data: Any) -> None:
        pool = self._app._websocket_pool
        ws: WebSocket = pool.pop() if pool else self._app._websocket_class(self._app)
        ws._handle = handle
        ws._route = self
        ws._user_data = user_data
        self._live[handle] = ws
        if capabilities.members:
            lib.sk_ws_set_object(handle, id(ws))
        if self._admission.is_limited:
            self._admission.enter(ws)
        handler = self._handlers["open"]
        if handler is not None:
            self._call(ws, handler)

    def _make_on_message(self, handler: Optional[Handler]) -> OnMessage:
        live = self._live
        opcodes = _OPCODES
        iscoroutine = inspect.iscoroutine

        def on_message(handle: int, message: Any, opcode: int) -> None:
            ws = live.get(handle)
            if ws is None:
                return
            try:
                if ws._inbox is not None:
                    ws._feed(message)
                    self._limit(ws, len(ws._inbox))
                elif ws._busy:
                    ws._pending.append((_on_message if handler is None else handler, (message, opcodes[opcode])))
                    ws._pending_bytes += len(message)
                    self._limit(ws, len(ws._pending))
                elif handler is not None:
                    result = handler(ws, message, opcodes[opcode])
                    if result is not None and iscoroutine(result):
                        self._start(ws, result)
            except BaseException as error:
                self._failed(ws, error)

        return on_message

    def _on_result(self, ws: WebSocket, result: Any, error: Optional[BaseException]) -> None:
        """Go on with what a message handler returned or raised that the native side called."""
        try:
            if error is not None:
                self._failed(ws, error)
            elif inspect.iscoroutine(result):
                self._start(ws, result)
        except BaseException as another:
            self._failed(ws, another)

    def _on_drain(self, handle: int) -> None:
        ws = self._live.get(handle)
        handler = self._handlers["drain"]
        if ws is not None and handler is not None:
            self._call_apart(ws, handler)

    def _on_subscription(self, handle: int, address: Optional[int], length: int, count: int, before: int) -> None:
        ws = self._live.get(handle)
        handler = self._handlers["subscription"]
        if ws is not None and handler is not None:
            topic = ctypes.string_at(address or 0, length).decode()
            self._call_apart(ws, handler, topic, count, before)

    def _on_close(self, handle: int, code: int, address: Optional[int], length: int) -> None:
        ws = self._live.pop(handle, None)
        if ws is None:
            return
        ws._code = code
        if self._admission.is_limited:
            self._admission.leave(ws)
        if ws._close_waiter is not None and not ws._close_waiter.done():
            ws._close_waiter.set_result(None)
        ws._wake()
        handler = self._handlers["close"]
        if handler is not None:
            reason = ctypes.string_at(address, length).decode(errors="replace") if address and length else ""
            self._call(ws, handler, code, reason)
        ws._handle = 0
        pool = self._app._websocket_pool
        unreachable = _getrefcount(ws) == _OWN_REFERENCES and not weakref.getweakrefcount(ws)
        is_ours = type(ws) is self._app._websocket_class
        if unreachable and is_ours and not ws._busy and len(pool) < self._app._websocket_pool_items:
            ws._reset()
            pool.append(ws)

    # ---- calling handlers

    def _call(self, ws: WebSocket, handler: Handler, *arguments: Any) -> None:
        """Call a handler when those before it are done."""
        if ws._busy:
            ws._pending.append((handler, arguments))
            return
        try:
            result = handler(ws, *arguments)
            if result is not None and inspect.iscoroutine(result):
                self._start(ws, result)
        except BaseException as error:
            self._failed(ws, error)

    def _call_apart(self, ws: WebSocket, handler: Handler, *arguments: Any) -> None:
        """Call a handler at once, whatever others wait for."""
        try:
            result = handler(ws, *arguments)
            if result is not None and inspect.iscoroutine(result):
                self._run(ws, result)
        except BaseException as error:
            self._failed(ws, error)

    def _start(self, ws: WebSocket, coroutine: Any) -> None:
        ws._busy = True
        self._run(ws, self._in_turn(ws, coroutine))

    def _run(self, ws: WebSocket, coroutine: Any) -> None:
        runner = self._app._runner
        if runner is None:
            coroutine.close()
            message = "no event loop is running"
            raise RuntimeError(message)
        waits = runner.begin(coroutine)
        if waits is not None:
            runner.carry_on(coroutine, waits, lambda error: self._failed(ws, error))

    async def _in_turn(self, ws: WebSocket, coroutine: Any) -> None:
        """Await a handler, and then those whose turn comes after it."""
        try:
            await self._settle(ws, coroutine)
            await self._catch_up(ws)
        except StoppedError:
            # What was not begun is dropped, but for the end of the connection.
            close = self._handlers["close"]
            last = [each for each in ws._pending if each[0] is close]
            ws._pending.clear()
            ws._pending.extend(last)
            await self._catch_up(ws)
            raise
        finally:
            ws._busy = False

    async def _settle(self, ws: WebSocket, result: Any) -> None:
        """Await what a handler returned, if it is a coroutine.

        Raises:
            StoppedError: the app stops.

        """
        try:
            if result is not None and inspect.iscoroutine(result):
                await result
        except BaseException as error:  # others wait for their turn, whatever this one raised
            outcome = self._app._ended_by(error)
            if isinstance(outcome, StoppedError):
                raise outcome from None
            self._failed(ws, error)

    async def _catch_up(self, ws: WebSocket) -> None:
        pending = ws._pending
        while pending:
            handler, arguments = pending.popleft()
            if ws._paused and not pending:
                ws._pending_bytes = 0
                ws._resume()
            try:
                result = handler(ws, *arguments)
            except BaseException as error:  # as above
                self._failed(ws, error)
            else:
                await self._settle(ws, result)
        if ws._inbox is None:
            ws._pending_bytes = 0

    def _limit(self, ws: WebSocket, count: int) -> None:
        if not ws._paused and (count >= _PENDING_MAX_MESSAGES or ws._pending_bytes >= _PENDING_MAX_BYTES):
            ws._paused = True
            lib.sk_ws_pause(ws._handle)

    def collect(self, ws: WebSocket) -> None:
        """Give what is pending to the iteration that begins."""
        message_handler = self._handlers["message"] or _on_message
        others = [each for each in ws._pending if each[0] is not message_handler]
        messages = [arguments[0] for handler, arguments in ws._pending if handler is message_handler]
        ws._pending.clear()
        ws._pending.extend(others)
        ws._pending_bytes = 0
        for message in messages:
            ws._feed(message)

    def _failed(self, ws: WebSocket, error: BaseException) -> None:
        """Report an error of a handler, and close."""
        self._app._outcome.fail_websocket(error, ws._handle)


def upgrade(res: Response, key: Any, protocol: Any, extensions: Any, route: Any, user_data: Any) -> None:
    """Do what :meth:`socketify.Response.upgrade` says."""
    if not isinstance(route, WebSocketRoute) or route._app is not res._app:
        message = f"socket_context must be what the upgrade handler of this app was given, not {route!r}"
        raise TypeError(message)
    texts = []
    for name, value in (
        ("sec_web_socket_key", key),
        ("sec_web_socket_protocol", protocol),
        ("sec_web_socket_extensions", extensions),
    ):
        if value is not None and not isinstance(value, (str, bytes)):
            message = f"{name} must be str, bytes or None, not {type(value).__name__}"
            raise TypeError(message)
        texts.append(value if isinstance(value, bytes) else (value or "").encode("latin-1"))
    head, fields = res._take_head()
    arguments = [part for text in texts for part in (text, len(text))]
    handle = lib.sk_res_upgrade(res._handle, route.number, head, len(head), fields, *arguments)
    if handle < 0:
        message = "upgrade: sec_web_socket_key or sec_web_socket_protocol is not valid, or the head was sent already"
        raise ValueError(message)
    res._app._forget(res)
    if handle == abi.GONE:
        res._mark_aborted()
    else:
        route.open(handle, user_data)


def _on_message(_ws: WebSocket, _message: Any, _opcode: OpCode) -> None:
    """Stand for the message handler of a route that has none, until somebody iterates."""
