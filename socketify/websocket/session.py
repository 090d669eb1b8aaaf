"""The state of one websocket, as the framework knows it."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any, Callable, Optional, Union

from ..core.core import Core
from ..http.exchange import elsewhere
from ..native import lib
from ..native.abi import STALE

Handler = Callable[..., Any]
Message = Union[str, bytes]

#: How much may wait for a handler of the same connection before reading from it pauses.
_PENDING_MAX_MESSAGES = 64
_PENDING_MAX_BYTES = 1024 * 1024
_NO_HANDLERS: Mapping[str, Optional[Handler]] = {}


class Session:
    """The state behind a :class:`socketify.WebSocket` for one connection, and what the framework does with it.

    The native side reads some of the slots in memory.

    Args:
        core: of the app.

    """

    __slots__ = (
        "busy",
        "close_waiter",
        "code",
        "core",
        "extras",
        "handle",
        "handlers",
        "handshake",
        "inbox",
        "inbox_waiter",
        "is_paused",
        "pending",
        "pending_bytes",
        "socket",
        "user_data",
        "uuid",
    )

    def __init__(self, core: Core) -> None:
        self.core = core
        #: Calls of handlers that wait for their turn.
        self.pending: deque[tuple[Handler, tuple[Any, ...]]] = deque()
        #: The number by which the native side knows the connection; 0 before and after it.
        self.handle = 0
        #: The object that handlers are called with while the connection is open.
        self.socket: Any = None
        self.reset()

    def reset(self) -> None:
        """Forget a connection."""
        #: The route's handlers by the names in :data:`socketify.websocket.options.HANDLERS`; "message" is always there.
        self.handlers = _NO_HANDLERS
        self.user_data: Any = None
        self.uuid: Optional[str] = None
        #: What a trace knows the handshake by.
        self.handshake: Any = None
        #: Values of the properties that extensions added, once there is one.
        self.extras: Optional[dict[str, Any]] = None
        #: Whether a handler waits: others are called when it is done.
        self.busy = False
        #: Bytes of messages in `pending` or `inbox`.
        self.pending_bytes = 0
        #: Whether reading from the connection pauses, because too much is pending.
        self.is_paused = False
        #: Messages for `async for`, once the program iterates.
        self.inbox: Optional[deque[Message]] = None
        self.inbox_waiter: Optional[asyncio.Future[None]] = None
        self.close_waiter: Optional[asyncio.Future[None]] = None
        #: The close code, once it is closed.
        self.code: Optional[int] = None

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self.code is not None or not self.handle

    def name(self) -> str:
        """Return a name that no other connection has."""
        if self.uuid is None:
            self.uuid = str(uuid.uuid4())
        return self.uuid

    def own_extras(self) -> dict[str, Any]:
        """Return the values of the properties that extensions added."""
        if self.extras is None:
            self.extras = {}
        return self.extras

    def remote_address(self) -> bytes:
        """Return the client's address, packed; empty for Unix-domain sockets and after the end.

        Raises:
            RuntimeError: another thread than the app's asks.

        """
        length = self.checked(lib.sk_res_remote_address(self.handle), "get_remote_address")
        return bytes(self.core.view[:length]) if length > 0 else b""

    def fail(self, error: BaseException) -> None:
        """Report an error of a handler, and close with 1011."""
        self.core.outcome.fail_websocket(error, self.handle)

    # ---- other threads

    def is_elsewhere(self) -> bool:
        """Return whether the calling thread is not the app's: native code does not know the connection in other threads."""
        return threading.get_ident() != self.core.thread

    def forward(self, function: Callable[..., object], *arguments: Any) -> None:
        """Let the app's thread call a function, after all that was forwarded before; an error goes to the error handler."""
        if self.handle:
            self.core.forward(self.core.guard, None, function, *arguments)

    def check_thread(self, what: str) -> None:
        """Raise a RuntimeError in other threads than the app's, for methods that have a result."""
        if self.handle and self.is_elsewhere():
            raise RuntimeError(elsewhere(what))

    def checked(self, result: int, what: str) -> int:
        """Return what native code answered; raise a RuntimeError if it does not know the connection because of the thread."""
        if result == STALE:
            self.check_thread(what)
        return result

    # ---- messages that wait

    def limit(self, count: int) -> None:
        """Pause reading when too much waits: so many messages, and so many bytes."""
        if not self.is_paused and (count >= _PENDING_MAX_MESSAGES or self.pending_bytes >= _PENDING_MAX_BYTES):
            self.is_paused = True
            lib.sk_ws_pause(self.handle)

    def resume(self) -> None:
        """Go on reading."""
        self.is_paused = False
        lib.sk_ws_resume(self.handle)

    def feed(self, message: Message) -> None:
        """Queue a message for the program's iteration."""
        assert self.inbox is not None
        self.inbox.append(message)
        self.pending_bytes += len(message)
        self.wake_reader()

    async def messages(self) -> AsyncIterator[Message]:
        """Yield the queued messages, until the connection closes."""
        inbox = self.inbox
        assert inbox is not None
        while True:
            while inbox:
                message = inbox.popleft()
                self.pending_bytes -= len(message)
                if self.is_paused and not inbox:
                    self.resume()
                yield message
            if self.is_closed:
                return
            self.inbox_waiter = asyncio.get_running_loop().create_future()
            await self.inbox_waiter

    def wake_reader(self) -> None:
        """Wake the iteration, which then looks for messages and for the end."""
        if self.inbox_waiter is not None and not self.inbox_waiter.done():
            self.inbox_waiter.set_result(None)

    # ---- the end

    async def wait_until_closed(self) -> int:
        """Return the close code, when there is one."""
        if self.code is None:
            if self.close_waiter is None:
                self.close_waiter = asyncio.get_running_loop().create_future()
            await asyncio.shield(self.close_waiter)
        return self.code or 0

    def end(self, code: int) -> None:
        """Take the close code, and wake whatever waits for messages or for the end."""
        self.code = code
        if self.close_waiter is not None and not self.close_waiter.done():
            self.close_waiter.set_result(None)
        self.wake_reader()
