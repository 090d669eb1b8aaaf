"""How many records a response takes: each costs a system call and 22 bytes or more."""

from __future__ import annotations

import asyncio
import ssl
import zlib
from typing import Any

import pytest
from tls_files import Files, Raw

from socketify import App, CompressOptions, OpCode, Request, Response, WebSocket

#: Bytes of a record beside what it carries (RFC 8446 section 5.2 with a tag of 16 bytes, RFC 5288).
OVERHEAD = {ssl.TLSVersion.TLSv1_2: 24, ssl.TLSVersion.TLSv1_3: 17}
HEADER_BYTES = 5
RECORD_BYTES = 16 * 1024
FIELDS = [(f"x-field-{number}", "value" * 3) for number in range(20)]
UPGRADE = (
    b"GET %s HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


def three_chunks(res: Response) -> None:
    res.write("one")
    res.write("two" * 100)
    res.end("three")


async def late_chunks(res: Response, _req: Request) -> None:
    await asyncio.sleep(0.01)
    res.cork(three_chunks)


async def late_send(res: Response, _req: Request) -> None:
    await asyncio.sleep(0.01)
    res.send("late", headers=FIELDS)


def stepwise(res: Response, _req: Request) -> None:
    res.write_status(201)
    for name, value in FIELDS:
        res.write_header(name, value)
    three_chunks(res)


def three_messages(ws: WebSocket) -> None:
    for _ in range(3):
        ws.send("x" * 1000, OpCode.TEXT)


async def late_messages(ws: WebSocket, _message: Any, _opcode: OpCode) -> None:
    await asyncio.sleep(0.01)
    ws.cork(three_messages)


def routes(app: App) -> None:
    app.get("/small", lambda res, _req: res.end("hello"))
    app.get("/fields", lambda res, _req: res.send("hello", headers=FIELDS))
    app.get("/chunks", lambda res, _req: res.cork(three_chunks))
    app.get("/stepwise", stepwise)
    app.get("/late-chunks", late_chunks)
    app.get("/late-send", late_send)
    app.get("/ten", lambda res, _req: res.end("x" * 10_000))
    app.get("/big", lambda res, _req: res.end("x" * 4 * RECORD_BYTES))
    app.ws("/messages", {"message": lambda ws, _message, _opcode: three_messages(ws)})
    app.ws("/late", {"message": late_messages})
    app.ws("/echo", {"message": lambda ws, message, opcode: ws.send(message, opcode)})
    deflate = CompressOptions.SHARED_COMPRESSOR
    app.ws("/deflate", {"message": lambda ws, message, opcode: ws.send(message, opcode, compress=True), "compression": deflate})


class Counting(Raw):
    """Counts the records of what it receives."""

    def ask(self, request: bytes, bytes_expected: int) -> list[int]:
        """Send, and give the sizes of the records that carry so many plain bytes, all of them."""
        self.tls.write(request)
        self.send()
        received, plain, sizes = b"", 0, []
        overhead = OVERHEAD[getattr(ssl.TLSVersion, self.tls.version().replace(".", "_"))]
        while plain < bytes_expected:
            part = self.connection.recv(65536)
            assert part, "the connection ended"
            self.incoming.write(part)
            received += part
            while len(received) >= HEADER_BYTES and len(received) >= (
                size := HEADER_BYTES + int.from_bytes(received[3:5], "big")
            ):
                sizes.append(size - HEADER_BYTES - overhead)
                plain += sizes[-1]
                received = received[size:]
        assert not received
        assert plain == bytes_expected
        self.answer = b""
        while len(self.answer) < bytes_expected:
            self.answer += self.tls.read(bytes_expected)
        return sizes

    def learn(self, request: bytes, end: bytes) -> int:
        """Send, and give how many bytes the answer has."""
        self.tls.write(request)
        self.send()
        answer = b""
        while not answer.endswith(end):
            try:
                answer += self.tls.read(1 << 20)
            except ssl.SSLWantReadError:
                self.incoming.write(self.connection.recv(65536))
        return len(answer)


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def context(request: pytest.FixtureRequest, files: Files) -> ssl.SSLContext:
    made = files.client()
    made.minimum_version = made.maximum_version = request.param
    return made


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("path", "end"),
    [
        ("/small", b"hello"),
        ("/fields", b"hello"),
        ("/chunks", b"0\r\n\r\n"),
        ("/stepwise", b"0\r\n\r\n"),
        ("/late-chunks", b"0\r\n\r\n"),
        ("/late-send", b"late"),
        ("/ten", b"x" * 10_000),
    ],
)
def test_a_response_is_one_record(serve: Any, files: Files, context: ssl.SSLContext, path: str, end: bytes) -> None:
    server = serve(routes, options=files.options())
    with Counting(server, context) as client:
        size = client.learn(get(path), end)
        assert client.ask(get(path), size) == [size]
        assert client.answer.endswith(end)


def test_pipelined_responses_share_a_record(serve: Any, files: Files, context: ssl.SSLContext) -> None:
    server = serve(routes, options=files.options())
    with Counting(server, context) as client:
        size = 16 * client.learn(get("/small"), b"hello")
        assert client.ask(16 * get("/small"), size) == [size]


def test_large_bodies_fill_their_records(serve: Any, files: Files, context: ssl.SSLContext) -> None:
    server = serve(routes, options=files.options())
    with Counting(server, context) as client:
        size = client.learn(get("/big"), b"x" * 4 * RECORD_BYTES)
        sizes = client.ask(get("/big"), size)
        assert len(sizes) == 5, sizes


@pytest.mark.parametrize("path", [b"/messages", b"/late"])
def test_corked_messages_share_a_record(serve: Any, files: Files, context: ssl.SSLContext, path: bytes) -> None:
    server = serve(routes, options=files.options())
    with Counting(server, context) as client:
        client.learn(UPGRADE % path, b"\r\n\r\n")
        size = 3 * (4 + 1000)
        assert client.ask(b"\x81\x82\0\0\0\0hi", size) == [size]


@pytest.mark.parametrize("size", [0, 100, 5_000, RECORD_BYTES - 4])
def test_a_message_is_one_record(serve: Any, files: Files, context: ssl.SSLContext, size: int) -> None:
    server = serve(routes, options=files.options())
    with Counting(server, context) as client:
        client.learn(UPGRADE % b"/echo", b"\r\n\r\n")
        head = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
        sent = b"\x82" + bytes([head[0] | 0x80]) + head[1:] + bytes(4 + size)
        whole = 1 + len(head) + size
        assert client.ask(sent, whole) == [whole]


def test_a_compressed_message_is_one_record(serve: Any, files: Files, context: ssl.SSLContext) -> None:
    server = serve(routes, options=files.options())
    with Counting(server, context) as client:
        client.learn(UPGRADE % b"/deflate", b"\r\n\r\n")
        packer = zlib.compressobj(wbits=-15)
        packed = packer.compress(bytes(5000)) + packer.flush(zlib.Z_SYNC_FLUSH)
        # RFC 7692 section 7.2.1: without the four bytes of the flush.
        size = 2 + len(packed) - 4
        assert client.ask(b"\x82\xfe" + (5000).to_bytes(2, "big") + bytes(4 + 5000), size) == [size]
