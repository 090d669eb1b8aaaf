"""A websocket, as handlers see it."""

from __future__ import annotations

import asyncio
import inspect
import threading
import uuid
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, Union

from ..http.connection import address_text, elsewhere
from ..native import lib, websocket_send
from ..native import publish_from as _publish_from
from ..native import send_message as _send
from ..native.abi import BAD_HEAD, GONE, OK, STALE, WS_COMPRESS, WS_MORE, WS_OPCODE_MASK, WS_REASON_MAX, WS_TOPIC_MAX
from ..native.lending import lent
from .constants import OpCode, SendStatus

if TYPE_CHECKING:
    from ..app.app import App
    from .route import WebSocketRoute

Self = TypeVar("Self", bound="WebSocket")
Message = Union[str, bytes]

_STATUS = (SendStatus.BACKPRESSURE, SendStatus.SUCCESS, SendStatus.DROPPED)


class WebSocket:
    """A websocket connection (RFC 6455).

    After it closed, methods do nothing: sending gives ``SendStatus.DROPPED``, questions are answered with False, zero or
    nothing. ``data`` is str (sent as UTF-8), bytes, bytearray, memoryview, None for nothing, or anything else, which goes
    through the app's JSON serializer.

    Another thread than the app's may send, publish, end and close: the app's thread does it, soon and in order. What asks
    something raises RuntimeError there.
    """

    __slots__ = (
        "__weakref__",
        "_app",
        "_busy",
        "_close_waiter",
        "_code",
        "_extras",
        "_handle",
        "_inbox",
        "_inbox_waiter",
        "_paused",
        "_pending",
        "_pending_bytes",
        "_route",
        "_user_data",
        "_uuid",
    )

    def __init__(self, app: App) -> None:
        self._app = app
        self._pending: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self._handle = 0
        self._reset()

    def _reset(self) -> None:
        self._route: Optional[WebSocketRoute] = None
        self._user_data: Any = None
        self._uuid: Optional[str] = None
        self._extras: Optional[dict[str, Any]] = None
        # Handlers of one connection are called one after the other: what comes while one waits is pending.
        self._busy = False
        self._pending_bytes = 0
        self._paused = False
        # Messages for `async for`, once somebody iterates.
        self._inbox: Optional[deque[Message]] = None
        self._inbox_waiter: Optional[asyncio.Future[None]] = None
        self._close_waiter: Optional[asyncio.Future[None]] = None
        self._code: Optional[int] = None

    def _own_extras(self) -> dict[str, Any]:
        """Give the values of the properties that extensions added."""
        if self._extras is None:
            self._extras = {}
        return self._extras

    # ---- other threads

    def _is_elsewhere(self) -> bool:
        """Tell whether another thread than the app's calls: native code does not know the connection there."""
        return threading.get_ident() != self._app._thread

    def _forward(self: Self, function: Callable[..., object], *arguments: Any) -> Self:
        """Let the app's thread call a function, after all that was forwarded before; an error goes to the error handler."""
        if self._handle:
            self._app._forward(self._app._guard, None, function, *arguments)
        return self

    def _check_thread(self, what: str) -> None:
        """Raise a RuntimeError when another thread than the app's calls what has a result."""
        if self._handle and self._is_elsewhere():
            raise RuntimeError(elsewhere(what))

    # ---- sending

    def send(
        self, data: Any, opcode: Union[OpCode, int] = OpCode.BINARY, compress: bool = False, fin: bool = True
    ) -> SendStatus:
        """Send a message.

        Args:
            data: see the class.
            opcode: TEXT or BINARY, or PING or PONG with at most 125 bytes; CONTINUATION between fragments.
            compress: whether to compress it, where that was negotiated. Fragments are never compressed.
            fin: False for a fragment that others follow.

        Returns:
            What became of it. SUCCESS from another thread than the app's, which only hands it over.

        Raises:
            ValueError: opcode is not sendable now: it is unknown or CLOSE (see :meth:`end`), a control frame is longer than
                125 bytes, or a message begins before the fragments of another one are complete (RFC 6455 section 5.4).

        """
        if type(data) is str:
            data = data.encode()
        elif type(data) is not bytes:
            data = encode(self._app, data)
        if opcode.__class__ is not OpCode:
            opcode = _opcode(opcode)
        if compress or not fin:
            opcode = opcode | (WS_COMPRESS if compress else 0) | (0 if fin else WS_MORE)
        status = _send(self._handle, data, opcode)
        if status == GONE and self._is_elsewhere():
            self._forward(self.send, data, opcode & WS_OPCODE_MASK, compress, fin)
            return SendStatus.SUCCESS
        if status < 0:
            message = f"opcode cannot be sent now: {OpCode(opcode & WS_OPCODE_MASK).name} with {len(data)} bytes"
            raise ValueError(message)
        return _STATUS[status]

    def cork_send(
        self, data: Any, opcode: Union[OpCode, int] = OpCode.BINARY, compress: bool = False, fin: bool = True
    ) -> SendStatus:
        """Like :meth:`send`: a message always leaves as one packet."""
        return self.send(data, opcode, compress, fin)

    def send_first_fragment(self, data: Any, opcode: Union[OpCode, int] = OpCode.BINARY, compress: bool = False) -> SendStatus:
        """Begin a message in fragments."""
        return self.send(data, opcode, compress, fin=False)

    def send_fragment(self, data: Any, compress: bool = False) -> SendStatus:
        """Go on with a message in fragments."""
        return self.send(data, OpCode.CONTINUATION, compress, fin=False)

    def send_last_fragment(self, data: Any, compress: bool = False) -> SendStatus:
        """Complete a message in fragments."""
        return self.send(data, OpCode.CONTINUATION, compress)

    def cork(self: Self, callback: Callable[[Self], Any]) -> Self:
        """Call back, and send what it writes as one packet.

        Raises:
            TypeError: the callback is a coroutine function.

        """
        result = lib.sk_ws_cork(self._handle)
        if result == GONE and self._is_elsewhere():
            return self._forward(self.cork, callback)
        corked = result == OK
        try:
            returned = callback(self)
            if inspect.iscoroutine(returned):
                returned.close()
                message = "cork takes a function that does not wait: what is packed together must be sent at once"
                raise TypeError(message)
        finally:
            if corked:
                lib.sk_ws_uncork()
        return self

    # ---- closing

    def end(self: Self, code: int = 0, message: Optional[Union[str, bytes]] = None) -> Self:
        """Begin the close handshake (RFC 6455 section 7.1.2); the close handler is called at once.

        Args:
            code: 1000 to 1003, 1007 to 1014, 3000 to 4999; 0 sends no code.
            message: the reason, of which at most 123 bytes are sent.

        Raises:
            ValueError: code cannot be sent, or message is not UTF-8.
            TypeError: message is not str, bytes or None.

        """
        reason = _close_reason(message)
        if not isinstance(code, int):
            text = f"code must be an int, not {type(code).__name__}"
            raise TypeError(text)
        result = lib.sk_ws_end(self._handle, code, reason, len(reason))
        if result == GONE and self._is_elsewhere():
            return self._forward(self.end, code, reason)
        if result == BAD_HEAD:
            text = f"code must be 0, 1000 to 1003, 1007 to 1014 or 3000 to 4999, not {code}"
            raise ValueError(text)
        return self

    def cork_end(self: Self, code: int = 0, message: Optional[Union[str, bytes]] = None) -> Self:
        """Like :meth:`end`."""
        return self.end(code, message)

    def close(self: Self) -> Self:
        """Cut the connection, without a handshake."""
        if lib.sk_ws_close(self._handle) == GONE and self._is_elsewhere():
            return self._forward(self.close)
        return self

    async def closed(self) -> int:
        """Wait until the connection is closed, and give the close code (1006 when it broke)."""
        self._check_thread("closed")
        if self._code is None:
            if self._close_waiter is None:
                self._close_waiter = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._close_waiter)
        return self._code or 0

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._code is not None or not self._handle

    # ---- receiving

    def __aiter__(self) -> AsyncIterator[Message]:
        """Iterate over the messages that come from now on, instead of the message handler; until the connection closes."""
        if self._inbox is None:
            self._check_thread("iterating")
            self._inbox = deque()
            if self._route is not None:
                self._route.collect(self)
        return self._messages()

    async def _messages(self) -> AsyncIterator[Message]:
        inbox = self._inbox
        assert inbox is not None
        while True:
            while inbox:
                message = inbox.popleft()
                self._pending_bytes -= len(message)
                if self._paused and not inbox:
                    self._resume()
                yield message
            if self._code is not None or not self._handle:
                return
            self._inbox_waiter = asyncio.get_running_loop().create_future()
            await self._inbox_waiter

    def _feed(self, message: Message) -> None:
        assert self._inbox is not None
        self._inbox.append(message)
        self._pending_bytes += len(message)
        self._wake()

    def _wake(self) -> None:
        if self._inbox_waiter is not None and not self._inbox_waiter.done():
            self._inbox_waiter.set_result(None)

    def _resume(self) -> None:
        self._paused = False
        lib.sk_ws_resume(self._handle)

    # ---- topics

    def _told(self, result: int, what: str) -> int:
        if result == STALE:
            self._check_thread(what)
        return result

    def subscribe(self, topic: str) -> bool:
        """Get what is published to a topic from now on. True unless the connection is closed."""
        name = encode_topic(topic)
        return self._told(lib.sk_ws_subscribe(self._handle, name, len(name)), "subscribe") == 1

    def unsubscribe(self, topic: str) -> bool:
        """Leave a topic. What was published before still arrives. False when it was not subscribed to."""
        name = encode_topic(topic)
        return self._told(lib.sk_ws_unsubscribe(self._handle, name, len(name)), "unsubscribe") == 1

    def is_subscribed(self, topic: str) -> bool:
        """Tell whether the topic is subscribed to."""
        name = encode_topic(topic)
        return self._told(lib.sk_ws_is_subscribed(self._handle, name, len(name)), "is_subscribed") == 1

    def publish(self, topic: str, data: Any, opcode: Union[OpCode, int] = OpCode.BINARY, compress: bool = False) -> bool:
        """Send to all others on a topic that this websocket is subscribed to.

        Returns:
            Whether there was anybody; from another thread than the app's, whether the connection is open.

        Raises:
            ValueError: opcode is not TEXT or BINARY.

        """
        if not compress:
            somebody = _publish_from(self._handle, topic, data, opcode)
            if somebody is not None and (somebody or not self._is_elsewhere()):
                return somebody
        if self._is_elsewhere():
            self._forward(self.publish, topic, data, opcode, compress)
            return not self.is_closed
        name, payload, flags = publication(self._app, topic, data, opcode, compress)
        with lent(payload) as content:
            return bool(lib.sk_ws_publish(self._handle, name, len(name), content, len(payload), flags) == 1)

    def get_topics(self) -> list[str]:
        """Give the topics that are subscribed to, in no order."""
        topics: list[str] = []
        while (length := self._told(lib.sk_ws_topic(self._handle, len(topics)), "get_topics")) >= 0:
            topics.append(str(self._app._view[:length], "utf-8"))
        return topics

    def for_each_topic(self: Self, callback: Callable[[str], Any]) -> Self:
        """Call back with every topic; the callback may change the subscriptions."""
        for topic in self.get_topics():
            callback(topic)
        return self

    # ---- the connection

    def get_user_data(self) -> Any:
        """Give what ``res.upgrade`` was given, or None."""
        return self._user_data

    def get_user_data_uuid(self) -> str:
        """Give a name that no other connection has."""
        if self._uuid is None:
            self._uuid = str(uuid.uuid4())
        return self._uuid

    def get_buffered_amount(self) -> int:
        """Give the number of bytes that wait in memory for the client to read."""
        return max(0, self._told(lib.sk_ws_buffered_bytes(self._handle), "get_buffered_amount"))

    def get_remote_address_bytes(self) -> bytes:
        """Give the client's address, packed into 4 or 16 bytes; empty for Unix-domain sockets and after the end."""
        length = self._told(lib.sk_res_remote_address(self._handle), "get_remote_address")
        return bytes(self._app._view[:length]) if length > 0 else b""

    def get_remote_address(self) -> str:
        """Give the client's address as text; empty for Unix-domain sockets and after the end."""
        return address_text(self.get_remote_address_bytes())

    def clone(self: Self) -> Self:
        """Give an object that outlives the callback: this one, which always does."""
        return self

    def get_native_handle(self) -> int:
        """Give the number by which the native library knows this websocket; 0 after the end."""
        return self._handle


# The usual calls, of bytes or str as TEXT or BINARY, need nothing of Python.
setattr(WebSocket, "send", websocket_send(WebSocket, WebSocket.send, (OpCode.TEXT, OpCode.BINARY), _STATUS))  # noqa: B010


def encode(app: App, data: Any) -> bytes:
    """Give the bytes of what a user sends."""
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    if data is None:
        return b""
    text = app._dumps(data)
    return text.encode() if isinstance(text, str) else text


def encode_topic(topic: str) -> bytes:
    """Give the bytes of a topic.

    Raises:
        TypeError: it is not str.
        ValueError: it is longer than 65535 bytes.

    """
    if not isinstance(topic, str):
        message = f"topic must be str, not {type(topic).__name__}"
        raise TypeError(message)
    name = topic.encode()
    if len(name) > WS_TOPIC_MAX:
        message = f"topic must have at most {WS_TOPIC_MAX} bytes, not {len(name)}"
        raise ValueError(message)
    return name


def publication(app: App, topic: str, data: Any, opcode: Union[OpCode, int], compress: bool) -> tuple[bytes, bytes, int]:
    """Give the topic, data and flags as the native side takes them."""
    name = encode_topic(topic)
    payload = encode(app, data)
    kind = _opcode(opcode)
    if kind not in (OpCode.TEXT, OpCode.BINARY):
        message = f"opcode of what is published must be TEXT or BINARY, not {kind.name}"
        raise ValueError(message)
    return name, payload, kind | (WS_COMPRESS if compress else 0)


def _opcode(opcode: Union[OpCode, int]) -> OpCode:
    try:
        return OpCode(opcode)
    except ValueError:
        message = f"opcode must be one of OpCode, not {opcode!r}"
        raise ValueError(message) from None


def _close_reason(message: Optional[Union[str, bytes]]) -> bytes:
    if message is None:
        return b""
    if not isinstance(message, (str, bytes)):
        text = f"message must be str, bytes or None, not {type(message).__name__}"
        raise TypeError(text)
    try:
        reason = message if isinstance(message, str) else message.decode()
    except UnicodeDecodeError as error:
        text = f"message must be UTF-8: {error}"
        raise ValueError(text) from None
    encoded = reason.encode()
    if len(encoded) > WS_REASON_MAX:
        # Not in the middle of a character.
        return encoded[:WS_REASON_MAX].decode(errors="ignore").encode()
    return encoded
