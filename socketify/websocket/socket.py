"""A websocket, as handlers see it."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Callable, TypeVar, Union

from ..core.core import Core
from ..core.own_class import OwnAttributes
from ..native import lib, websocket_send
from ..native import publish_from as _publish_from
from ..native import send_message as _send
from ..native.abi import BAD_HEAD, GONE, OK, WS_COMPRESS, WS_MORE, WS_OPCODE_MASK
from ..wire.addresses import address_text
from .constants import OpCode, SendStatus
from .encoding import RESERVED_TOPIC, Topic, check_text, checked_opcode, encode_reason, encode_topic, topic_name
from .order import begin_iteration
from .publishing import publish_from
from .session import Message, Session

Self = TypeVar("Self", bound="WebSocket")

_STATUS = (SendStatus.BACKPRESSURE, SendStatus.SUCCESS, SendStatus.DROPPED)


class WebSocket(OwnAttributes):
    """A websocket connection (RFC 6455).

    After it closed, methods do nothing: sending returns ``SendStatus.DROPPED``, questions are answered with False, zero or
    nothing. A message is str (sent as UTF-8), bytes, bytearray, memoryview, None for nothing, or anything else, which goes
    through the app's JSON serializer.

    Other threads than the app's may send, publish, end and close: the app's thread does it, soon and in order. Methods
    that return something of the connection raise RuntimeError there.

    Any attribute can be set on it, and is gone with the connection.
    """

    __slots__ = ("__weakref__", "session_")

    def __init__(self, core: Core) -> None:
        #: What the framework knows of the connection: for the framework only.
        self.session_ = Session(core)

    def _own_extras(self) -> dict[str, Any]:
        return self.session_.own_extras()

    @property
    def app(self) -> Any:
        """The :class:`socketify.App` that accepted it."""
        return self.session_.core.app()

    def _forward(self: Self, function: Callable[..., object], *arguments: Any) -> Self:
        self.session_.forward(function, *arguments)
        return self

    # ---- sending

    def send(
        self, message: Any, opcode: Union[OpCode, int] = OpCode.BINARY, compress: bool = False, fin: bool = True
    ) -> SendStatus:
        """Send a message.

        Args:
            message: see the class.
            opcode: TEXT or BINARY, or PING or PONG with at most 125 bytes; CONTINUATION between fragments.
            compress: whether to compress it, where that was negotiated. Fragments are never compressed.
            fin: False for a fragment that others follow.

        Returns:
            The result. From another thread than the app's it is SUCCESS, as the message is only handed over.

        Raises:
            ValueError: opcode is TEXT, and message is bytes that are not UTF-8; or opcode is not sendable now: it is unknown or
                CLOSE (see :meth:`end`), a control frame is longer than 125 bytes, or a message begins before the fragments of
                another one are complete (RFC 6455 section 5.4).

        """
        if opcode.__class__ is not OpCode:
            opcode = checked_opcode(opcode)
        if type(message) is str:
            message = message.encode()
        else:
            if type(message) is not bytes:
                message, _ = self.session_.core.encoded(message)
            # A fragment may end within a character.
            if opcode is OpCode.TEXT and fin:
                check_text(message)
        if compress or not fin:
            opcode = opcode | (WS_COMPRESS if compress else 0) | (0 if fin else WS_MORE)
        status = _send(self.session_.handle, message, opcode)
        if status == GONE and self.session_.is_elsewhere():
            self._forward(self.send, message, opcode & WS_OPCODE_MASK, compress, fin)
            return SendStatus.SUCCESS
        if status < 0:
            text = f"opcode cannot be sent now: {OpCode(opcode & WS_OPCODE_MASK).name} with {len(message)} bytes"
            raise ValueError(text)
        return _STATUS[status]

    def cork_send(
        self, message: Any, opcode: Union[OpCode, int] = OpCode.BINARY, compress: bool = False, fin: bool = True
    ) -> SendStatus:
        """Like :meth:`send`: a message always leaves as one packet."""
        return self.send(message, opcode, compress, fin)

    def send_first_fragment(
        self, message: Any, opcode: Union[OpCode, int] = OpCode.BINARY, compress: bool = False
    ) -> SendStatus:
        """Begin a message in fragments."""
        return self.send(message, opcode, compress, fin=False)

    def send_fragment(self, message: Any, compress: bool = False) -> SendStatus:
        """Go on with a message in fragments."""
        return self.send(message, OpCode.CONTINUATION, compress, fin=False)

    def send_last_fragment(self, message: Any, compress: bool = False) -> SendStatus:
        """Complete a message in fragments."""
        return self.send(message, OpCode.CONTINUATION, compress)

    def cork(self: Self, callback: Callable[[Self], Any]) -> Self:
        """Call back, and send what it writes as one packet.

        Raises:
            TypeError: the callback is a coroutine function.

        """
        result = lib.sk_ws_cork(self.session_.handle)
        if result == GONE and self.session_.is_elsewhere():
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

    def end(self: Self, code: int = 0, message: Any = None) -> Self:
        """Begin the close handshake (RFC 6455 section 7.1.2); the close handler is called at once.

        Args:
            code: 1000 to 1003, 1007 to 1014, 3000 to 4999; 0 sends no code.
            message: the reason (see the class), of which at most 123 bytes are sent.

        Raises:
            ValueError: code cannot be sent, or message is bytes that are not UTF-8.
            TypeError: the serializer does not take the message.

        """
        reason = encode_reason(self.session_.core, message)
        if not isinstance(code, int):
            text = f"code must be an int, not {type(code).__name__}"
            raise TypeError(text)
        result = lib.sk_ws_end(self.session_.handle, code, reason, len(reason))
        if result == GONE and self.session_.is_elsewhere():
            return self._forward(self.end, code, reason)
        if result == BAD_HEAD:
            text = f"code must be 0, 1000 to 1003, 1007 to 1014 or 3000 to 4999, not {code}"
            raise ValueError(text)
        return self

    def cork_end(self: Self, code: int = 0, message: Any = None) -> Self:
        """Like :meth:`end`."""
        return self.end(code, message)

    def close(self: Self) -> Self:
        """Cut the connection, without a handshake."""
        if lib.sk_ws_close(self.session_.handle) == GONE and self.session_.is_elsewhere():
            return self._forward(self.close)
        return self

    async def closed(self) -> int:
        """Wait until the connection is closed, and return the close code (1006 when it broke)."""
        self.session_.check_thread("closed")
        return await self.session_.wait_until_closed()

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self.session_.is_closed

    # ---- receiving

    def __aiter__(self) -> AsyncIterator[Message]:
        """Iterate over the messages that arrive from now on, instead of the message handler, until the connection closes."""
        if self.session_.inbox is None:
            self.session_.check_thread("iterating")
            begin_iteration(self.session_)
        return self.session_.messages()

    # ---- topics

    def subscribe(self, topic: Topic) -> bool:
        """Get what is published to a topic from now on. True unless the connection is closed.

        Raises:
            ValueError: the topic is longer than 65535 bytes; or the app has a broker, and it begins with ``$socketify.``.

        """
        name = encode_topic(topic)
        result = lib.sk_ws_subscribe(self.session_.handle, name, len(name))
        if result == 1:
            return True
        if result == BAD_HEAD:
            raise ValueError(RESERVED_TOPIC)
        return self.session_.checked(result, "subscribe") == 1

    def unsubscribe(self, topic: Topic) -> bool:
        """Leave a topic. What was published before still arrives. False when it was not subscribed to."""
        name = encode_topic(topic)
        return self.session_.checked(lib.sk_ws_unsubscribe(self.session_.handle, name, len(name)), "unsubscribe") == 1

    def is_subscribed(self, topic: Topic) -> bool:
        """Return whether the topic is subscribed to."""
        name = encode_topic(topic)
        return self.session_.checked(lib.sk_ws_is_subscribed(self.session_.handle, name, len(name)), "is_subscribed") == 1

    def publish(
        self,
        topic: Topic,
        message: Any,
        opcode: Union[OpCode, int] = OpCode.BINARY,
        compress: bool = False,
        *,
        exclude_self: bool = False,
    ) -> bool:
        """Send to all websockets that are subscribed to a topic, as :meth:`socketify.App.publish` does.

        This one need not be subscribed, and gets the message if it is.

        Args:
            topic: its name.
            message: see the class.
            opcode: TEXT or BINARY.
            compress: whether to compress it, where that was negotiated.
            exclude_self: whether this websocket does not get it.

        Returns:
            Whether this process has a subscriber; from another thread than the app's, whether the connection is open.

        Raises:
            TypeError, ValueError: an argument is wrong.

        """
        session = self.session_
        if not compress:
            reached = _publish_from(session.handle, topic, message, opcode, exclude_self)
            if reached is not None:
                return reached
        if session.is_elsewhere():
            self._forward(partial(self.publish, exclude_self=exclude_self), topic, message, opcode, compress)
            return not self.is_closed
        return publish_from(session.core, session.handle, topic_name(topic), message, opcode, compress, exclude_self)

    def get_topics(self) -> list[str]:
        """Return the topics that are subscribed to, in no particular order."""
        topics: list[str] = []
        while (length := self.session_.checked(lib.sk_ws_topic(self.session_.handle, len(topics)), "get_topics")) >= 0:
            topics.append(str(self.session_.core.view[:length], "utf-8"))
        return topics

    def for_each_topic(self: Self, callback: Callable[[str], Any]) -> Self:
        """Call back with every topic; the callback may change the subscriptions."""
        for topic in self.get_topics():
            callback(topic)
        return self

    # ---- the connection

    def get_user_data(self) -> Any:
        """Return what ``res.upgrade`` was given, or None."""
        return self.session_.user_data

    def get_user_data_uuid(self) -> str:
        """Return a name that no other connection has."""
        return self.session_.name()

    def get_buffered_amount(self) -> int:
        """Return the number of bytes that wait in memory for the client to read."""
        return max(0, self.session_.checked(lib.sk_ws_buffered_bytes(self.session_.handle), "get_buffered_amount"))

    def get_remote_address_bytes(self) -> bytes:
        """Return the client's address, packed into 4 or 16 bytes; empty for Unix-domain sockets and after the end."""
        return self.session_.remote_address()

    def get_remote_address(self) -> str:
        """Return the client's address as text; empty for Unix-domain sockets and after the end."""
        return address_text(self.get_remote_address_bytes())

    def clone(self: Self) -> Self:
        """Return an object that outlives the callback: this one, which always does."""
        return self

    def get_native_handle(self) -> int:
        """Return the number by which the native library knows this websocket; 0 after the end."""
        return self.session_.handle


# The usual calls, of bytes or str as TEXT or BINARY, are made without Python.
setattr(  # noqa: B010
    WebSocket, "send", websocket_send(WebSocket, Session, WebSocket.send, (OpCode.TEXT, OpCode.BINARY), _STATUS)
)
