"""Bodies at the pace of their client: pieces of a body of a known size, and the waiting until more of it is taken."""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Optional, TypeVar

from ..native import lib
from ..native.abi import END_CONNECTION, GONE, NO_OFFSET, TRIED_COMPLETE, TRIED_TAKEN
from .response_head import ResponseHead

Self = TypeVar("Self", bound="ResponseFlow")

_PIECE_BYTES = 1024 * 1024


class ResponseFlow(ResponseHead):
    """A response whose client may be slower than the handler."""

    __slots__ = ("_offset_base", "_sized", "_writable_handler", "_write_waiter")

    def _reset(self) -> None:
        super()._reset()
        self._sized = False
        self._offset_base = 0
        self._write_waiter: Optional[asyncio.Future[None]] = None
        self._writable_handler: Optional[Callable[[Any, int], Any]] = None

    def try_end(self, message: Any, total_size: int, end_connection: bool = False) -> tuple[bool, bool]:
        """Write what the connection takes now of a body of a known size.

        Args:
            message: what comes at the write offset, as for :meth:`end`.
            total_size: bytes of the whole body, the same in every call; it becomes the Content-Length.
            end_connection: close the connection after the response.

        Returns:
            Whether all of the message was taken, and whether the response is complete. What was not taken must be given
            again, from :meth:`get_write_offset` on, when :meth:`on_writable` calls. (False, True) after the client left.

        Raises:
            ValueError: total_size is negative, or the message goes beyond it.
            RuntimeError: the response ended before.

        """
        if not isinstance(total_size, int) or total_size < 0:
            message = f"total_size must be an int of 0 or more, not {total_size!r}"
            raise ValueError(message)
        view = memoryview(message if isinstance(message, (bytes, bytearray, memoryview)) else self._encode(message)).cast("B")
        if not self._handle:
            self._late("try_end")
            return False, True
        if self._started and not self._sized:
            message = "try_end: the body was begun by write, so its size is not known: go on with write"
            raise RuntimeError(message)
        offset = self._bytes_taken()
        if offset + len(view) > total_size:
            message = f"the body goes beyond total_size: {offset} + {len(view)} > {total_size}"
            raise ValueError(message)
        self._dirty = True
        flags = END_CONNECTION if end_connection else 0
        given = 0
        while True:
            # Only what the kernel may take now is copied out of a large body.
            piece = bytes(view[given : given + _PIECE_BYTES])
            head, fields = self._take_head()
            result = lib.sk_res_try_end(self._handle, head, len(head), fields, piece, len(piece), total_size, flags)
            if result == GONE:
                self._check_thread("try_end")
                self._handle = 0
                self._mark_aborted()
                return False, True
            self._started = self._sized = True
            if result & TRIED_COMPLETE:
                self._app._forget(self)
                return True, True
            given += len(piece)
            if not result & TRIED_TAKEN:
                return False, False
            if given >= len(view):
                return True, False

    async def send_chunk(self, buffer: Any, total_size: int) -> tuple[bool, bool]:
        """Write a piece of a body of a known size, and wait until the connection has taken it.

        Args:
            buffer: the next piece, as for :meth:`end`.
            total_size: bytes of the whole body, the same in every call.

        Returns:
            Whether it was taken, and whether the response is complete; (False, True) when the client left.

        Raises:
            ValueError, RuntimeError: see :meth:`try_end`.

        """
        data = memoryview(buffer if isinstance(buffer, (bytes, bytearray, memoryview)) else self._encode(buffer)).cast("B")
        begin = self._bytes_taken()
        while True:
            ok, done = self.try_end(data[self._bytes_taken() - begin :], total_size)
            if ok or done:
                return ok, done
            await self._writable()
            if self.aborted:
                return False, True

    async def drain(self: Self) -> Self:
        """Wait until the kernel has taken everything that was written, or the client left."""
        if self._handle:
            buffered = lib.sk_res_buffered_bytes(self._handle)
            if buffered < 0:
                self._check_thread("drain")
            if buffered > 0:
                await self._writable()
        return self

    async def _writable(self, ask: Callable[[int], int] = lib.sk_res_want_writable) -> None:
        waiter = self._write_waiter
        if waiter is None or waiter.done():
            waiter = self._write_waiter = asyncio.get_running_loop().create_future()
            self._app._follow(self)
            ask(self._handle)
        # Several may wait: one that is cancelled must not cancel the others.
        await asyncio.shield(waiter)

    def _bytes_taken(self) -> int:
        if not self._handle or not self._started:
            return 0
        offset = int(lib.sk_res_write_offset(self._handle))
        if offset == NO_OFFSET:
            self._check_thread("get_write_offset")
            return 0
        return offset

    def get_write_offset(self) -> int:
        """Give the number of bytes of a sized body that the connection has taken."""
        return self._offset_base + self._bytes_taken()

    def write_offset(self: Self, offset: int) -> Self:
        """Count from another number: what :meth:`get_write_offset` gives now is this offset.

        Raises:
            ValueError: the offset is negative or no int.

        """
        if not isinstance(offset, int) or offset < 0:
            message = f"offset must be an int of 0 or more, not {offset!r}"
            raise ValueError(message)
        if not self._handle:
            return self._late("write_offset")
        self._dirty = True
        self._offset_base = offset - self._bytes_taken()
        return self

    def on_writable(self: Self, handler: Callable[[Self, int], Any]) -> Self:
        """Call back when the connection takes data again: ``handler(res, offset)``, with the write offset."""
        if not self._handle:
            return self._late("on_writable")
        self._dirty = True
        self._writable_handler = handler
        self._app._keep(self)
        if lib.sk_res_want_writable(self._handle) == GONE and self._is_elsewhere():
            return self._forward(self.on_writable, handler)
        return self

    def _on_writable(self) -> None:
        waiter = self._write_waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        if self._writable_handler is not None and self._handle:
            self._app._guard(self, self._writable_handler, self, self.get_write_offset())
