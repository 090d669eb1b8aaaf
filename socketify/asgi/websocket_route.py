"""The websockets of an app, on their way to an ASGI application."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Optional

from ..native import OnMessage, abi, lib, message_handler, request_handler
from ..websocket.admission import Admission
from ..websocket.constants import CompressOptions
from ..websocket.route import HANDLERS, checked_options, find_zlib
from .guest import Guest
from .protocol import ASGIApplication
from .websocket import ASGIWebSocket, WebSocketContext

if TYPE_CHECKING:
    from ..app.app import App as Core
    from .scope import ScopeBuilder

#: What may wait for the client before `send` waits too.
_BUFFERED_MAX = 64 * 1024
_MAX_BACKPRESSURE = 16 * 1024 * 1024


class ASGIWebSocketRoute:
    """All websockets of an app go to one ASGI application.

    Args:
        core: of the app.
        application: the ASGI application.
        build: makes the scope of a handshake.
        given: options of :meth:`socketify.App.ws`.

    Raises:
        TypeError, ValueError: an option is wrong; the message names it.

    """

    def __init__(self, core: Core, application: ASGIApplication, build: ScopeBuilder, given: Mapping[str, Any]) -> None:
        for key in HANDLERS:
            if key in given:
                message = f"websocket_options cannot have the handler {key!r}: the application handles its websockets"
                raise ValueError(message)
        options = checked_options({"max_backpressure": _MAX_BACKPRESSURE, **given})
        self._build = build
        compress = options["compression"] != CompressOptions.DISABLED and find_zlib()
        flags = abi.WS_COMPRESS if compress else 0
        limit = options["max_backpressure"]
        self._context = WebSocketContext(
            core,
            application,
            Admission(options["allowed_origins"], options["max_connections"], options["max_connections_per_address"]),
            abi.WS_TEXT | flags,
            abi.WS_BINARY | flags,
            min(_BUFFERED_MAX, limit) if limit else _BUFFERED_MAX,
        )
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
        core._callbacks.append(self)
        number = self._context.number = lib.sk_app_ws(core._alive(), b"", 0, b"/*", 2, ctypes.byref(self.struct))
        if number < 0:
            message = "cannot add the route: memory is exhausted"
            raise MemoryError(message)

    # ---- events of the native side; nothing may be raised into it

    def _on_upgrade(self, handle: int) -> int:
        context = self._context
        try:
            _, scope = self._build(handle)
            offered = b",".join(value for name, value in scope["headers"] if name == b"sec-websocket-protocol")
            scope["subprotocols"] = [each.strip() for each in offered.decode("latin-1").split(",") if each.strip()]
            guest: Any = Guest(scope) if context.admission.is_limited else None
            websocket = ASGIWebSocket(context, handle, scope, guest)
            refusal = None if guest is None else context.admission.refusal(guest, guest)
            if refusal is None:
                websocket.run(scope)
            else:
                websocket.deny(b"%d %b" % refusal)
        except BaseException as error:  # native code is the caller
            context.core._outcome.fail_handle(error, handle, "a websocket could not be handed to the ASGI application")
        return 0

    def _make_on_message(self) -> OnMessage:
        open_websockets = self._context.open
        outcome = self._context.core._outcome

        def on_message(handle: int, message: Any, opcode: int) -> None:
            websocket = open_websockets.get(handle)
            if websocket is None:
                return
            try:
                kind = "text" if opcode == abi.WS_TEXT else "bytes"
                websocket.on_message({"type": "websocket.receive", kind: message}, len(message))
            except BaseException as error:  # native code is the caller
                outcome.fail_websocket(error, handle, "a message could not be handed to the ASGI application")

        return on_message

    def _on_drain(self, handle: int) -> None:
        websocket = self._context.open.get(handle)
        if websocket is not None:
            websocket.on_drain()

    def _on_close(self, handle: int, code: int, address: Optional[int], length: int) -> None:
        websocket = self._context.open.pop(handle, None)
        if websocket is not None:
            reason = ctypes.string_at(address, length).decode(errors="replace") if address and length else ""
            websocket.on_close(code, reason)
