"""Many websockets of one thread, which note the short texts that they get."""

from __future__ import annotations

import asyncio
from typing import Any, Callable

from websocket_client import HANDSHAKE, KEY


class Listener(asyncio.Protocol):
    """A websocket. The messages of a server that are shorter than 126 bytes are all it understands."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.is_open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._rest = b""

    @classmethod
    async def open(cls, port: int, host: str = "127.0.0.1") -> Listener:
        """Connect, and shake hands."""
        _, listener = await asyncio.get_running_loop().create_connection(cls, host, port)
        await listener.is_open
        return listener

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(HANDSHAKE % (b"websocket", b"Upgrade", KEY, b"13"))

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        if not self.is_open.done():
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._rest = head
                return
            assert head.startswith(b"HTTP/1.1 101 "), head
            self.is_open.set_result(None)
        start = 0
        while len(data) - start >= 2 and len(data) - start >= 2 + data[start + 1]:
            end = start + 2 + data[start + 1]
            if data[start] == 0x81:
                self.texts.append(data[start + 2 : end].decode())
            start = end
        self._rest = data[start:]

    def send(self, text: str) -> None:
        """Send a text, masked by nothing."""
        data = text.encode()
        self.transport.write(bytes((0x81, 0x80 | len(data), 0, 0, 0, 0)) + data)

    async def ask(self, text: str) -> str:
        """Send a text, and return the first answer of its verb, which is taken out of what arrived."""
        self.send(text)
        start = text.partition(" ")[0] + ": "
        await until(lambda: any(each.startswith(start) for each in self.texts))
        answer = next(each for each in self.texts if each.startswith(start))
        self.texts.remove(answer)
        return answer[len(start) :]


async def until(condition: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait for a condition."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        assert loop.time() < deadline
        await asyncio.sleep(0.02)
