"""Raw frames: whatever a client sends, the server ends it with the close code that RFC 6455 asks for, and lives on."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional

import pytest
from app_servers import Server
from hypothesis import example, given
from hypothesis import strategies as st

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
PAYLOAD_MAX = 1000
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
PROTOCOL_ERROR, NO_STATUS, INVALID_DATA, TOO_BIG = 1002, 1005, 1007, 1009


@dataclass(frozen=True)
class Frame:
    opcode: int
    payload: bytes
    fin: bool = True
    reserved: int = 0
    masked: bool = True
    length_bytes: int = 0
    mask: bytes = b"\x01\x02\x03\x04"

    def encode(self) -> bytes:
        first = (128 if self.fin else 0) | self.reserved << 4 | self.opcode
        length = len(self.payload)
        shortest = 0 if length < 126 else 2 if length < 65536 else 8
        width = max(self.length_bytes, shortest)
        head = bytes([first, (128 if self.masked else 0) | {0: length, 2: 126, 8: 127}[width]])
        head += length.to_bytes(width, "big") if width else b""
        if not self.masked:
            return head + self.payload
        return head + self.mask + bytes(byte ^ self.mask[i % 4] for i, byte in enumerate(self.payload))


class Model:
    """What the close code must be, read from the RFC: section numbers are its."""

    def __init__(self) -> None:
        self.opcode: Optional[int] = None
        self.message = b""

    def codes(self, frame: Frame) -> set[int]:
        """Give the codes that may follow this frame; none while everything is well."""
        if frame.reserved or frame.opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG) or not frame.masked:
            return {PROTOCOL_ERROR}  # 5.1, 5.2
        length = len(frame.payload)
        if frame.opcode >= CLOSE:
            if not frame.fin or length > 125 or frame.length_bytes:
                return {PROTOCOL_ERROR}  # 5.5
            return self._close(frame.payload) if frame.opcode == CLOSE else set()
        if (frame.opcode == CONTINUATION) != (self.opcode is not None):
            return {PROTOCOL_ERROR}  # 5.4
        if (frame.length_bytes == 2 and length < 126) or (frame.length_bytes == 8 and length < 65536):
            return {PROTOCOL_ERROR}  # 5.2
        if length > PAYLOAD_MAX:
            return {TOO_BIG}
        return self._data(frame)

    def _data(self, frame: Frame) -> set[int]:
        if frame.opcode != CONTINUATION:
            self.opcode, self.message = frame.opcode, b""
        self.message += frame.payload
        codes = {TOO_BIG} if len(self.message) > PAYLOAD_MAX else set()
        if self.opcode == TEXT and not valid_text(self.message, frame.fin):
            # 8.1; a message may be too big before its text is wrong.
            codes.add(INVALID_DATA)
        if frame.fin:
            self.opcode = None
        return codes

    def _close(self, payload: bytes) -> set[int]:
        if not payload:
            return {NO_STATUS}
        code = int.from_bytes(payload[:2], "big") if len(payload) > 1 else 0
        if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
            return {PROTOCOL_ERROR}  # 7.4
        return {code} if valid_text(payload[2:], True) else {INVALID_DATA}


def valid_text(data: bytes, complete: bool) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return not complete and error.reason == "unexpected end of data"
    return True


payloads = st.one_of(
    st.binary(max_size=140),
    st.text(max_size=60).map(str.encode),
    st.text(alphabet="a✓🎉", max_size=40).map(str.encode).flatmap(lambda text: st.integers(0, 4).map(lambda n: text[n:])),
    st.integers(900, 1100).map(lambda length: b"a" * length),
    st.sampled_from([b"", b"\x03\xe8", b"\x03\xe8bye", b"\x03\xed", b"\x13\x87", b"\x03", b"\x03\xe8\xff", b"x" * 70000]),
)
frames = st.builds(
    Frame,
    opcode=st.sampled_from([CONTINUATION, TEXT, BINARY, PING, PONG] * 4 + [CLOSE, 3, 7, 11, 15]),
    payload=payloads,
    fin=st.booleans(),
    reserved=st.sampled_from([0] * 20 + [1, 2, 4, 7]),
    masked=st.sampled_from([True] * 20 + [False]),
    length_bytes=st.sampled_from([0] * 10 + [2, 8]),
    mask=st.binary(min_size=4, max_size=4),
)
fragmented = st.lists(payloads, min_size=2, max_size=4).flatmap(
    lambda parts: st.sampled_from([TEXT, BINARY]).map(
        lambda opcode: [
            Frame(CONTINUATION if index else opcode, part, fin=index == len(parts) - 1) for index, part in enumerate(parts)
        ]
    )
)
conversations = st.lists(st.one_of(frames.map(lambda frame: [frame]), fragmented), max_size=6).map(
    lambda groups: [frame for group in groups for frame in group]
)


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    closed: dict[str, int] = {}
    behavior = {
        "max_payload_length": PAYLOAD_MAX,
        "message": lambda ws, message, opcode: ws.send(message, opcode),
        "close": lambda ws, code, message: closed.__setitem__("code", code),
    }
    started = Server(lambda app: app.ws("/", behavior))
    started.closed = closed
    yield started
    started.stop()


def received_code(data: bytes) -> Optional[int]:
    """Walk the server's frames, which must be well-formed, up to its close frame."""
    while data:
        assert not data[0] & 0x70
        assert not data[1] & 0x80
        length, header = data[1] & 127, 2
        if length >= 126:
            width = 2 if length == 126 else 8
            length, header = int.from_bytes(data[2 : 2 + width], "big"), 2 + width
        payload = data[header : header + length]
        assert len(payload) == length
        if data[0] & 15 == CLOSE:
            assert len(data) == header + length, "nothing follows a close frame"
            return int.from_bytes(payload[:2], "big") if payload else NO_STATUS
        data = data[header + length :]
    return None


def converse(server: Any, data: bytes, cuts: list[int]) -> Optional[int]:
    with server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(HANDSHAKE)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(4096)
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            edges = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
            for start, end in zip(edges, edges[1:]):
                connection.sendall(data[start:end])
            connection.shutdown(socket.SHUT_WR)
        parts = [answer.partition(b"\r\n\r\n")[2]]
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65536):
                parts.append(part)
    return received_code(b"".join(parts))


@given(conversation=conversations, cuts=st.lists(st.integers(0, 400), max_size=4), truncate=st.booleans())
@example(
    conversation=[Frame(TEXT, b"\xf0\x9f", fin=False), Frame(PING, b"x"), Frame(CONTINUATION, b"\x8e\x89")],
    cuts=[3],
    truncate=False,
)
def test_every_conversation_ends_with_the_right_code(
    server: Any, conversation: list[Frame], cuts: list[int], truncate: bool
) -> None:
    model = Model()
    expected: set[int] = set()
    sent = []
    for frame in conversation:
        sent.append(frame)
        expected = model.codes(frame)
        if expected:
            break
    data = b"".join(frame.encode() for frame in sent)
    if not expected and truncate:
        # The connection breaks inside a frame: there is nothing to answer.
        data += Frame(PING, b"never complete").encode()[:-3]
        assert converse(server, data, cuts) is None
    else:
        if not expected:
            data += Frame(CLOSE, b"\x03\xe8").encode()
            expected = {1000}
        assert converse(server, data, cuts) in expected


@given(data=st.binary(max_size=600), cuts=st.lists(st.integers(0, 600), max_size=4))
def test_noise_is_answered_with_a_protocol_error_or_nothing(server: Any, data: bytes, cuts: list[int]) -> None:
    assert converse(server, data, cuts) in {None, PROTOCOL_ERROR, INVALID_DATA, TOO_BIG, NO_STATUS} | set(range(1000, 5000))
    assert converse(server, Frame(CLOSE, b"\x03\xe8").encode(), []) == 1000
