"""The body of a request, as a handler waits for it."""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Optional

from ..native import body_here, lib
from ..native.collected_bytes import CollectedBytes
from ..wire.forms import FormData, FormReader
from .body_reader import BodyReader
from .exchange import Exchange

#: Bytes of a body from which collecting costs less than joining its pieces, and up to which room is made for what was only
#: declared.
_COLLECTED_BYTES_MIN = 128 * 1024
_COLLECTED_BYTES_MAX = 64 * 1024 * 1024


def _ignore(_chunk: bytes) -> None:
    """Stand in for what takes pieces that are collected already."""


def _nothing(_chunk: bytes, _last: bool) -> None:
    """Stand in as the reader of a body that had arrived already."""


def _mark_read(exchange: Exchange) -> None:
    exchange.dirty = True
    exchange.reader = BodyReader(_nothing)
    exchange.reader.stop()


async def read_whole(exchange: Exchange, res: Any) -> bytes:
    """Return the body, or the part that arrived before the client left."""
    try:
        whole = body_here(exchange.handle)
    except MemoryError:
        # The body can be taken only once.
        _mark_read(exchange)
        raise
    if whole is not None:
        _mark_read(exchange)
        return whole
    length = lib.sk_res_body_length(exchange.handle)
    if _COLLECTED_BYTES_MIN <= length <= _COLLECTED_BYTES_MAX:
        collected = CollectedBytes(length)
        await _read_to_end(exchange, res, _ignore, collected)
        return collected.finish()
    chunks: list[bytes] = []
    await _read_to_end(exchange, res, chunks.append)
    return b"".join(chunks)


async def read_form(exchange: Exchange, res: Any, reader: FormReader) -> Optional[FormData]:
    """Return a form, or None when the client left. Large files go to disk as they arrive.

    Raises:
        HTTPError: it is not a form, or breaks a limit.

    """
    try:
        await _read_to_end(exchange, res, reader.feed)
    except BaseException:
        reader.form.close()
        raise
    if exchange.aborted:
        reader.form.close()
        return None
    return reader.finish()


async def _read_to_end(
    exchange: Exchange, res: Any, take: Callable[[bytes], object], collected: Optional[CollectedBytes] = None
) -> None:
    """Pass on every piece of the body, until its end or until the client leaves."""
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def sink(chunk: bytes, last: bool) -> None:
        take(chunk)
        if last and not waiter.done():
            waiter.set_result(None)

    exchange.read(res, BodyReader(sink, waiter, collected))
    await waiter
