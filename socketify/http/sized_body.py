"""Bodies of a known size at the pace of their client: sending what it takes now, and waiting until it takes more."""

from __future__ import annotations

import asyncio
from typing import Any, Callable

from ..native import lib, placed
from ..native.abi import GONE, NO_OFFSET, TRIED_COMPLETE, TRIED_TAKEN
from .exchange import Exchange

_PIECE_BYTES = 1024 * 1024


def as_view(exchange: Exchange, message: Any) -> memoryview:
    """Return the bytes of a message, without a copy if it is bytes already."""
    return memoryview(message if isinstance(message, (bytes, bytearray, memoryview)) else exchange.encode(message)).cast("B")


def try_end(exchange: Exchange, view: memoryview, total_size: int, flags: int) -> tuple[bool, bool]:
    """Implement :meth:`socketify.Response.try_end`.

    Raises:
        ValueError: total_size is negative, or the message goes beyond it.
        RuntimeError: the response has ended, or its body was begun without a size.

    """
    if not exchange.handle:
        exchange.refuse_late("try_end")
        return False, True
    head = exchange.head
    if head.is_out and not exchange.is_sized:
        message = "try_end: the body was begun by write, so its size is not known: go on with write"
        raise RuntimeError(message)
    offset = bytes_taken(exchange)
    if offset + len(view) > total_size:
        message = f"the body goes beyond total_size: {offset} + {len(view)} > {total_size}"
        raise ValueError(message)
    exchange.dirty = True
    given = 0
    while True:
        # Only what the kernel may take now is copied out of a large body.
        piece = bytes(view[given : given + _PIECE_BYTES])
        block, fields = head.take()
        result = lib.sk_res_try_end(exchange.handle, block, len(block), fields, placed(piece), len(piece), total_size, flags)
        if result == GONE:
            exchange.check_thread("try_end")
            exchange.mark_aborted()
            return False, True
        head.is_out = exchange.is_sized = True
        if result & TRIED_COMPLETE:
            exchange.forget()
            return True, True
        given += len(piece)
        if not result & TRIED_TAKEN:
            return False, False
        if given >= len(view):
            return True, False


async def send_chunk(exchange: Exchange, res: Any, view: memoryview, total_size: int) -> tuple[bool, bool]:
    """Implement :meth:`socketify.Response.send_chunk`."""
    begin = bytes_taken(exchange)
    while True:
        ok, done = try_end(exchange, view[bytes_taken(exchange) - begin :], checked_size(total_size), 0)
        if ok or done:
            return ok, done
        await wait_writable(exchange, res)
        if exchange.aborted:
            return False, True


def checked_size(total_size: int) -> int:
    """Check the size of a body.

    Raises:
        ValueError: it is not an int in range.

    """
    if not isinstance(total_size, int) or total_size < 0:
        message = f"total_size must be an int of 0 or more, not {total_size!r}"
        raise ValueError(message)
    return total_size


def bytes_taken(exchange: Exchange) -> int:
    """Return how many bytes of the body the connection has taken."""
    if not exchange.handle or not exchange.head.is_out:
        return 0
    offset = int(lib.sk_res_write_offset(exchange.handle))
    if offset == NO_OFFSET:
        exchange.check_thread("get_write_offset")
        return 0
    return offset


async def drain(exchange: Exchange, res: Any) -> None:
    """Wait until the kernel has taken everything that was written, or the client left."""
    if exchange.handle:
        buffered = lib.sk_res_buffered_bytes(exchange.handle)
        if buffered < 0:
            exchange.check_thread("drain")
        if buffered > 0:
            await wait_writable(exchange, res)


async def wait_writable(exchange: Exchange, res: Any, ask: Callable[[int], int] = lib.sk_res_want_writable) -> None:
    """Wait until the connection takes data.

    Args:
        exchange: of the response.
        res: the response.
        ask: asks native code for the event.

    """
    waiter = exchange.write_waiter
    if waiter is None or waiter.done():
        waiter = exchange.write_waiter = asyncio.get_running_loop().create_future()
        exchange.follow(res)
        ask(exchange.handle)
    # Several may wait: one that is cancelled must not cancel the others.
    await asyncio.shield(waiter)
