"""The pump of files: from a file to a connection in constant memory, by the kernel where it can."""

from __future__ import annotations

import asyncio
import os
from typing import Protocol

from .file_copy import copy_to_connection, is_in_memory

#: Bytes that are read at once where the kernel cannot copy: over TLS, for example.
PIECE_BYTES = 256 * 1024
#: Bytes that the kernel copies before other connections get their turn.
_TURN_BYTES = 2 * 1024 * 1024


class FileSink(Protocol):
    """A response whose body is a file, or contains one."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more can be sent."""

    def connection(self) -> int:
        """Return the descriptor that the kernel can copy to now; negative where pieces must be sent."""

    def count_sent(self, size: int) -> None:
        """Count what the kernel copied."""

    async def await_room(self) -> None:
        """Wait until the kernel can copy more."""

    async def send_piece(self, piece: bytes) -> None:
        """Send a piece, and wait until the connection has taken it."""


async def pump_file(sink: FileSink, descriptor: int, offset: int, length: int) -> bool:
    """Send a part of a file; return False where the file ends before."""
    end = offset + length
    while offset < end and not sink.is_over:
        connection = sink.connection()
        if connection < 0:
            piece = await _read(descriptor, offset, min(PIECE_BYTES, end - offset))
            if not piece:
                return False
            await sink.send_piece(piece)
            offset += len(piece)
            # Let other connections have their turn even when this one never had to wait.
            await asyncio.sleep(0)
            continue
        turn = min(_TURN_BYTES, end - offset)
        sent, is_full = await _copy(connection, descriptor, offset, turn)
        if sent:
            sink.count_sent(sent)
        offset += sent
        if not is_full and sent < turn:
            return False
        if offset < end and not sink.is_over:
            await sink.await_room()
    return True


async def _read(descriptor: int, offset: int, count: int) -> bytes:
    if is_in_memory(descriptor, offset, count, unknown=False):
        return os.pread(descriptor, count, offset)
    return await asyncio.get_running_loop().run_in_executor(None, os.pread, descriptor, count, offset)


async def _copy(connection: int, descriptor: int, offset: int, length: int) -> tuple[int, bool]:
    if is_in_memory(descriptor, offset, length, unknown=False):
        return copy_to_connection(connection, descriptor, offset, length)
    # The connection may be closed, and its number belong to another, while the thread writes to it.
    connection = os.dup(connection)
    copying = asyncio.get_running_loop().run_in_executor(None, copy_to_connection, connection, descriptor, offset, length)
    try:
        return await asyncio.shield(copying)
    except asyncio.CancelledError:
        # The same holds for the file's descriptor, which the caller closes next.
        await asyncio.wait([copying])
        raise
    finally:
        os.close(connection)
