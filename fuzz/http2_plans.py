"""Connections of HTTP/2 that are well-formed (RFC 9113), made from a seed: what a client sends, frame by frame."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from hpack import Encoder
from hpack.struct import HeaderTuple, NeverIndexedHeaderTuple
from http2_frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    PRIORITY_UPDATE,
    WITH_PRIORITY,
    frame,
    number,
    rst_stream,
    settings,
)

#: Of the client: what it lets the server send.
WINDOWS = (None, None, 0, 1, 100, 5000, 65_535, 1_000_000)
TABLES = (None, None, 0, 100, 4096, 65_536)
METHODS = ("GET", "GET", "HEAD", "POST", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE", "M-SEARCH")
PATHS = ("/facts", "/facts/a/b", "/f%20x", "/%C3%A9", "/a;b=1", "/a//b", "/a/../b", "/%2e/x", "/a:b@c", "/~!$&'()*+,")
QUERIES = ("", "", "?", "?a=1", "?a=1&b=%20", "?a=/?:@", "?%C3%A9")
FIELDS = (
    ("accept", "*/*"), ("accept-encoding", "gzip, deflate"), ("user-agent", "a/1.0 (b; c)"), ("x-empty", ""),
    ("x-latin", "caf\xe9"), ("x-quoted", '"a, b"; c=d'), ("x-inner", "a \t b"), ("x_under", "1"), ("te", "trailers"),
    ("priority", "u=1, i"), ("cookie", "a=1"), ("cookie", "b=2; c=3"), ("cache-control", "no-cache"), ("x-long", "y" * 700),
    ("authorization", "Basic YTpi"), ("x!#$%&'*+.^_`|~", "token"), ("if-none-match", 'W/"1"'), ("x-repeated", "1"),
    ("x-repeated", "2"),
)  # fmt: skip
SIZES = (0, 1, 2, 100, 1000, 16_384, 20_000, 70_000)


@dataclass
class Step:
    """What is sent at once; DATA waits until the windows of the server have room for it."""

    data: bytes
    stream: int = 0
    #: What it takes of the windows.
    flow: int = 0
    #: A reset, after which nothing is expected of the stream.
    resets: bool = False
    #: What the windows of streams begin with from now on.
    window: int = -1


@dataclass
class Plan:
    settings: list[tuple[int, int]]
    steps: list[Step] = field(default_factory=list)
    streams: list[int] = field(default_factory=list)
    #: What the server may send: its windows open by so much when they are used up, or at once.
    window: int = 65_535
    opens: int = 0
    #: Bytes of each segment on the way; 0: as they come.
    segment: int = 0
    described: list[Any] = field(default_factory=list)


class Maker:
    """Makes one plan."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.encoder = Encoder()
        window, table = self.random.choice(WINDOWS), self.random.choice(TABLES)
        pairs = [(2, 0), *([] if window is None else [(4, window)]), *([] if table is None else [(1, table)])]
        if self.random.random() < 0.2:
            pairs += [(5, 16_384 + self.random.randrange(1000)), (0x1A2A, self.random.randrange(2**32))]
        self.random.shuffle(pairs)
        self.plan = Plan(
            pairs, opens=self.random.choice((0, 0, 5000, 30_000)), segment=self.random.choice((0, 0, 0, 1, 7, 100))
        )
        if window is not None:
            self.plan.window = window
            if window < 5000:
                # Byte by byte, large bodies would take minutes.
                self.plan.opens = 5000

    def make(self) -> Plan:
        """Requests whose frames are shuffled, in the order of each stream; streams begin in theirs."""
        count = self.random.choice((1, 1, 2, 3, 5, 8))
        unopened: list[list[Any]] = []
        stream = -1
        for _ in range(count):
            # Identifiers may be left out.
            stream += self.random.choice((2, 2, 6))
            unopened.append(self._request(stream))
        opened: list[list[Any]] = []
        while unopened or opened:
            if unopened and (not opened or self.random.random() < 0.5):
                opened.append(unopened.pop(0))
                steps = opened[-1]
            else:
                steps = self.random.choice(opened)
            step = steps.pop(0)
            # Blocks are made when they are sent: the tables of both sides change with each.
            self.plan.steps.append(step() if callable(step) else step)
            opened = [each for each in opened if each]
            if self.random.random() < 0.15:
                self.plan.steps.append(self._between())
        return self.plan

    def _request(self, stream: int) -> list[Any]:
        choose = self.random.choice
        method = choose(METHODS)
        path = choose(PATHS) + choose(QUERIES)
        sent = [choose(SIZES) for _ in range(choose((0, 1, 1, 2, 4)))] if method not in ("GET", "HEAD") else []
        kind = self.random.random()
        if kind < 0.25:
            path = choose(("/echo", "/stream")) + choose(QUERIES)
        elif kind < 0.45:
            path = f"/sized/{choose(SIZES)}/{choose((1, 1, 2, 5))}"
        elif kind < 0.5:
            path = f"/empty/{choose((200, 204, 304, 404, 500))}"
        pseudo = [(":method", method), (":scheme", "http"), (":authority", choose(("localhost", "a.example:8080", "[::1]")))]
        pseudo.append((":path", path))
        self.random.shuffle(pseudo)
        fields = self.random.sample(FIELDS, choose((0, 1, 3, 8)))
        trailers = (
            self.random.sample((("x-sum", "1"), ("x-more", "z" * 50)), choose((1, 2))) if sent and choose((0, 0, 1)) else []
        )
        if choose((0, 0, 1)) and method not in ("GET", "HEAD"):
            fields.append(("content-length", str(sum(sent))))
        ends = not sent and not trailers
        self.plan.streams.append(stream)
        self.plan.described.append((stream, pseudo, fields, sent, trailers))
        steps: list[Any] = [lambda: self._block(stream, [*pseudo, *fields], ends)]
        for index, size in enumerate(sent):
            last = index == len(sent) - 1 and not trailers
            steps += self._content(stream, bytes([65 + index]) * size, last)
        if trailers:
            steps.append(lambda: self._block(stream, trailers, True))
        if self.random.random() < 0.06:
            # What was sent, and then it changes its mind.
            steps = [*steps[: 1 + self.random.randrange(len(steps))], Step(rst_stream(stream), stream, resets=True)]
        return steps

    def _content(self, stream: int, content: bytes, last: bool) -> list[Step]:
        steps = []
        while True:
            size = min(len(content), self.random.choice((100, 5000, 16_000)) if len(content) > 16_000 else len(content))
            piece, content = content[:size], content[size:]
            # An END_STREAM may come in a frame of its own.
            alone = last and not content and piece and self.random.random() < 0.3
            steps.append(self._data(stream, piece, last and not content and not alone))
            if alone:
                steps.append(self._data(stream, b"", True))
            if not content:
                return steps

    def _data(self, stream: int, piece: bytes, ends: bool) -> Step:
        padding = self.random.choice((None, None, None, 0, 1, 200))
        payload = piece if padding is None else bytes([padding]) + piece + bytes(padding)
        flags = (END_STREAM if ends else 0) | (0 if padding is None else PADDED)
        return Step(frame(DATA, flags, stream, payload), stream, len(payload))

    def _block(self, stream: int, fields: list[tuple[str, str]], ends: bool) -> Step:
        if self.random.random() < 0.05:
            self.encoder.header_table_size = self.random.choice((0, 50, 4096))
        tuples = [
            (NeverIndexedHeaderTuple if self.random.random() < 0.1 else HeaderTuple)(name, value.encode("latin-1"))
            for name, value in fields
        ]
        block = self.encoder.encode(tuples, huffman=self.random.random() < 0.7)
        pieces = []
        while len(block) > 1 and self.random.random() < 0.2:
            size = self.random.randrange(len(block))
            pieces.append(block[:size])
            block = block[size:]
        first, *others = [*pieces, block]
        flags, prefix, padding = END_STREAM if ends else 0, b"", b""
        if self.random.random() < 0.1:
            padding = bytes(self.random.randrange(256))
            flags, prefix = flags | PADDED, bytes([len(padding)])
        if self.random.random() < 0.1:
            # The scheme of RFC 7540, which nobody follows any more. It must not depend on itself.
            flags, prefix = flags | WITH_PRIORITY, prefix + number(0) + bytes([self.random.randrange(256)])
        data = frame(HEADERS, flags | (0 if others else END_HEADERS), stream, prefix + first + padding)
        for index, piece in enumerate(others):
            data += frame(CONTINUATION, END_HEADERS if index == len(others) - 1 else 0, stream, piece)
        return Step(data, stream)

    def _between(self) -> Step:
        stream = self.random.choice(self.plan.streams)
        window = self.random.choice((1000, 65_535, 100_000))
        if self.random.random() < 0.2:
            return Step(settings((4, window)), window=window)
        kinds = (
            frame(PING, 0, 0, self.random.randbytes(8)),
            frame(PRIORITY, 0, stream, number(0) + b"\x10"),
            frame(PRIORITY_UPDATE, 0, 0, number(stream) + b"u=%d" % self.random.randrange(8)),
            frame(0x42, 0xFF, self.random.choice((0, stream)), self.random.randbytes(20)),
            settings(),
            settings((1, self.random.choice((0, 200, 4096)))),
            settings((0x3A3A, 7)),
        )
        return Step(self.random.choice(kinds))
