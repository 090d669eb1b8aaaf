"""The websockets of an app, on their way to an ASGI application."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Optional

from ..core.core import Core
from ..native import OnMessage, abi, lib, message_handler, request_handler
from ..topics.topics import Topics
from ..websocket.options import HANDLERS, WebSocketOptions
from .guest import Guest
from .protocol import ASGIApplication
from .websocket import ASGIWebSocket
from .websocket_context import WebSocketContext

if TYPE_CHECKING:
    from .scope import ScopeBuilder

#: Under this key scopes have their websocket, for :mod:`.topics`: frameworks that check what is sent pass no extension on.
WEBSOCKET_KEY = "socketify.websocket"
#: How many bytes may wait for the client before `send` waits, too.
_BUFFERED_MAX = 64 * 1024
_MAX_BACKPRESSURE = 16 * 1024 * 1024


class ASGIWebSocketRoute:
    """The websockets of an app below a path go to one ASGI application.

    Args:
        core: of the app.
        application: the ASGI application.
        build: makes the scope of a handshake.
        options: options of :meth:`socketify.App.ws`.
        topics: of the app.
        path: the pattern of their paths; all of them by default.

    Raises:
        TypeError, ValueError: an option is wrong; the message names it.

    """

    def __init__(
        self,
        core: Core,
        application: ASGIApplication,
        build: ScopeBuilder,
        options: Mapping[str, Any],
        topics: Topics,
        path: str = "/*",
    ) -> None:
        for key in HANDLERS:
            if key in options:
                message = f"websocket_options cannot have the handler {key!r}: the application handles its websockets"
                raise ValueError(message)
        checked = WebSocketOptions({"max_backpressure": _MAX_BACKPRESSURE, **options})
        self._build = build
        limit = checked.max_backpressure
        self._context = WebSocketContext(
            core,
            application,
            checked.admission(),
            topics,
            compresses=checked.compresses,
            buffered_max=min(_BUFFERED_MAX, limit) if limit else _BUFFERED_MAX,
        )
        self._on_message = self._make_on_message()
        # The native side refers to these, so they must be kept alive.
        self._upgrade_callback = self._on_upgrade
        on_upgrade, on_upgrade_object = request_handler(self._upgrade_callback)
        self.struct = abi.WebSocketBehaviorStruct(
            **checked.native(),
            on_upgrade=on_upgrade,
            on_upgrade_object=on_upgrade_object,
            on_open=abi.WebSocketOpenCallback(),
            **message_handler(self._on_message),
            on_ping=abi.WebSocketControlCallback(),
            on_pong=abi.WebSocketControlCallback(),
            on_drain=abi.WritableCallback(self._on_drain),
            on_close=abi.WebSocketCloseCallback(self._on_close),
            on_subscription=abi.WebSocketSubscriptionCallback(),
        )
        core.callbacks.append(self)
        pattern = path.encode()

        def add(native: int) -> None:
            number = self._context.number = lib.sk_app_ws(native, b"", 0, pattern, len(pattern), ctypes.byref(self.struct))
            if number < 0:
                message = "cannot add the route: memory is exhausted"
                raise MemoryError(message)

        core.configure(add)

    # ---- events of the native side; nothing may be raised into it

    def _on_upgrade(self, handle: int) -> int:
        context = self._context
        try:
            _, scope = self._build(handle)
            offered = b",".join(value for name, value in scope["headers"] if name == b"sec-websocket-protocol")
            scope["subprotocols"] = [each.strip() for each in offered.decode("latin-1").split(",") if each.strip()]
            guest = Guest(scope) if context.admission.is_limited else None
            scope[WEBSOCKET_KEY] = websocket = ASGIWebSocket(context, handle, scope, guest)
            refusal = None
            if guest is not None:
                refusal = context.admission.refusal(guest.get_header("origin"), guest.get_remote_address_bytes())
            if refusal is None:
                websocket.run(scope)
            else:
                websocket.deny(b"%d %b" % refusal)
        except BaseException as error:  # native code is the caller
            context.core.outcome.fail_handle(error, handle, "a websocket could not be handed to the ASGI application")
        return 0

    def _make_on_message(self) -> OnMessage:
        open_websockets = self._context.open
        outcome = self._context.core.outcome

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
