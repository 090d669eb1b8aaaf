"""The state machine against Python's h2, hpack and hyperframe, which others wrote: whole conversations."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import h2.config
import h2.connection
import h2.events
import hpack
import pytest
from http2_frames import data, frame, frames, headers
from http2_machine import PREFACE, Event, Machine

# Connections that neither side opens with more than the usual window.
SMALL = {"stream_window": 5000, "connection_window": 65_535}


class Server:
    """Echoes uploads and sends as many bytes as a target says, as fast as windows allow."""

    def __init__(self, **limits: Any) -> None:
        self.machine = Machine(preface=False, **limits)
        self.requests: dict[int, Event] = {}
        self.bodies: dict[int, bytes] = {}
        self.pending: dict[int, bytes] = {}
        self.order: list[int] = []
        self.trailers: dict[int, list[tuple[bytes, bytes]]] = {}
        self.reads = True

    def receive(self, data: bytes) -> None:
        for event in self.machine.steps(data):
            assert event.kind not in ("failed", "refused"), event
            if event.kind == "request":
                self.requests[event.stream] = event
                self.bodies[event.stream] = b""
            elif event.kind == "data":
                self.bodies[event.stream] += event.data
                if self.reads:
                    self.machine.consumed(event.stream, len(event.data))
            elif event.kind == "trailers":
                self.trailers[event.stream] = event.fields
            elif event.kind == "reset":
                self.pending.pop(event.stream, None)
                self.machine.release(event.stream)
            if event.ends:
                self.answer(event.stream)
        self.pump()

    def answer(self, stream: int) -> None:
        request = self.requests[stream]
        body = self.bodies[stream] if request.method == b"POST" else b"x" * int(request.target[1:] or 0)
        fields = [(b"Content-Type", b"text/plain"), (b"content-length", str(len(body)).encode()), (b"X-Path", request.target)]
        assert self.machine.head(stream, 200, fields) == 0
        self.send(stream, body)

    def send(self, stream: int, body: bytes) -> None:
        taken = self.machine.data(stream, body, end=True)
        assert taken >= 0
        if taken:
            self.order.append(stream)
        if taken < len(body):
            self.pending[stream] = body[taken:]
        else:
            self.pending.pop(stream, None)
            assert self.machine.is_over(stream)
            self.machine.release(stream)

    def pump(self) -> None:
        while stream := self.machine.next():
            self.send(stream, self.pending[stream])


class Client:
    """h2, with what it got."""

    def __init__(self, server: Server, piece: int = 1 << 20) -> None:
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.server, self.piece = server, piece
        self.heads: dict[int, dict[str, str]] = {}
        self.bodies: dict[int, bytes] = {}
        self.ended: list[int] = []
        self.events: list[Any] = []
        self.takes = True

    def request(
        self, path: str = "/", body: bytes | None = None, fields: tuple[tuple[str, str], ...] = (), **options: Any
    ) -> int:
        stream = int(self.h2.get_next_available_stream_id())
        method = "GET" if body is None else "POST"
        head = [(":method", method), (":scheme", "https"), (":authority", "example.com"), (":path", path), *fields]
        self.h2.send_headers(stream, head, end_stream=body is None, **options)
        return stream

    def exchange(self) -> None:
        """Bytes go to and fro until nobody has anything to say."""
        while True:
            sent = self.h2.data_to_send()
            for at in range(0, len(sent), self.piece):
                self.server.receive(sent[at : at + self.piece])
            received = self.server.machine.take()
            self.server.pump()
            if not sent and not received:
                return
            for event in self.h2.receive_data(received):
                self.handle(event)

    def handle(self, event: Any) -> None:
        self.events.append(event)
        if isinstance(event, h2.events.ResponseReceived):
            self.heads[event.stream_id] = dict(event.headers)
            self.bodies[event.stream_id] = b""
        elif isinstance(event, h2.events.DataReceived):
            self.bodies[event.stream_id] += event.data
            if self.takes:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.ended.append(event.stream_id)
        else:
            assert not isinstance(event, (h2.events.ConnectionTerminated, h2.events.StreamReset)), event

    def upload(self, stream: int, body: bytes) -> None:
        waiting = body
        while waiting:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(waiting))
            if room:
                self.h2.send_data(stream, waiting[:room])
                waiting = waiting[room:]
            else:
                self.exchange()
                assert self.h2.local_flow_control_window(stream) > 0
        self.h2.end_stream(stream)


@pytest.mark.parametrize(("piece", "limits"), [(13, {}), (1000, SMALL), (1 << 20, {})])
def test_requests_and_uploads(piece: int, limits: dict[str, int]) -> None:
    server = Server(**limits)
    client = Client(server, piece)
    client.exchange()
    sizes = [0, 1, 10, 5000, 70_000, 200_000]
    streams = {client.request(f"/{size}"): size for size in sizes}
    bodies = {client.request("/", body := bytes([size % 251]) * size): body for size in (0, 1, 5001, 70_000)}
    for stream, body in bodies.items():
        client.upload(stream, body)
    client.exchange()
    assert sorted(client.ended) == [*streams, *bodies]
    for stream, size in streams.items():
        assert client.bodies[stream] == b"x" * size
        assert client.heads[stream] == {
            ":status": "200", "content-type": "text/plain", "content-length": str(size), "x-path": f"/{size}",
        }  # fmt: skip
    assert all(client.bodies[stream] == body for stream, body in bodies.items())
    request = server.requests[1]
    assert (request.method, request.target, request.scheme) == (b"GET", b"/0", b"https")
    assert request.fields == [(b"host", b"example.com")]
    assert request.lines == b"host: example.com\r\n"
    assert server.machine.streams == 0
    assert server.machine.window == limits.get("connection_window", 2 << 20)
    server.machine.close()


def test_fields_of_a_request_arrive_as_http_1_has_them() -> None:
    server = Server()
    client = Client(server)
    fields = (
        ("user-agent", "test"), ("cookie", "a=1"), ("accept", "*/*"), ("cookie", "b=2"), ("x", ""), ("cookie", "c=3"),
        ("content-length", "0"), ("priority", "u=1, i"), ("expect", "100-continue"),
    )  # fmt: skip
    for _ in range(3):
        stream = client.request("/p?q", b"", fields)
        client.h2.end_stream(stream)
        client.exchange()
        request = server.requests[stream]
        assert request.fields == [
            (b"host", b"example.com"), (b"user-agent", b"test"), (b"cookie", b"a=1; b=2; c=3"), (b"accept", b"*/*"),
            (b"x", b""), (b"content-length", b"0"), (b"priority", b"u=1, i"), (b"expect", b"100-continue"),
        ]  # fmt: skip
        assert request.lines == b"".join(b"%b: %b\r\n" % each for each in request.fields)
        assert (request.length, request.has_body, request.priority, request.expects_continue) == (0, False, (1, True), True)
        assert (request.method, request.target) == (b"POST", b"/p?q")
    server.machine.close()


def test_cookies_among_fields_that_mean_something() -> None:
    server = Server()
    client = Client(server)
    fields = (
        ("cookie", "a=1"), ("cookie", ""), ("content-length", "5, 5"), ("cookie", "b=2"), ("content-length", "5"), ("x", "y"),
        ("cookie", "c=3"),
    )  # fmt: skip
    stream = client.request("/", b"", fields)
    client.exchange()
    request = server.requests[stream]
    assert request.fields == [
        (b"host", b"example.com"), (b"cookie", b"a=1; ; b=2; c=3"), (b"content-length", b"5"), (b"x", b"y"),
    ]  # fmt: skip
    assert request.length == 5
    server.machine.close()


def test_interim_responses_and_trailers_both_ways() -> None:
    server = Server()
    client = Client(server)
    stream = client.request("/", b"", (("trailer", "x-sum"),))
    client.h2.send_data(stream, b"content")
    client.h2.send_headers(stream, [("x-sum", "1")], end_stream=True)
    server.answer = lambda stream: None  # type: ignore[method-assign]
    client.exchange()
    assert server.trailers == {stream: [(b"x-sum", b"1")]}
    assert server.bodies[stream] == b"content"
    machine = server.machine
    assert machine.head(stream, 103, [(b"link", b"</a>")]) == machine.head(stream, 103, []) == machine.head(stream, 200) == 0
    assert machine.data(stream, b"abc") == 3
    assert machine.trailers(stream, [(b"X-Sum", b"2"), (b"Connection", b"close")]) == 0
    assert machine.is_over(stream)
    client.exchange()
    kinds = [type(event).__name__ for event in client.events if getattr(event, "stream_id", None) == stream]
    assert kinds == [
        "InformationalResponseReceived", "InformationalResponseReceived", "ResponseReceived", "DataReceived",
        "TrailersReceived", "StreamEnded",
    ]  # fmt: skip
    assert next(e for e in client.events if isinstance(e, h2.events.TrailersReceived)).headers == [("x-sum", "2")]
    machine.close()


def test_content_length_is_checked_by_both() -> None:
    """What h2 believes of our frames: END_STREAM on the last frame, on the head, or on one of its own."""
    server = Server()
    server.answer = lambda stream: None  # type: ignore[method-assign]
    client = Client(server)
    streams = [client.request() for _ in range(4)]
    client.exchange()
    machine = server.machine
    machine.head(streams[0], 204, end=True)
    machine.head(streams[1], 200, [(b"content-length", b"3")])
    machine.data(streams[1], b"abc")
    machine.finish(streams[1])
    machine.head(streams[2], 200)
    machine.data(streams[2], b"abc")
    client.exchange()
    machine.finish(streams[2])
    machine.head(streams[3], 200)
    machine.finish(streams[3])
    sent = frames(machine.waiting)
    assert [(each.type, each.flags & 1, each.stream) for each in sent] == [(0, 1, streams[2]), (1, 1, streams[3])]
    client.exchange()
    assert sorted(client.ended) == streams
    assert all(machine.is_over(each) for each in streams)
    machine.close()


def test_a_head_of_many_frames() -> None:
    server = Server(max_header_list_bytes=200_000)
    client = Client(server)
    stream = client.request("/0", fields=tuple((f"x-{index}", chr(97 + index) * 4000) for index in range(20)))
    client.exchange()
    assert [len(value) for _, value in server.requests[stream].fields[1:]] == [4000] * 20
    stream = client.request()
    server.answer = lambda stream: None  # type: ignore[method-assign]
    client.exchange()
    fields = [(b"x-%d" % index, bytes([65 + index]) * 4000) for index in range(15)]
    server.machine.head(stream, 200, fields, end=True)
    client.exchange()
    assert client.heads[stream] == {":status": "200", **{name.decode(): value.decode() for name, value in fields}}
    server.machine.close()


@pytest.mark.parametrize("size", [0, 100, 4096, 20_000])
def test_tables_of_every_size(size: int) -> None:
    """The peer's table as it asks for it, and ours as we announce it."""
    server = Server(max_table_bytes=size)
    client = Client(server)
    client.exchange()
    assert client.h2.remote_settings.header_table_size == size
    for round_ in range(30):
        if round_ == 10:
            client.h2.update_settings({0x1: size})
        stream = client.request(
            f"/{round_ % 7}", fields=tuple((f"x-{index}", f"value {round_ % 3}") for index in range(round_))
        )
        client.exchange()
        assert len(client.bodies[stream]) == round_ % 7
        assert len(server.requests[stream].fields) == round_ + 1
    server.machine.close()


def test_random_blocks_of_hpack() -> None:
    """What hpack writes in all its ways, we read; what we write, it reads."""
    chance = random.Random(7541)
    machine = Machine(max_header_count=128, max_header_list_bytes=1 << 20)
    encoder, decoder = hpack.Encoder(), hpack.Decoder(max_header_list_size=1 << 20)
    names = ["accept", "user-agent", "x-a", "x-" + "b" * 60, "cache-control", "date", "x-long-" + "c" * 300]
    for index in range(300):
        stream = 2 * index + 1
        fields = []
        for _ in range(chance.randrange(20)):
            alphabet = chance.choice(["abcdefghij", "".join(map(chr, range(33, 127))), "".join(map(chr, range(128, 256)))])
            value = "".join(chance.choices(alphabet, k=chance.choice([0, 1, 5, 30, 300])))
            make = chance.choice([hpack.HeaderTuple, hpack.HeaderTuple, hpack.NeverIndexedHeaderTuple])
            fields.append(make(chance.choice(names).encode(), value.encode("latin-1")))
        if chance.randrange(20) == 0:
            encoder.header_table_size = chance.randrange(4097)
        head = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"a")]
        block = encoder.encode([*head, *fields], huffman=chance.random() < 0.7)
        pieces = [block[at : at + 16384] for at in range(0, len(block), 16384)]
        sent = b"".join(
            frame(9 if at else 1, (0 if at else 1) | (4 if piece is pieces[-1] else 0), stream, piece)
            for at, piece in enumerate(pieces)
        )
        (event,) = machine.receive(sent)
        assert event.fields[1:] == [tuple(each) for each in fields]
        back = [tuple(each) for each in fields] + [(b"set-cookie", b"a=b")]
        assert machine.head(stream, chance.randrange(200, 600), back, end=True) == 0
        machine.release(stream)
        block = b"".join(each.payload for each in frames(machine.take()) if each.type in (1, 9))
        assert [tuple(each) for each in decoder.decode(block, raw=True)][1:] == back
    machine.close()


def test_random_sequences() -> None:
    """Requests, uploads, resets, windows and pings in any order: nothing is lost, and every window comes back."""
    for seed in range(40):
        chance = random.Random(seed)
        limits = SMALL if seed % 2 else {}
        server = Server(**limits)
        client = Client(server, chance.choice([30, 1000, 1 << 20]))
        client.exchange()
        expected: dict[int, bytes] = {}
        reset: set[int] = set()
        for _ in range(25):
            action = chance.randrange(6)
            if action == 0:
                size = chance.choice([0, 1, 9000, 100_000])
                expected[client.request(f"/{size}", fields=(("priority", f"u={chance.randrange(8)}"),))] = b"x" * size
            elif action == 1:
                body = bytes([seed]) * chance.choice([0, 1, 9000, 100_000])
                stream = client.request("/", body)
                client.upload(stream, body)
                expected[stream] = body
            elif action == 2 and expected:
                stream = chance.choice(list(expected))
                if stream not in client.ended and stream not in reset:
                    client.h2.reset_stream(stream)
                    reset.add(stream)
            elif action == 3:
                client.h2.ping(bytes(8))
            elif action == 4:
                client.h2.update_settings({0x4: chance.choice([1000, 65_535, 200_000])})
            else:
                client.exchange()
        client.exchange()
        assert all(client.bodies[stream] == body for stream, body in expected.items() if stream not in reset)
        assert set(client.ended) >= set(expected) - reset
        assert server.machine.streams == 0
        assert server.machine.window == limits.get("connection_window", 2 << 20)
        server.machine.close()


def test_an_extended_connect_carries_bytes_both_ways() -> None:
    server = Server()
    client = Client(server)
    client.exchange()
    assert client.h2.remote_settings.enable_connect_protocol == 1
    stream = int(client.h2.get_next_available_stream_id())
    head = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":authority", "a"), (":path", "/chat")]
    client.h2.send_headers(stream, head)
    server.answer = lambda stream: None  # type: ignore[method-assign]
    client.exchange()
    request = server.requests[stream]
    assert (request.method, request.protocol, request.target, request.has_body) == (b"CONNECT", b"websocket", b"/chat", True)
    machine = server.machine
    machine.head(stream, 200)
    machine.data(stream, b"to the client")
    client.h2.send_data(stream, b"to the server")
    client.exchange()
    assert (client.bodies[stream], server.bodies[stream]) == (b"to the client", b"to the server")
    # Each side ends when it likes.
    machine.finish(stream)
    assert not machine.is_over(stream)
    client.h2.send_data(stream, b", still", end_stream=True)
    client.exchange()
    assert server.bodies[stream] == b"to the server, still"
    assert machine.is_over(stream)
    machine.close()


def test_a_response_that_overtakes_its_request_ends_both() -> None:
    server = Server()
    client = Client(server)
    stream = client.request("/", b"")
    client.h2.send_data(stream, b"x" * 1000)
    client.exchange()
    server.machine.head(stream, 413, end=True)
    events = client.h2.receive_data(server.machine.take())
    assert [type(each).__name__ for each in events] == ["ResponseReceived", "StreamEnded", "StreamReset"]
    assert events[-1].error_code == 0
    server.machine.release(stream)
    assert server.machine.window == 2 << 20
    server.machine.close()


def test_the_whole_conversation_is_the_same_in_every_fragmentation() -> None:
    client = h2.connection.H2Connection()
    client.initiate_connection()
    head = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/")]
    client.send_headers(1, [*head, ("x", "y" * 40)], priority_weight=3)
    client.send_data(1, b"abc", pad_length=5)
    client.ping(b"12345678")
    client.send_headers(3, head, end_stream=True)
    client.send_data(1, b"", pad_length=0)
    client.send_headers(1, [("t", "v")], end_stream=True)
    client.increment_flow_control_window(500)
    client.reset_stream(3)
    sent = client.data_to_send() + frame(0x77, 0, 0, b"unknown") + frame(5, 4, 1, bytes(4))
    assert sent.startswith(PREFACE)

    def told(pieces: list[bytes]) -> tuple[list[Event], bytes]:
        events: list[Event] = []
        with Machine(preface=False) as machine:
            for piece in pieces:
                for event in machine.receive(piece):
                    if events and event.kind == events[-1].kind == "data" and event.stream == events[-1].stream:
                        events[-1].data += event.data
                        events[-1].ends = event.ends
                    else:
                        events.append(event)
            return events, machine.take()

    whole = told([sent])
    assert [event.kind for event in whole[0]] == ["request", "data", "request", "trailers", "reset", "failed"]
    for split in range(1, len(sent)):
        assert told([sent[:split], sent[split:]]) == whole
    assert told([sent[at : at + 1] for at in range(len(sent))]) == whole


def test_a_body_that_is_here_can_be_looked_at() -> None:
    def begun(*sent: bytes) -> bytes | None:
        with Machine() as machine:
            steps = machine.steps(b"".join(sent))
            assert next(steps).kind == "request"
            here = machine.body_here(1)
            assert here is None or next(steps).data == here
            deque(steps, maxlen=0)
            return here

    length = headers(1, ("content-length", "5"), end=False)
    assert begun(headers(1, end=False), data(1, b"hello", end=True)) == b"hello"
    assert begun(length, data(1, b"hello", end=True), headers(3)) == b"hello"
    assert begun(headers(1, end=False), data(1, b"", end=True)) == b""
    assert begun(headers(1, end=False), data(1, b"hello")) is None
    assert begun(headers(1, end=False), data(1, b"hello", end=True)[:-1]) is None
    assert begun(headers(1, end=False), frame(0, 9, 1, b"\0hello")) is None
    assert begun(length, data(1, b"hell", end=True)) is None
    assert begun(headers(1, end=False)) is None
