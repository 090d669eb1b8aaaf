"""The pump of files, whatever the response is that they are the body of."""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Callable

import pytest

from socketify.http import file_pump


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*arguments: Any, **keywords: Any) -> None:
        asyncio.run(test(*arguments, **keywords))

    return run


class Sink:
    is_over = False

    def __init__(self, connection: int = -1) -> None:
        self._connection = connection
        self.pieces: list[bytes] = []
        self.counted = 0

    def connection(self) -> int:
        return self._connection

    def count_sent(self, size: int) -> None:
        self.counted += size

    async def await_room(self) -> None:
        await asyncio.sleep(0)

    async def send_piece(self, piece: bytes) -> None:
        self.pieces.append(piece)


@pytest.fixture
def descriptor(tmp_path: Path) -> int:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(700_000))
    return os.open(path, os.O_RDONLY)


@in_loop
async def test_pieces(descriptor: int) -> None:
    sink = Sink()
    assert await file_pump.pump_file(sink, descriptor, 100_000, 500_000)
    assert [len(piece) for piece in sink.pieces] == [262_144, 237_856]
    assert b"".join(sink.pieces) == os.pread(descriptor, 500_000, 100_000)
    os.close(descriptor)


@in_loop
async def test_a_file_that_is_shorter(descriptor: int) -> None:
    sink = Sink()
    assert not await file_pump.pump_file(sink, descriptor, 600_000, 500_000)
    assert sum(map(len, sink.pieces)) == 100_000
    os.close(descriptor)


@in_loop
async def test_others_have_their_turn_between_pieces(descriptor: int) -> None:
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(take_turns())
    assert await file_pump.pump_file(Sink(), descriptor, 0, 700_000)
    other.cancel()
    assert turns >= 3
    os.close(descriptor)


@pytest.mark.parametrize("mapped", [True, False])
@in_loop
async def test_copies_of_the_kernel(descriptor: int, mapped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_pump, "is_in_memory", lambda *_, **__: mapped)
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        sink = Sink(here.fileno())
        received = asyncio.create_task(asyncio.to_thread(there.recv, 500_000, socket.MSG_WAITALL))
        assert await file_pump.pump_file(sink, descriptor, 0, 500_000)
        assert await received == os.pread(descriptor, 500_000, 0)
        assert sink.counted == 500_000
    os.close(descriptor)


@in_loop
async def test_a_thread_that_copies_keeps_its_connection_when_the_pump_is_cancelled(
    descriptor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would write the file to whatever gets the number next."""
    began, go_on = threading.Event(), threading.Event()
    inodes: list[int] = []

    def copy(connection: int, _descriptor: int, _offset: int, length: int) -> tuple[int, bool]:
        began.set()
        assert go_on.wait(10)
        inodes.append(os.fstat(connection).st_ino)
        return length, False

    monkeypatch.setattr(file_pump, "is_in_memory", lambda *_, **__: False)
    monkeypatch.setattr(file_pump, "copy_to_connection", copy)
    here, there = socket.socketpair()
    with here, there:
        pumping = asyncio.create_task(file_pump.pump_file(Sink(here.fileno()), descriptor, 0, 500_000))
        assert await asyncio.to_thread(began.wait, 10)
        pumping.cancel()
        await asyncio.sleep(0.05)
        assert not pumping.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await pumping
        assert inodes == [os.fstat(here.fileno()).st_ino]
    os.close(descriptor)
