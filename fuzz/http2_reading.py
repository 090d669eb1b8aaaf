"""A client that sends a plan and keeps to the windows, and what it got."""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass, field
from typing import Any, Callable

from hpack import Decoder
from http2_frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    Frame,
    frame,
    settings,
    window_update,
)
from http2_machine import PREFACE
from http2_plans import Plan, Step

#: Fields that servers add as they like.
OWN = {"date", "server", "content-length"}
USUAL_WINDOW = 65_535
SECONDS = 20
LAST_PING = b"the last"


@dataclass
class Answer:
    blocks: list[list[tuple[str, str]]] = field(default_factory=list)
    body: bytes = b""
    ended: bool = False
    #: The code of RST_STREAM.
    reset: int = -1
    #: The client has reset it: whatever came before that is as it may be.
    left: bool = False

    @property
    def over(self) -> bool:
        return self.ended or self.reset >= 0 or self.left


NOBODY = Answer()


class Reading:
    """One connection from its begin to its end; nothing may take longer than these seconds."""

    def __init__(self, port: int, plan: Plan, seconds: float = SECONDS) -> None:
        self.plan = plan
        self._seconds = seconds
        self.answers = {stream: Answer() for stream in plan.streams}
        self.pongs: list[bytes] = []
        self.acknowledged = 0
        self.goaway: tuple[int, int] | None = None
        self._decoder = Decoder()
        self._buffer = bytearray()
        self._block: tuple[Frame, bytes] | None = None
        # What the server may send.
        self._initial_credit = plan.window
        self._credits = {0: USUAL_WINDOW, **dict.fromkeys(plan.streams, plan.window)}
        self._max_frame_size = dict(plan.settings).get(5, 16_384)
        # What may be sent to it.
        self._windows = dict.fromkeys([0, *plan.streams], USUAL_WINDOW)
        self._initial = USUAL_WINDOW
        self._decoder.max_allowed_table_size = max(dict(plan.settings).get(1, 0), 4096)
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(self._seconds)

    def run(self) -> Reading:
        with self._socket:
            self._send(PREFACE + settings(*self.plan.settings))
            for step in self.plan.steps:
                self._take(step)
            self._until(lambda: all(answer.over for answer in self.answers.values()))
            self._send(frame(PING, 0, 0, LAST_PING))
            self._until(lambda: LAST_PING in self.pongs)
        return self

    def _take(self, step: Step) -> None:
        answer = self.answers.get(step.stream, NOBODY)
        if step.flow:
            # An answer that ended the stream before its request did frees the client from sending it.
            self._until(lambda: answer.over or min(self._windows[0], self._windows[step.stream]) >= step.flow)
        if answer.reset >= 0 and (step.flow or step.resets):
            return
        if step.flow:
            self._windows[0] -= step.flow
            self._windows[step.stream] -= step.flow
        if step.window >= 0:
            for stream in self.plan.streams:
                self._credits[stream] += step.window - self._initial_credit
            self._initial_credit = step.window
        self._send(step.data)
        if step.resets:
            answer.left = True

    def _send(self, data: bytes) -> None:
        size = self.plan.segment if len(data) < 3000 else 0
        for at in range(0, len(data), size or len(data) or 1):
            self._socket.sendall(data[at : at + (size or len(data))])
        # Whoever does not read would be paused.
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            self._read()
        self._socket.settimeout(self._seconds)

    def _until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self._seconds
        while not condition():
            assert time.monotonic() < deadline, f"nothing comes any more: {self}"
            self._open_windows()
            self._read()

    def _read(self) -> None:
        received = self._socket.recv(65536)
        assert received, f"the server closed the connection: {self}"
        self._socket.settimeout(self._seconds)
        self._buffer += received
        while len(self._buffer) >= 9:
            length = int.from_bytes(self._buffer[:3], "big")
            if len(self._buffer) < 9 + length:
                return
            head, payload = self._buffer[3:9], bytes(self._buffer[9 : 9 + length])
            del self._buffer[: 9 + length]
            self._handle(Frame(head[0], head[1], int.from_bytes(head[2:], "big"), payload))

    def _handle(self, got: Frame) -> None:
        assert len(got.payload) <= self._max_frame_size
        assert self._block is None or (got.type == CONTINUATION and got.stream == self._block[0].stream)
        if got.type == DATA:
            self._data(got)
        elif got.type in (HEADERS, CONTINUATION):
            self._headers(got)
        elif got.type == RST_STREAM:
            self.answers[got.stream].reset = got.number
        elif got.type == SETTINGS:
            self._settings(got)
        elif got.type == PING and got.flags & ACK:
            self.pongs.append(got.payload)
        elif got.type == WINDOW_UPDATE and got.stream in self._windows:
            self._windows[got.stream] += got.number
        elif got.type == GOAWAY:
            self.goaway = (got.number, int.from_bytes(got.payload[4:8], "big"))

    def _settings(self, got: Frame) -> None:
        if got.flags & ACK:
            self.acknowledged += 1
            return
        for at in range(0, len(got.payload), 6):
            name, value = int.from_bytes(got.payload[at : at + 2], "big"), int.from_bytes(got.payload[at + 2 : at + 6], "big")
            if name == 4:
                for stream in self.plan.streams:
                    self._windows[stream] += value - self._initial
                self._initial = value
        self._socket.sendall(settings(ack=True))

    def _data(self, got: Frame) -> None:
        answer = self.answers[got.stream]
        assert answer.blocks or answer.left, f"content before the head: {self}"
        padding = got.payload[0] + 1 if got.flags & PADDED else 0
        content = got.payload[1 : len(got.payload) - padding + 1] if padding else got.payload
        assert not answer.ended
        answer.body += content
        answer.ended = bool(got.flags & END_STREAM)
        for stream in (0, got.stream):
            self._credits[stream] -= len(got.payload)
            if not self.plan.opens and got.payload:
                self._open(stream, len(got.payload))

    def _open(self, stream: int, size: int) -> None:
        if stream == 0 or not self.answers[stream].over:
            self._credits[stream] += size
            self._socket.sendall(window_update(stream, size))

    def _open_windows(self) -> None:
        for stream, credit in self._credits.items():
            if credit <= 0:
                self._open(stream, (self.plan.opens or 20_000) - credit)

    def _headers(self, got: Frame) -> None:
        if got.type == HEADERS:
            payload = got.payload
            padding = payload[0] if got.flags & PADDED else 0
            payload = payload[1 if got.flags & PADDED else 0 :]
            payload = payload[5 if got.flags & WITH_PRIORITY else 0 : len(payload) - padding]
            self._block = (got, payload)
        else:
            assert self._block is not None
            self._block = (self._block[0], self._block[1] + got.payload)
        if not got.flags & END_HEADERS:
            return
        first, block = self._block
        self._block = None
        fields = self._decoder.decode(block, raw=True)
        answer = self.answers[first.stream]
        answer.blocks.append([(name.decode(), value.decode("latin-1")) for name, value in fields])
        answer.ended = bool(first.flags & END_STREAM)

    def outcome(self) -> Any:
        """What any server says of it."""
        streams = {}
        for stream, answer in self.answers.items():
            if answer.left:
                continue
            length = dict(answer.blocks[-1] if answer.blocks else []).get("content-length")
            assert length is None or not answer.ended or not answer.body or int(length) == len(answer.body), self
            blocks = [sorted(each for each in block if each[0] not in OWN) for block in answer.blocks]
            streams[stream] = (blocks, answer.body, answer.ended, answer.reset)
        return streams, self.pongs, self.acknowledged, self.goaway

    def __str__(self) -> str:
        states = {stream: (len(each.body), each.ended, each.reset, each.left) for stream, each in self.answers.items()}
        return f"{states}, windows {self._windows}, goaway {self.goaway}, of {self.plan.described}"
