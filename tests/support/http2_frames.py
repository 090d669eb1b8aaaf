"""Frames made by hand, right or wrong, and read again (RFC 9113 section 4.1)."""

from __future__ import annotations

from typing import NamedTuple

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
PRIORITY_UPDATE = 0x10
ACK = END_STREAM = 0x1
END_HEADERS, PADDED, WITH_PRIORITY = 0x4, 0x8, 0x20
(
    NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR,
    REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM,
) = range(12)  # fmt: skip


class Frame(NamedTuple):
    type: int
    flags: int
    stream: int
    payload: bytes

    @property
    def number(self) -> int:
        """The error code of RST_STREAM, the increment of WINDOW_UPDATE."""
        return int.from_bytes(self.payload[:4], "big")


def frame(type_: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([type_, flags]) + stream.to_bytes(4, "big") + payload


def number(value: int) -> bytes:
    return value.to_bytes(4, "big")


def frames(data: bytes) -> list[Frame]:
    """Every frame of bytes that hold only whole ones."""
    found = []
    while data:
        length = int.from_bytes(data[:3], "big")
        assert len(data) >= 9 + length
        found.append(Frame(data[3], data[4], int.from_bytes(data[5:9], "big"), data[9 : 9 + length]))
        data = data[9 + length :]
    return found


def settings(*pairs: tuple[int, int], ack: bool = False) -> bytes:
    payload = b"".join(name.to_bytes(2, "big") + value.to_bytes(4, "big") for name, value in pairs)
    return frame(SETTINGS, ACK if ack else 0, 0, payload)


def block(*fields: tuple[str, str]) -> bytes:
    """A field block of literals, that changes no table (RFC 7541 section 6.2.2)."""
    return b"".join(b"\0" + text(name) + text(value) for name, value in fields)


def text(of: str) -> bytes:
    """A string literal that is not coded (RFC 7541 section 5.2)."""
    content = of.encode("latin-1")
    if len(content) < 127:
        return bytes([len(content)]) + content
    left, octets = len(content) - 127, [127]
    while left > 127:
        octets.append(left & 127 | 128)
        left >>= 7
    return bytes([*octets, left]) + content


REQUEST = ((":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/"))
POST = ((":method", "POST"), *REQUEST[1:])


def headers(stream: int, *fields: tuple[str, str], end: bool = True, flags: int = END_HEADERS) -> bytes:
    """The usual request with more fields, in one frame."""
    return frame(HEADERS, flags | (END_STREAM if end else 0), stream, block(*(REQUEST if end else POST), *fields))


def data(stream: int, content: bytes = b"", end: bool = False) -> bytes:
    return frame(DATA, END_STREAM if end else 0, stream, content)


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, number(increment))


def rst_stream(stream: int, code: int = CANCEL) -> bytes:
    return frame(RST_STREAM, 0, stream, number(code))
