"""The websockets of an app, on their way to an ASGI application."""

from __future__ import annotations

import ctypes
import logging
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Optional

from ..native import OnMessage, abi, lib, message_handler, request_handler
from ..websocket.admission import Admission
from ..websocket.constants import CompressOptions
from ..websocket.route import HANDLERS, checked_options, find_zlib
from .common import ASGIApplication, Scope
from .websocket import WebSocketExchange

if TYPE_CHECKING:
    from ..app.app import App
    from .scope import ScopeBuilder

logger = logging.getLogger("socketify")

_TEXT, _BINARY = 1, 2
#: What may wait for the client before `send` waits too.
_BUFFERED_MAX = 64 * 1024
_MAX_BACKPRESSURE = 16 * 1024 * 1024


class Guest:
    """Who asks for a websocket, as :class:`Admission` wants to know it."""

    __slots__ = ("_address", "_headers")

    def __init__(self, scope: Scope) -> None:
        self._headers = scope["headers"]
        client = scope["client"]
        family = socket.AF_INET6 if client is not None and ":" in client[0] else socket.AF_INET
        self._address = b"" if client is None else socket.inet_pton(family, client[0])

    def get_header(self, name: str) -> Optional[str]:
        """Give the first field of that name, or None."""
        wanted = name.encode()
        return next((value.decode("latin-1") for field, value in self._headers if field == wanted), None)

    def get_remote_address_bytes(self) -> bytes:
        """Give the packed address."""
        return self._address


class WebSocketRoute:
    """All websockets of an app go to one ASGI application.

    Args:
        native: the app.
        application: the ASGI application.
        build: gives the scope of a handshake.
        given: options of :meth:`socketify.App.ws`.

    Raises:
        TypeError, ValueError: an option is wrong; the message names it.

    """

    def __init__(self, native: App, application: ASGIApplication, build: ScopeBuilder, given: Mapping[str, Any]) -> None:
        for key in HANDLERS:
            if key in given:
                message = f"websocket_options cannot have the handler {key!r}: the application handles its websockets"
                raise ValueError(message)
        options = checked_options({"max_backpressure": _MAX_BACKPRESSURE, **given})
        self.native = native
        self.application = application
        self._build = build
        self._sockets: dict[int, WebSocketExchange] = {}
        self._admission = Admission(
            options["allowed_origins"], options["max_connections"], options["max_connections_per_address"]
        )
        compress = options["compression"] != CompressOptions.DISABLED and find_zlib()
        #: Opcodes with their flags.
        self.text = _TEXT | (abi.WS_COMPRESS if compress else 0)
        self.binary = _BINARY | (abi.WS_COMPRESS if compress else 0)
        limit = options["max_backpressure"]
        #: Bytes that may wait for a client before senders wait.
        self.buffered_max: int = min(_BUFFERED_MAX, limit) if limit else _BUFFERED_MAX
        self._on_message = self._make_on_message()
        # What the native side refers to.
        self._upgrade_callback = self._on_upgrade
        on_upgrade, on_upgrade_object = request_handler(self._upgrade_callback)
        self.struct = abi.WebSocketBehaviorStruct(
            compression=options["compression"],
            max_payload_bytes=options["max_payload_length"],
            idle_timeout_s=options["idle_timeout"],
            max_backpressure_bytes=limit,
            max_lifetime_min=options["max_lifetime"],
            close_on_backpressure_limit=options["close_on_backpressure_limit"],
            reset_idle_timeout_on_send=options["reset_idle_timeout_on_send"],
            send_pings_automatically=options["send_pings_automatically"],
            on_upgrade=on_upgrade,
            on_upgrade_object=on_upgrade_object,
            on_open=abi.WebSocketOpenCallback(),
            **message_handler(self._on_message),
            on_ping=abi.WebSocketMessageCallback(),
            on_pong=abi.WebSocketMessageCallback(),
            on_drain=abi.WritableCallback(self._on_drain),
            on_close=abi.WebSocketCloseCallback(self._on_close),
            on_subscription=abi.WebSocketSubscriptionCallback(),
        )
        native._callbacks.append(self)
        self.number = lib.sk_app_ws(native._alive(), b"", 0, b"/*", 2, ctypes.byref(self.struct))
        if self.number < 0:
            message = "cannot add the route: memory is exhausted"
            raise MemoryError(message)

    # ---- events of the native side; nothing may be raised into it

    def _on_upgrade(self, handle: int) -> int:
        try:
            _, scope = self._build(handle)
            offered = b",".join(value for name, value in scope["headers"] if name == b"sec-websocket-protocol")
            scope["subprotocols"] = [each.strip() for each in offered.decode("latin-1").split(",") if each.strip()]
            exchange = WebSocketExchange(self, handle, scope)
            if self._admission.is_limited:
                guest: Any = Guest(scope)
                refusal = self._admission.refusal(guest, guest)
                if refusal is not None:
                    status, reason = refusal
                    exchange._deny(b"%d %b" % (status, reason))
                    return 0
                exchange._guest = guest
            exchange.run(scope)
        except BaseException as error:  # native code is the caller
            self.native._outcome.fail_handle(error, handle, "a websocket could not be handed to the ASGI application")
        return 0

    def open(self, exchange: WebSocketExchange) -> None:
        """Follow a websocket."""
        self._sockets[exchange._handle] = exchange
        if exchange._guest is not None:
            guest: Any = exchange._guest
            self._admission.enter(guest)

    def _make_on_message(self) -> OnMessage:
        sockets = self._sockets
        outcome = self.native._outcome

        def on_message(handle: int, message: Any, opcode: int) -> None:
            exchange = sockets.get(handle)
            if exchange is None:
                return
            try:
                kind = "text" if opcode == _TEXT else "bytes"
                exchange.on_message({"type": "websocket.receive", kind: message}, len(message))
            except BaseException as error:  # native code is the caller
                outcome.fail_websocket(error, handle, "a message could not be handed to the ASGI application")

        return on_message

    def _on_drain(self, handle: int) -> None:
        exchange = self._sockets.get(handle)
        if exchange is not None:
            exchange.on_drain()

    def _on_close(self, handle: int, code: int, address: Optional[int], length: int) -> None:
        exchange = self._sockets.pop(handle, None)
        if exchange is None:
            return
        if exchange._guest is not None:
            guest: Any = exchange._guest
            self._admission.leave(guest)
        reason = ctypes.string_at(address, length).decode(errors="replace") if address and length else ""
        exchange.on_close(code, reason)
