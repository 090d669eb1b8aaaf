"""The websockets of a route: events of the native side on their way to handlers."""

from __future__ import annotations

import ctypes
import inspect
import weakref
from collections.abc import Mapping
from typing import Any, Optional

from ..core.core import Core
from ..core.references import count_references, references_of
from ..http.exchange import Exchange
from ..http.handlers import Handlers
from ..http.request import Request
from ..http.response import Response
from ..http.upgrade import UpgradeContext
from ..native import OnMessage, abi, capabilities, lib, message_handler, request_handler
from ..wire.headers import Text
from ..wire.paths import parameter_names
from .constants import OpCode
from .options import WebSocketOptions
from .order import call_at_once, call_in_turn, run_in_turn
from .pool import WebSocketPool
from .presence import PresenceKeeper
from .session import Handler, Session

_OPCODES = {int(each): each for each in OpCode}
_ALONE, _HELD_BY_ANOTHER = references_of(1), references_of(2)


class WebSocketRoute(UpgradeContext):
    """A websocket route of an app; what an upgrade handler gets as ``socket_context``.

    Args:
        core: of the app.
        request_handlers: call upgrade handlers.
        pool: of its websockets.
        live: the open websockets, by handle.
        behavior: options and handlers; see :meth:`socketify.App.ws`.
        path: the route's pattern.
        presence: keeps who is on topics.

    Raises:
        TypeError, ValueError: see :class:`WebSocketOptions`.

    """

    def __init__(
        self,
        core: Core,
        request_handlers: Handlers,
        pool: WebSocketPool,
        live: dict[int, Session],
        behavior: Mapping[str, Any],
        path: str,
        presence: PresenceKeeper,
    ) -> None:
        names = parameter_names(path)
        options = WebSocketOptions(behavior)
        handlers = options.handlers
        tracing = request_handlers.tracing
        if tracing is not None:
            handlers = tracing.traced_handlers(handlers, path)
        own_message = handlers["message"]
        on_message = _ignore if own_message is None else own_message
        self._core = core
        self._pool = pool
        self._live = live
        self._presence = presence
        self._handlers: dict[str, Optional[Handler]] = {**handlers, "message": on_message}
        #: The number by which the native side knows the route, once it does.
        self.number = -1
        self._admission = options.admission()
        on_upgrade: tuple[Any, Optional[int]] = (abi.RequestCallback(), None)
        if handlers["upgrade"] is not None or self._admission.is_limited or tracing is not None:
            # The native side refers to it, so it must be kept alive.
            self._upgrade_callback = request_handlers.callback(request_handlers.traced(self._upgrade, path), names)
            on_upgrade = request_handler(self._upgrade_callback)
        self._on_message = self._make_on_message(on_message)
        # A bound method must be stored, as the native side refers to it.
        self._result = self._on_result
        self.struct = abi.WebSocketBehaviorStruct(
            **options.native(),
            on_upgrade=on_upgrade[0],
            on_upgrade_object=on_upgrade[1],
            on_open=abi.WebSocketOpenCallback(self.open),
            **message_handler(self._on_message, own_message, self._result),
            on_ping=self._control(handlers["ping"]),
            on_pong=self._control(handlers["pong"]),
            on_drain=abi.WritableCallback() if handlers["drain"] is None else abi.WritableCallback(self._on_drain),
            on_close=abi.WebSocketCloseCallback(self._on_close),
            on_subscription=abi.WebSocketSubscriptionCallback()
            if handlers["subscription"] is None and handlers["presence"] is None
            else abi.WebSocketSubscriptionCallback(self._on_subscription),
        )

    # ---- upgrades

    def _upgrade(self, res: Response, req: Request) -> Any:
        if self._admission.is_limited:
            refusal = self._admission.refusal(req.get_header("origin"), res.get_remote_address_bytes())
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

    def upgrade(
        self, exchange: Exchange, key: Text, protocol: Optional[Text], extensions: Optional[Text], user_data: Any
    ) -> None:
        """Make the connection of a response a websocket of this route."""
        if exchange.core is not self._core:
            message = f"socket_context must be what the upgrade handler of this app was given, not {self!r}"
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
        head, fields = exchange.head.take()
        arguments = [part for text in texts for part in (text, len(text))]
        handle = lib.sk_res_upgrade(exchange.handle, self.number, head, len(head), fields, *arguments)
        if handle < 0:
            message = "upgrade: sec_web_socket_key or sec_web_socket_protocol is not valid, or the head was sent already"
            raise ValueError(message)
        exchange.forget()
        if handle == abi.GONE:
            exchange.mark_aborted()
        else:
            self.open(handle, user_data)

    # ---- events of the native side; nothing may be raised into it

    def open(self, handle: int, user_data: Any = None) -> None:
        """Make the Python object of a websocket; it is closed with 1011 when there is no memory for that."""
        try:
            self._open(handle, user_data)
        except MemoryError as error:
            self._core.outcome.fail_websocket(error, handle)

    def _open(self, handle: int, user_data: Any) -> None:
        session = self._pool.take()
        session.handle = handle
        session.handlers = self._handlers
        session.user_data = user_data
        self._live[handle] = session
        if capabilities.members:
            lib.sk_ws_set_object(handle, id(session))
        if self._admission.is_limited:
            self._admission.enter(session.remote_address())
        handler = self._handlers["open"]
        if handler is not None:
            call_in_turn(session, handler, session.socket)

    def _make_on_message(self, handler: Handler) -> OnMessage:
        live = self._live
        opcodes = _OPCODES
        iscoroutine = inspect.iscoroutine

        def on_message(handle: int, message: Any, opcode: int) -> None:
            session = live.get(handle)
            if session is None:
                return
            try:
                if session.inbox is not None:
                    session.feed(message)
                    session.limit(len(session.inbox))
                elif session.busy:
                    session.pending.append((handler, (session.socket, message, opcodes[opcode])))
                    session.pending_bytes += len(message)
                    session.limit(len(session.pending))
                else:
                    result = handler(session.socket, message, opcodes[opcode])
                    if result is not None and iscoroutine(result):
                        run_in_turn(session, result)
            except BaseException as error:
                session.fail(error)

        return on_message

    def _on_result(self, owner: Any, result: Any, error: Optional[BaseException]) -> None:
        """Handle the result or error of a message handler that the native side called.

        Args:
            owner: the session; when the connection has ended meanwhile, what the handler was called with.
            result: of the handler.
            error: of the handler.

        """
        session = owner if type(owner) is Session else getattr(owner, "session_", None)
        if type(session) is not Session:
            # The program took it away.
            session = Session(self._core)
        try:
            if error is not None:
                session.fail(error)
            elif inspect.iscoroutine(result):
                run_in_turn(session, result)
        except BaseException as another:
            session.fail(another)

    def _control(self, handler: Optional[Handler]) -> Any:
        if handler is None:
            return abi.WebSocketControlCallback()
        core = self._core
        live = self._live

        def on_control(handle: int, length: int) -> None:
            session = live.get(handle)
            if session is not None:
                call_at_once(session, handler, session.socket, bytes(core.view[:length]))

        return abi.WebSocketControlCallback(on_control)

    def _on_drain(self, handle: int) -> None:
        session = self._live.get(handle)
        handler = self._handlers["drain"]
        if session is not None and handler is not None:
            call_at_once(session, handler, session.socket)

    def _on_subscription(self, handle: int, address: Optional[int], length: int, count: int, before: int) -> None:
        session = self._live.get(handle)
        if session is None:
            return
        topic = ctypes.string_at(address or 0, length).decode()
        if self._handlers["presence"] is not None:
            call_at_once(session, self._keep_presence, session, handle, topic, count > before)
        handler = self._handlers["subscription"]
        if handler is not None and session.handle == handle:
            call_at_once(session, handler, session.socket, topic, count, before)

    def _keep_presence(self, session: Session, handle: int, topic: str, has_joined: bool) -> None:
        describe = self._handlers["presence"]
        if not has_joined:
            self._presence.leave(handle, topic)
        elif describe is not None:
            value = describe(session.socket)
            if inspect.iscoroutine(value):
                value.close()
                message = "presence must be a function that does not wait"
                raise TypeError(message)
            name = topic.encode()
            if lib.sk_ws_is_subscribed(handle, name, len(name)) == 1:
                # It did not leave meanwhile.
                self._presence.join(handle, topic, value)

    def _on_close(self, handle: int, code: int, address: Optional[int], length: int) -> None:
        session = self._live.pop(handle, None)
        if session is None:
            return
        session.end(code)
        if self._admission.is_limited:
            self._admission.leave(session.remote_address())
        handler = self._handlers["close"]
        if handler is not None:
            reason = ctypes.string_at(address, length).decode(errors="replace") if address and length else ""
            call_in_turn(session, handler, session.socket, code, reason)
        session.handle = 0
        websocket, session.socket = session.socket, None
        if (
            not session.busy
            # The program replaced the session, and a session of its own is not over.
            and getattr(websocket, "session_", None) is session
            and count_references(session) == _HELD_BY_ANOTHER
            and count_references(websocket) == _ALONE
            and not weakref.getweakrefcount(websocket)
        ):
            self._pool.give_back(websocket)


def _ignore(_ws: Any, _message: Any, _opcode: OpCode) -> None:
    """Stand in for the message handler of a route that has none, until the program iterates."""
