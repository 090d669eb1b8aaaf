"""Websockets over ASGI: the handshake, messages both ways with backpressure, and the end."""

from __future__ import annotations

import asyncio
import logging
import types
from collections import deque
from functools import partial
from typing import Any, NoReturn, Optional, Union

from ..http.exchange import elsewhere
from ..native import abi, lib
from ..native import send_message as _send
from ..websocket.constants import OpCode
from ..websocket.encoding import RESERVED_TOPIC, encode_topic
from ..websocket.publishing import publish_from
from .exchange import ASGIExchange
from .guest import Guest
from .head import checked_fields
from .protocol import ClientDisconnectedError, Message, Scope, as_coroutine, is_disconnect
from .response import DONE
from .waiters import wait, wake
from .websocket_context import WebSocketContext

logger = logging.getLogger("socketify")

# The states: a handshake that is not answered, an open websocket, the HTTP answer to a handshake, and the end.
CONNECTING, OPEN, DENIED, CLOSED = range(4)

#: How much may wait for the application before reading from the connection pauses.
_WAITING_MAX_MESSAGES = 64
_WAITING_MAX_BYTES = 1024 * 1024
_FORBIDDEN = b"403 Forbidden"
_PREFIX = "websocket."
_OF_TOPICS = ("websocket.subscribe", "websocket.unsubscribe", "websocket.publish")


class ASGIWebSocket:
    """One websocket, from its handshake to its end."""

    __slots__ = (
        "_close",
        "_context",
        "_denial",
        "_extensions",
        "_failed",
        "_full",
        "_guest",
        "_handle",
        "_inbox",
        "_inbox_bytes",
        "_is_present",
        "_key",
        "_paused",
        "_phase",
        "_readers",
        "_said_close",
        "_said_connect",
        "_turns",
    )

    def __init__(self, context: WebSocketContext, handle: int, scope: Scope, guest: Optional[Guest]) -> None:
        self._context = context
        self._handle = handle
        self._phase = CONNECTING
        # Whether the handshake failed, which was reported.
        self._failed = False
        self._said_connect = False
        self._said_close = False
        self._denial: Optional[ASGIExchange] = None
        self._guest = guest
        self._inbox: deque[Message] = deque()
        self._inbox_bytes = 0
        self._paused = False
        # Whether others may see on which topics it is.
        self._is_present = False
        self._close = (abi.WS_CODE_ABNORMAL, "")
        self._readers: list[asyncio.Future[None]] = []
        # Senders that wait for a slow client take turns.
        self._full = False
        self._turns: deque[asyncio.Future[None]] = deque()
        self._key = b""
        extensions = []
        for name, value in scope["headers"]:
            if name == b"sec-websocket-key":
                self._key = value
            elif name == b"sec-websocket-extensions":
                extensions.append(value)
        self._extensions = b", ".join(extensions)

    # ---- running the application

    def run(self, scope: Scope) -> None:
        """Step the application; nothing is raised."""
        runner = self._context.core.runner
        try:
            coroutine: Any = self._context.application(scope, self.receive, self.send)
            if coroutine.__class__ is not types.CoroutineType:
                coroutine = as_coroutine(coroutine)
            assert runner is not None
            waits = runner.begin(coroutine)
        except BaseException as error:
            self._on_error(error)
            return
        if waits is not None:
            self._follow()
            runner.carry_on(coroutine, waits, self._on_error, self._on_return)
        elif self._phase != CLOSED:
            self._on_return()

    def _itself(self) -> ASGIWebSocket:
        return self

    def _follow(self) -> None:
        """Be notified when the client leaves before the handshake is answered."""
        if self._phase == CONNECTING and self._handle:
            self._context.core.live[self._handle] = self._itself

    def _on_return(self) -> None:
        if self._phase == CONNECTING:
            self._on_error(RuntimeError("the ASGI application returned without answering the handshake of a websocket"))
        elif self._phase == OPEN:
            lib.sk_ws_end(self._handle, abi.WS_CODE_NORMAL, b"", 0)
        elif self._phase == DENIED and self._denial is not None:
            self._denial.on_return()

    def _on_error(self, error: BaseException) -> None:
        if self._phase == CLOSED and (self._failed or is_disconnect(error)):
            return
        outcome, what = self._context.core.outcome, "the ASGI application failed"
        handle = self._handle
        if self._phase == OPEN:
            outcome.fail_websocket(error, handle, what)
        elif self._phase == DENIED and self._denial is not None:
            self._denial.on_error(error)
        else:
            if self._phase == CONNECTING:
                self._end(abi.WS_CODE_ABNORMAL, "")
            outcome.fail_handle(error, handle, what)

    def deny(self, status: bytes) -> None:
        """Answer the handshake with a status line and its text."""
        handle = self._handle
        self._end(abi.WS_CODE_ABNORMAL, "")
        lib.sk_res_send(handle, status, len(status), 0, status[4:], len(status) - 4, 0)

    def _end(self, code: int, reason: str) -> None:
        if self._phase == CONNECTING:
            self._context.core.live.pop(self._handle, None)
        if self._is_present:
            self._context.topics.presence.leave_all(self._handle)
        self._phase = CLOSED
        self._handle = 0
        self._close = (code, reason)
        wake(self._readers)
        for turn in self._turns:
            if not turn.done():
                turn.set_result(None)
        self._turns.clear()

    # ---- events of the native side

    def on_abort(self) -> None:
        """Handle that the client left before the handshake was answered."""
        if self._phase == CONNECTING:
            self._end(abi.WS_CODE_ABNORMAL, "")

    def on_failure(self) -> None:
        """Handle that the handshake failed, which was reported."""
        self.on_abort()
        self._failed = True

    collected = None

    def on_body(self, _chunk: bytes, _last: bool) -> None:
        """Do nothing: a handshake has no body."""

    def on_writable(self) -> None:
        """Do nothing: a handshake is answered with a response of its own."""

    def on_message(self, message: Message, size: int) -> None:
        """Take a message of the client."""
        self._inbox.append(message)
        self._inbox_bytes += size
        if self._readers:
            wake(self._readers)
        elif not self._paused and (len(self._inbox) >= _WAITING_MAX_MESSAGES or self._inbox_bytes >= _WAITING_MAX_BYTES):
            self._paused = True
            lib.sk_ws_pause(self._handle)

    def on_drain(self) -> None:
        """Wake senders that waited for the client."""
        if self._full and lib.sk_ws_buffered_bytes(self._handle) <= self._context.buffered_max:
            self._full = False
            self._next_turn()

    def on_close(self, code: int, reason: str) -> None:
        """Take the end of the connection."""
        if self._guest is not None:
            self._context.admission.leave(self._guest.get_remote_address_bytes())
        self._end(code, reason)

    def _next_turn(self) -> None:
        while self._turns and not self._full:
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    # ---- receive

    async def receive(self) -> Message:
        """Return the next event of the websocket; after its end that is always the disconnect event."""
        if not self._said_connect:
            self._said_connect = True
            return {"type": "websocket.connect"}
        while not self._inbox:
            if self._phase == CLOSED:
                code, reason = self._close
                return {"type": "websocket.disconnect", "code": code, "reason": reason}
            if self._phase == DENIED and self._denial is not None and self._denial.phase >= DONE:
                return {"type": "websocket.disconnect", "code": abi.WS_CODE_ABNORMAL, "reason": ""}
            if self._phase == DENIED and self._denial is not None:
                self._denial.readers = self._readers
            await wait(self._readers)
        message = self._inbox.popleft()
        if not self._inbox:
            self._inbox_bytes = 0
            if self._paused:
                self._paused = False
                lib.sk_ws_resume(self._handle)
        return message

    # ---- send

    async def send(self, message: Message) -> None:
        """Take the next message of the application; waits while the client is slow.

        Raises:
            ClientDisconnectedError: the connection is closed.
            TypeError, ValueError: the message does not follow the specification.
            RuntimeError: it is out of order.

        """
        kind = message["type"]
        phase = self._phase
        if phase == OPEN and kind == "websocket.send":
            await self._send_message(message)
        elif phase == OPEN and kind == "websocket.close":
            self._send_close(message)
        elif phase == CONNECTING and kind == "websocket.accept":
            self._accept(message)
        elif phase == CONNECTING and kind == "websocket.close":
            self._said_close = True
            self.deny(_FORBIDDEN)
        elif phase in (OPEN, CLOSED) and kind in _OF_TOPICS:
            self._take_topic(kind, message)
        elif phase in (CONNECTING, DENIED) and kind in ("websocket.http.response.start", "websocket.http.response.body"):
            await self._send_denial(message)
        elif phase == CLOSED and not self._said_close:
            if kind != "websocket.close":
                self._raise_closed()
        else:
            expected = (
                "'websocket.accept' or 'websocket.close'",
                "'websocket.send' or 'websocket.close'",
                "'websocket.http.response.body'",
                "no message after 'websocket.close'",
            )[phase]
            error = f"expected the ASGI message {expected}, not {kind!r}"
            raise RuntimeError(error)

    def _raise_closed(self) -> NoReturn:
        error = f"the websocket is closed, with code {self._close[0]}"
        raise ClientDisconnectedError(error)

    async def _send_message(self, message: Message) -> None:
        data = message.get("bytes")
        opcode = self._context.binary
        if data is None:
            text = message.get("text")
            if not isinstance(text, str):
                error = f"'websocket.send' needs 'bytes' or 'text' of its type, not {text!r}"
                raise TypeError(error)
            data, opcode = text.encode(), self._context.text
        elif data.__class__ is not bytes:
            if not isinstance(data, (bytes, bytearray, memoryview)):
                error = f"'bytes' of 'websocket.send' must be bytes, not {type(data).__name__}"
                raise TypeError(error)
            data = bytes(data)
        while self._full or self._turns:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._turns.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                # It may have got the turn already, which must go to the next one.
                if turn.done() and not turn.cancelled():
                    self._next_turn()
                raise
            if not self._full:
                break
        if self._phase == CLOSED:
            self._raise_closed()
        result = _send(self._handle, data, opcode)
        if result != abi.OK:
            await self._sent(result)
        elif self._turns:
            self._next_turn()

    async def _sent(self, result: int) -> None:
        if result == abi.GONE:
            error = "the websocket is closed"
            raise ClientDisconnectedError(error)
        assert result == abi.BUFFERED
        if lib.sk_ws_buffered_bytes(self._handle) <= self._context.buffered_max:
            self._next_turn()
            return
        self._full = True
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # It has sent already, so it goes before those that wait to send.
        self._turns.appendleft(turn)
        await turn
        self._next_turn()
        if self._phase == CLOSED:
            self._raise_closed()

    def _send_close(self, message: Message) -> None:
        code = message.get("code")
        code = abi.WS_CODE_NORMAL if code is None else code
        reason = (message.get("reason") or "").encode()
        if len(reason) > abi.WS_REASON_MAX:
            reason = reason[: abi.WS_REASON_MAX].decode(errors="ignore").encode()
        if not isinstance(code, int) or lib.sk_ws_end(self._handle, code, reason, len(reason)) == abi.BAD_HEAD:
            error = f"'code' of 'websocket.close' must be 1000 to 1003, 1007 to 1014 or 3000 to 4999, not {code!r}"
            raise ValueError(error)
        self._said_close = True

    def _accept(self, message: Message) -> None:
        parts = [b"101"]
        for pair in message.get("headers") or ():
            parts += pair
        fields = checked_fields([b"200", *parts[1:]])
        protocol = (message.get("subprotocol") or "").encode("latin-1")
        head = b"\n".join(fields)
        self._context.core.live.pop(self._handle, None)
        handle = lib.sk_res_upgrade(
            self._handle, self._context.number, head, len(head), len(fields) // 2,
            self._key, len(self._key), protocol, len(protocol), self._extensions, len(self._extensions),
        )  # fmt: skip
        if handle < 0:
            error = f"'subprotocol' of 'websocket.accept' is not valid: {message.get('subprotocol')!r}"
            raise ValueError(error)
        if handle == abi.GONE:
            self._end(abi.WS_CODE_ABNORMAL, "")
            error = "the client left before the handshake was answered"
            raise ClientDisconnectedError(error)
        self._handle = handle
        self._phase = OPEN
        self._context.open[handle] = self
        if self._guest is not None:
            self._context.admission.enter(self._guest.get_remote_address_bytes())

    # ---- topics

    def subscribe(self, topic: str, presence: Any = None) -> bool:
        """Subscribe to a topic; False when the connection is closed.

        Args:
            topic: its name.
            presence: what others may see of this websocket on the topic, as JSON; None for nothing.

        Raises:
            TypeError, ValueError: it is no topic, or presence is not JSON.
            RuntimeError: the handshake is not accepted yet, or this is not the app's thread.

        """
        name = encode_topic(topic)
        if self._phase == CONNECTING:
            error = "subscribe: the websocket is not accepted yet"
            raise RuntimeError(error)
        if presence is None and not self._is_present:
            return self._subscribe(name)
        core, keeper, handle = self._context.core, self._context.topics.presence, self._handle
        if not core.home.is_current:
            raise RuntimeError(elsewhere("subscribe"))
        keeper.join(handle, topic, presence)
        self._is_present = True
        has_joined = False
        try:
            has_joined = self._subscribe(name)
        finally:
            if not has_joined:
                keeper.leave(handle, topic)
        return has_joined

    def _subscribe(self, name: bytes) -> bool:
        result = self._checked(lib.sk_ws_subscribe(self._handle, name, len(name)), "subscribe")
        if result == abi.BAD_HEAD:
            raise ValueError(RESERVED_TOPIC)
        return result == 1

    def unsubscribe(self, topic: str) -> bool:
        """Leave a topic; False when it was not subscribed to, as after the end of the connection.

        Raises:
            TypeError, ValueError: it is no topic.
            RuntimeError: this is not the app's thread.

        """
        name = encode_topic(topic)
        if self._phase != OPEN:
            return False
        result = self._checked(lib.sk_ws_unsubscribe(self._handle, name, len(name)), "unsubscribe")
        if self._is_present:
            self._context.topics.presence.leave(self._handle, topic)
        return result == 1

    def publish(self, topic: str, data: Union[str, bytes, bytearray, memoryview], *, exclude_self: bool = False) -> bool:
        """Send to all subscribers of a topic: str as text, else binary.

        Args:
            topic: its name.
            data: the message.
            exclude_self: whether this websocket does not get it, if it is one.

        Returns:
            As :meth:`socketify.App.publish`.

        Raises:
            TypeError, ValueError: it is no topic.

        """
        context = self._context
        core, opcode = context.core, OpCode.TEXT if isinstance(data, str) else OpCode.BINARY
        if not exclude_self or self._phase != OPEN:
            return context.topics.publish(topic, data, opcode, context.compresses)
        if core.home.is_current:
            return publish_from(core, self._handle, topic, data, opcode, context.compresses, exclude_self)
        core.forward(core.guard, None, partial(self.publish, exclude_self=True), topic, data)
        return True

    def _checked(self, result: int, what: str) -> int:
        if result == abi.STALE and self._handle and not self._context.core.home.is_current:
            raise RuntimeError(elsewhere(what))
        return result

    def _take_topic(self, kind: str, message: Message) -> None:
        if "topic" not in message:
            error = f"{kind!r} needs 'topic'"
            raise TypeError(error)
        topic = message["topic"]
        if kind == "websocket.publish":
            # It needs no connection: that somebody left can be told after the end.
            self.publish(topic, _published(message), exclude_self=bool(message.get("exclude_self")))
        elif kind == "websocket.unsubscribe":
            self.unsubscribe(topic)
        elif not self.subscribe(topic, message.get("presence")):
            self._raise_closed()

    async def _send_denial(self, message: Message) -> None:
        if self._phase == CONNECTING:
            self._context.core.live.pop(self._handle, None)
            self._denial = ASGIExchange(self._context.core, self._handle, self._context.application)
            self._denial.follow()
            self._phase = DENIED
            self._handle = 0
        assert self._denial is not None
        await self._denial.send({**message, "type": message["type"][len(_PREFIX) :]})
        if self._denial.phase >= DONE:
            self._said_close = True
            self._end(abi.WS_CODE_ABNORMAL, "")


def _published(message: Message) -> Union[str, bytes, bytearray, memoryview]:
    data = message.get("bytes")
    if data is None:
        data = message.get("text")
        if isinstance(data, str):
            return data
    elif isinstance(data, (bytes, bytearray, memoryview)):
        return data
    error = f"'websocket.publish' needs 'bytes' or 'text' of its type, not {data!r}"
    raise TypeError(error)
