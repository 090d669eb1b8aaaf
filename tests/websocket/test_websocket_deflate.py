"""permessage-deflate (RFC 7692): what is agreed on, and what then arrives."""

from __future__ import annotations

import subprocess
import sys
import zlib
from typing import Any

import pytest
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.sync.client import connect

from socketify import CompressOptions, OpCode, WebSocket

SHARED = CompressOptions.SHARED_COMPRESSOR | CompressOptions.SHARED_DECOMPRESSOR
DEDICATED = CompressOptions.DEDICATED_COMPRESSOR | CompressOptions.DEDICATED_DECOMPRESSOR
SMALL = CompressOptions.DEDICATED_COMPRESSOR_4KB | CompressOptions.DEDICATED_DECOMPRESSOR_1KB
MESSAGES = ["", "a", "hello " * 1000, "ß✓" * 5000, "hello " * 1000, b"\x00" * 200_000, bytes(range(256)) * 300]


def build(compression: int, **behavior: Any) -> Any:
    def on_message(ws: WebSocket, message: Any, opcode: OpCode) -> None:
        ws.send(message, opcode, compress=True)

    return lambda app: app.ws("/", {"message": on_message, "compression": compression, **behavior})


@pytest.mark.parametrize("compression", [SHARED, DEDICATED, SMALL, *filter(None, CompressOptions)])
def test_messages_come_back(serve: Any, compression: int) -> None:
    server = serve(build(compression))
    with connect(f"{server.ws_url}/") as client:
        assert client.protocol.extensions
        for message in MESSAGES:
            client.send(message)
            assert client.recv(timeout=10) == message
        client.send(["in ", "three ", "fragments"])
        assert client.recv(timeout=10) == "in three fragments"


@pytest.mark.parametrize("compression", [SHARED, DEDICATED, SMALL])
@pytest.mark.parametrize(
    "offer",
    [
        {"server_no_context_takeover": True},
        {"client_no_context_takeover": True},
        {"server_max_window_bits": 9, "client_max_window_bits": 10},
        {"server_no_context_takeover": True, "server_max_window_bits": 12, "client_max_window_bits": 12},
        {"server_max_window_bits": 15, "client_max_window_bits": True},
    ],
)
def test_what_the_client_demands_is_kept(serve: Any, compression: int, offer: dict[str, Any]) -> None:
    server = serve(build(compression))
    extensions = [ClientPerMessageDeflateFactory(**offer)]
    with connect(f"{server.ws_url}/", compression=None, extensions=extensions) as client:
        assert client.protocol.extensions
        for message in MESSAGES:
            client.send(message)
            assert client.recv(timeout=10) == message


HANDSHAKE = (
    "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: {}\r\n{}\r\n"
)
SAFARI = "User-Agent: Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.1 Safari/605.1.15\r\n"


def answer(server: Any, offers: str, more: str = "") -> str:
    with server.connect() as connection:
        connection.sendall(HANDSHAKE.format(offers, more).encode())
        lines = connection.recv(4096).decode().split("\r\n")
    assert lines[0].startswith("HTTP/1.1 101 ")
    return "".join(line.partition(": ")[2] for line in lines if line.lower().startswith("sec-websocket-extensions"))


@pytest.mark.parametrize(
    ("offers", "expected"),
    [
        ("permessage-deflate", "permessage-deflate"),
        ("foo, permessage-deflate; client_max_window_bits", "permessage-deflate"),
        ("permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover"),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", "permessage-deflate"),
        ('permessage-deflate; server_max_window_bits="10"', "permessage-deflate; server_max_window_bits=10"),
        ("permessage-deflate; server_max_window_bits=16", ""),
        ("permessage-deflate; server_max_window_bits", ""),
        ("permessage-deflate; client_max_window_bits=08", ""),
        ("permessage-deflate; unknown", ""),
        ("permessage-deflate; client_no_context_takeover=1", ""),
        ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", ""),
        ("x-webkit-deflate-frame", ""),
        (";;,,==", ""),
    ],
)
def test_negotiation(serve: Any, offers: str, expected: str) -> None:
    assert answer(serve(build(DEDICATED)), offers) == expected


def test_safari_15_is_not_compressed(serve: Any) -> None:
    server = serve(build(DEDICATED))
    assert answer(server, "permessage-deflate", SAFARI) == ""
    assert answer(server, "permessage-deflate", SAFARI.replace("15.1", "16.1")) == "permessage-deflate"


def compressed_frame(payload: bytes) -> bytes:
    length = bytes([0x80 | 126]) + len(payload).to_bytes(2, "big")
    return b"\xc2" + length + b"\0\0\0\0" + payload


def raw_deflated(data: bytes) -> bytes:
    """As a message is: without a header, and without the four bytes that end it."""
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


@pytest.mark.parametrize(("payload", "code"), [(b"\xff" * 200, 1007), (raw_deflated(bytes(1_000_000)), 1009)])
@pytest.mark.parametrize("limit", [1000, 100_000])
@pytest.mark.parametrize("compression", [SHARED, DEDICATED])
def test_bombs_and_garbage_have_their_codes(serve: Any, payload: bytes, code: int, limit: int, compression: int) -> None:
    server = serve(build(compression, max_payload_length=max(limit, len(payload))))
    with server.connect() as connection:
        connection.sendall(HANDSHAKE.format("permessage-deflate", "").encode())
        connection.recv(4096)
        connection.sendall(compressed_frame(payload))
        frame = connection.recv(4096)
    assert frame[0] == 0x88
    assert int.from_bytes(frame[2:4], "big") == code


def test_without_zlib_nothing_is_negotiated_and_the_log_says_so_once() -> None:
    program = """
import logging, socketify.websocket.compression as compression
from socketify import App, CompressOptions
class Without:
    def __getattr__(self, name):
        return (lambda path: 0) if name == "sk_zlib_load" else getattr(native, name)
native = compression.lib
compression.lib = Without()
logging.basicConfig(format="%(message)s")
app = App()
for path in ("/a", "/b"):
    app.ws(path, {"compression": CompressOptions.SHARED_COMPRESSOR})
app.close()
"""
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stderr
    assert output.count("zlib was not found") == 1
