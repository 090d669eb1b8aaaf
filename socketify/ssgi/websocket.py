"""The websocket that an SSGI application gets for type ``websocket``."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Generator, Iterable
from typing import Any, Callable, NamedTuple, Optional, Union

from ..http.response import Response
from ..native import abi, lib
from ..websocket.constants import OpCode, SendStatus
from ..websocket.order import call_in_turn
from ..websocket.socket import WebSocket
from .http import run_async
from .scope import Fields

PENDING, REJECTED, CLOSED, ACCEPTED = range(4)

Message = Union[str, bytes]
#: Messages that wait for on_receive before reading from the connection pauses.
_WAITING_MAX = 64


class Done:
    """An awaitable for an operation that is done already; it need not be awaited.

    Args:
        result: of awaiting it.

    """

    __slots__ = ("_result",)

    def __init__(self, result: bool) -> None:
        self._result = result

    def __await__(self) -> Generator[Any, None, bool]:
        yield from ()
        return self._result

    def __bool__(self) -> bool:
        return self._result


class Events(NamedTuple):
    """The callbacks of a websocket's route; their results are awaited, one after the other."""

    opened: Callable[[WebSocket], None]
    received: Callable[[Message], Any]
    closed: Callable[[int, str], Any]


class SSGIWebSocket:
    """A websocket, from the client's request to the end.

    Args:
        res: of the upgrade.
        socket_context: of the upgrade handler.
        fields: of the request.
        publish: publishes to a topic of the app.

    """

    __slots__ = (
        "__weakref__",
        "_context",
        "_fields",
        "_on_close",
        "_on_receive",
        "_paused",
        "_publish",
        "_res",
        "_waiting",
        "_ws",
        "extensions",
        "status",
    )

    def __init__(self, res: Response, socket_context: Any, fields: Fields, publish: Callable[[str, Any, OpCode], bool]) -> None:
        self._publish = publish
        self._res = res
        self._context = socket_context
        self._fields = fields
        self._ws: Optional[WebSocket] = None
        #: 0 pending, 1 rejected, 2 closed, 3 accepted.
        self.status = PENDING
        #: For servers and frameworks to put things in.
        self.extensions: dict[str, Any] = {}
        self._on_receive: Optional[tuple[Callable[..., Any], tuple[Any, ...]]] = None
        self._on_close: Optional[tuple[Callable[..., Any], tuple[Any, ...]]] = None
        self._waiting: deque[Message] = deque()
        self._paused = False

    def accept(self, protocol: Optional[str] = None) -> Done:
        """Accept the websocket, at once; awaiting the result says whether it is open.

        Args:
            protocol: the subprotocol to select; None for the first that the client offered, if any.

        Raises:
            ValueError: the client did not offer that subprotocol.

        """
        if self.status != PENDING or self._res.has_responded():
            return Done(False)
        offered = self._fields.text("sec-websocket-protocol")
        selected = offered.split(",")[0].strip() if protocol is None else protocol
        key, extensions = self._fields.text("sec-websocket-key"), self._fields.text("sec-websocket-extensions")
        events = Events(self._opened, self._received, self._closed)
        self._res.upgrade(key, selected, extensions, self._context, events)
        return Done(self.status == ACCEPTED)

    def reject(
        self,
        status_code: Union[int, str, bytes] = 403,
        payload: Any = None,
        headers: Optional[Iterable[tuple[Union[str, bytes], Union[str, bytes, int]]]] = None,
    ) -> Done:
        """Refuse the websocket, at once; awaiting the result says whether that was still possible.

        Args:
            status_code: of the answer.
            payload: its body, as :meth:`socketify.Response.end` takes it.
            headers: its fields.

        """
        if self.status != PENDING or self._res.has_responded():
            return Done(False)
        self._res.write_status(status_code)
        for name, value in headers or ():
            self._res.write_header(name, value)
        self._res.end(payload)
        self.status = REJECTED
        return Done(True)

    def send(self, payload: Union[str, bytes, bytearray, memoryview]) -> SendStatus:
        """Send a message, str as text, bytes as binary; return ``SendStatus.DROPPED`` when it is not open."""
        ws = self._ws
        if ws is None or self.status != ACCEPTED:
            return SendStatus.DROPPED
        return ws.send(payload, OpCode.TEXT if isinstance(payload, str) else OpCode.BINARY)

    def close(self, code: int = abi.WS_CODE_NORMAL) -> bool:
        """Begin the close handshake; return False when there is no open websocket.

        Raises:
            ValueError: the code cannot be sent.

        """
        if self._ws is None or self.status != ACCEPTED:
            return False
        self._ws.end(code)
        return True

    def subscribe(self, topic: str) -> bool:
        """Get what is published to a topic from now on; return False when it is not open.

        Raises:
            TypeError, ValueError: it is no topic.
            RuntimeError: another thread than the app's calls.

        """
        return self._ws is not None and self._ws.subscribe(topic)

    def unsubscribe(self, topic: str) -> bool:
        """Leave a topic; return False when it was not subscribed to, as after the end.

        Raises:
            TypeError, ValueError, RuntimeError: see :meth:`subscribe`.

        """
        return self._ws is not None and self._ws.unsubscribe(topic)

    def publish(self, topic: str, payload: Union[str, bytes, bytearray, memoryview]) -> bool:
        """Send to all subscribers of a topic, str as text, bytes as binary; return whether there was one in this process.

        Raises:
            TypeError, ValueError: it is no topic.

        """
        return self._publish(topic, payload, OpCode.TEXT if isinstance(payload, str) else OpCode.BINARY)

    def run_async(self, handler: Any, *arguments: Any) -> asyncio.Future[Any]:
        """Run a coroutine function, or a coroutine, as a task; an error in it goes to the error handler."""
        return run_async(self._res, handler, arguments)

    def on_receive(self, handler: Callable[..., Any], *arguments: Any) -> SSGIWebSocket:
        """Call a function, sync or async, with every message: ``handler(ws, message, *arguments)``."""
        self._on_receive = (handler, arguments)
        while self._waiting:
            message = self._waiting.popleft()
            ws = self._ws
            if ws is not None:
                opcode = OpCode.TEXT if isinstance(message, str) else OpCode.BINARY
                call_in_turn(ws.session_, received, ws, message, opcode)
            else:
                self._res.exchange_.core.guard(None, handler, self, message, *arguments)
        if self._paused and self._ws is not None:
            self._paused = False
            lib.sk_ws_resume(self._ws.session_.handle)
        return self

    def on_close(self, handler: Callable[..., Any], *arguments: Any) -> SSGIWebSocket:
        """Call a function, sync or async, at the end: ``handler(ws, code, reason, *arguments)``."""
        self._on_close = (handler, arguments)
        return self

    # ---- events

    def _opened(self, ws: WebSocket) -> None:
        self._ws = ws
        self.status = ACCEPTED

    def _received(self, message: Message) -> Any:
        if self._on_receive is not None:
            handler, arguments = self._on_receive
            return handler(self, message, *arguments)
        self._waiting.append(message)
        if len(self._waiting) >= _WAITING_MAX and not self._paused and self._ws is not None:
            self._paused = True
            lib.sk_ws_pause(self._ws.session_.handle)
        return None

    def _closed(self, code: int, reason: str) -> Any:
        self.status = CLOSED
        self._ws = None
        if self._on_close is None:
            return None
        handler, arguments = self._on_close
        return handler(self, code, reason, *arguments)


def opened(ws: WebSocket) -> None:
    """Handle that a websocket is open."""
    ws.get_user_data().opened(ws)


def received(ws: WebSocket, message: Message, _opcode: OpCode) -> Any:
    """Handle a message."""
    return ws.get_user_data().received(message)


def closed(ws: WebSocket, code: int, reason: str) -> Any:
    """Handle the end of a websocket."""
    return ws.get_user_data().closed(code, reason)
