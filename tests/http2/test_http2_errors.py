"""Every rule of RFC 9113 whose breach MUST be an error: what is sent, which error it is, and of what."""

from __future__ import annotations

import pytest
from http2_frames import (
    ACK,
    COMPRESSION_ERROR,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    POST,
    PRIORITY,
    PRIORITY_UPDATE,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    REFUSED_STREAM,
    REQUEST,
    RST_STREAM,
    SETTINGS,
    STREAM_CLOSED,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    Frame,
    block,
    data,
    frame,
    frames,
    headers,
    number,
    rst_stream,
    settings,
    window_update,
)
from http2_machine import PREFACE, Machine

BODY = headers(1, end=False)
UPLOAD = headers(1, ("content-length", "5"), end=False)
MAX = 2**31 - 1


def request(*fields: tuple[str, str], end: bool = True) -> bytes:
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), 1, block(*fields))


# What ends the connection: the section of RFC 9113, what is sent after the preface, the error.
CONNECTION = {
    "4.2: DATA larger than SETTINGS_MAX_FRAME_SIZE, stream 0": (frame(DATA, 0, 0, bytes(16385)), FRAME_SIZE_ERROR),
    "4.2: HEADERS too large": (frame(HEADERS, END_HEADERS, 1, bytes(16385)), FRAME_SIZE_ERROR),
    "4.2: SETTINGS too large": (frame(SETTINGS, 0, 0, bytes(16386)), FRAME_SIZE_ERROR),
    "4.2: an unknown type too large": (frame(0x55, 0, 0, bytes(16385)), FRAME_SIZE_ERROR),
    "4.2: HEADERS too small for its padding": (frame(HEADERS, END_HEADERS | PADDED, 1), FRAME_SIZE_ERROR),
    "4.2: HEADERS too small for its priority": (frame(HEADERS, END_HEADERS | WITH_PRIORITY, 1, bytes(4)), FRAME_SIZE_ERROR),
    "4.2: DATA too small for its padding": (BODY + frame(DATA, PADDED, 1), FRAME_SIZE_ERROR),
    "4.3: a block that cannot be decoded": (frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x80"), COMPRESSION_ERROR),
    "4.3: trailers that cannot be decoded": (BODY + frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\xff"), COMPRESSION_ERROR),
    "4.3: a block cut in a literal": (frame(HEADERS, END_HEADERS, 1, block(*REQUEST) + b"\x40\x05ab"), COMPRESSION_ERROR),
    "4.3: a table larger than announced": (frame(HEADERS, END_HEADERS, 1, b"\x3f\xe2\x1f"), COMPRESSION_ERROR),
    "4.3: another frame within a block": (frame(HEADERS, 0, 1, b"\x82") + frame(PING, 0, 0, bytes(8)), PROTOCOL_ERROR),
    "4.3: DATA of the stream within a block": (frame(HEADERS, 0, 1, b"\x82") + data(1), PROTOCOL_ERROR),
    "4.3: an unknown type within a block": (frame(HEADERS, 0, 1, b"\x82") + frame(0x55, 0, 1), PROTOCOL_ERROR),
    "4.3: a block of another stream within a block": (frame(HEADERS, 0, 1, b"\x82") + headers(3), PROTOCOL_ERROR),
    "4.3: CONTINUATION of another stream": (
        frame(HEADERS, 0, 1, b"\x82") + frame(CONTINUATION, END_HEADERS, 3),
        PROTOCOL_ERROR,
    ),
    "5.1: DATA on an idle stream": (data(1, b"x"), PROTOCOL_ERROR),
    "5.1: WINDOW_UPDATE on an idle stream": (window_update(1, 1), PROTOCOL_ERROR),
    "5.1: RST_STREAM on an idle stream": (rst_stream(1), PROTOCOL_ERROR),
    "5.1: DATA after END_STREAM and the response": ("respond", headers(1), data(1, b"x"), STREAM_CLOSED),
    "5.1: HEADERS after END_STREAM and the response": ("respond", headers(1), headers(1), STREAM_CLOSED),
    "5.1: DATA after the peer's own RST_STREAM": (BODY + rst_stream(1) + data(1, b"x"), STREAM_CLOSED),
    "5.1: HEADERS after the peer's own RST_STREAM": (BODY + rst_stream(1) + headers(1), STREAM_CLOSED),
    "5.1.1: an even stream": (headers(2), PROTOCOL_ERROR),
    "5.1.1: a stream below one that was opened": (headers(5) + headers(3), PROTOCOL_ERROR),
    "5.1.1: DATA on a stream that was skipped": (headers(5) + data(3, b"x"), PROTOCOL_ERROR),
    "5.1.1: DATA on an even stream": (data(2, b"x"), PROTOCOL_ERROR),
    "6.1: DATA on stream 0": (data(0, b"x"), PROTOCOL_ERROR),
    "6.1: as much padding as payload": (BODY + frame(DATA, PADDED, 1, b"\x04abc"), PROTOCOL_ERROR),
    "6.2: HEADERS on stream 0": (headers(0), PROTOCOL_ERROR),
    "6.2: as much padding as payload": (frame(HEADERS, END_HEADERS | PADDED, 1, b"\x02\x82"), PROTOCOL_ERROR),
    "6.2: padding and priority": (frame(HEADERS, END_HEADERS | PADDED | WITH_PRIORITY, 1, b"\x01" + bytes(5)), PROTOCOL_ERROR),
    "6.3: PRIORITY on stream 0": (frame(PRIORITY, 0, 0, bytes(5)), PROTOCOL_ERROR),
    "6.4: RST_STREAM on stream 0": (rst_stream(0), PROTOCOL_ERROR),
    "6.4: RST_STREAM of 3 bytes": (BODY + frame(RST_STREAM, 0, 1, bytes(3)), FRAME_SIZE_ERROR),
    "6.4: RST_STREAM of 5 bytes": (BODY + frame(RST_STREAM, 0, 1, bytes(5)), FRAME_SIZE_ERROR),
    "6.5: SETTINGS on a stream": (frame(SETTINGS, 0, 1), PROTOCOL_ERROR),
    "6.5: an acknowledgement with a payload": (frame(SETTINGS, ACK, 0, bytes(6)), FRAME_SIZE_ERROR),
    "6.5: SETTINGS of 5 bytes": (frame(SETTINGS, 0, 0, bytes(5)), FRAME_SIZE_ERROR),
    "6.5.2: ENABLE_PUSH of 2": (settings((2, 2)), PROTOCOL_ERROR),
    "6.5.2: INITIAL_WINDOW_SIZE of 2^31": (settings((4, 2**31)), FLOW_CONTROL_ERROR),
    "6.5.2: MAX_FRAME_SIZE of 16383": (settings((5, 16383)), PROTOCOL_ERROR),
    "6.5.2: MAX_FRAME_SIZE of 2^24": (settings((5, 2**24)), PROTOCOL_ERROR),
    "8441 3: ENABLE_CONNECT_PROTOCOL of 2": (settings((8, 2)), PROTOCOL_ERROR),
    "9218 2.1: NO_RFC7540_PRIORITIES of 2": (settings((9, 2)), PROTOCOL_ERROR),
    "9218 2.1: NO_RFC7540_PRIORITIES that changes": (settings((9, 1)), PROTOCOL_ERROR),
    "6.5.3: an acknowledgement of nothing": (settings(ack=True), PROTOCOL_ERROR),
    "6.6: PUSH_PROMISE": (BODY + frame(PUSH_PROMISE, END_HEADERS, 1, number(2)), PROTOCOL_ERROR),
    "6.6: PUSH_PROMISE on stream 0": (frame(PUSH_PROMISE, END_HEADERS, 0, number(2)), PROTOCOL_ERROR),
    "6.7: PING on a stream": (frame(PING, 0, 1, bytes(8)), PROTOCOL_ERROR),
    "6.7: PING of 7 bytes": (frame(PING, 0, 0, bytes(7)), FRAME_SIZE_ERROR),
    "6.8: GOAWAY on a stream": (frame(GOAWAY, 0, 1, bytes(8)), PROTOCOL_ERROR),
    "6.8: GOAWAY of 7 bytes": (frame(GOAWAY, 0, 0, bytes(7)), FRAME_SIZE_ERROR),
    "6.9: WINDOW_UPDATE of 0 on the connection": (window_update(0, 0), PROTOCOL_ERROR),
    "6.9: WINDOW_UPDATE of 3 bytes": (frame(WINDOW_UPDATE, 0, 0, bytes(3)), FRAME_SIZE_ERROR),
    "6.9: more than the connection's window, of streams that nobody reads": (
        b"".join(headers(each, end=False) + data(each, bytes(15000)) * 4 for each in (1, 3, 5, 7)),
        FLOW_CONTROL_ERROR,
    ),
    "6.9.1: the connection's window above 2^31-1": (window_update(0, MAX), FLOW_CONTROL_ERROR),
    "6.9.2: SETTINGS that take a window above 2^31-1": (BODY + window_update(1, 1) + settings((4, MAX)), FLOW_CONTROL_ERROR),
    "6.10: CONTINUATION without HEADERS": (BODY + frame(CONTINUATION, END_HEADERS, 1), PROTOCOL_ERROR),
    "6.10: CONTINUATION behind END_HEADERS": (headers(1) + frame(CONTINUATION, END_HEADERS, 1), PROTOCOL_ERROR),
    "6.10: CONTINUATION on stream 0": (frame(CONTINUATION, END_HEADERS, 0), PROTOCOL_ERROR),
    "9218 7.1: PRIORITY_UPDATE on a stream": (frame(PRIORITY_UPDATE, 0, 1, number(1)), PROTOCOL_ERROR),
    "9218 7.1: PRIORITY_UPDATE of stream 0": (frame(PRIORITY_UPDATE, 0, 0, number(0)), PROTOCOL_ERROR),
    "9218 7.1: PRIORITY_UPDATE of a push": (frame(PRIORITY_UPDATE, 0, 0, number(2)), PROTOCOL_ERROR),
    "4.2: PRIORITY_UPDATE of 3 bytes": (frame(PRIORITY_UPDATE, 0, 0, bytes(3)), FRAME_SIZE_ERROR),
}

GET = dict(REQUEST)


def without(name: str) -> bytes:
    return request(*(each for each in REQUEST if each[0] != name))


def having(**changed: str) -> bytes:
    return request(*((name, changed.get(name[1:], value)) for name, value in REQUEST))


# What ends stream 1.
STREAM = {
    "4.2: DATA larger than SETTINGS_MAX_FRAME_SIZE": (BODY + frame(DATA, 0, 1, bytes(16385)), FRAME_SIZE_ERROR),
    "5.1: DATA after END_STREAM": (headers(1) + data(1, b"x"), STREAM_CLOSED),
    "5.1: HEADERS after END_STREAM": (headers(1) + headers(1), STREAM_CLOSED),
    "5.1.2: more streams than announced": (headers(3) + headers(5), REFUSED_STREAM),
    "6.3: PRIORITY of 4 bytes": (BODY + frame(PRIORITY, 0, 1, bytes(4)), FRAME_SIZE_ERROR),
    "6.9: more than the stream's window": (BODY + data(1, bytes(16384)) * 4, FLOW_CONTROL_ERROR),
    "6.9: WINDOW_UPDATE of 0": (BODY + window_update(1, 0), PROTOCOL_ERROR),
    "6.9.1: the stream's window above 2^31-1": (BODY + window_update(1, MAX), FLOW_CONTROL_ERROR),
    "8.1: trailers without END_STREAM": (BODY + frame(HEADERS, END_HEADERS, 1, block(("a", "b"))), PROTOCOL_ERROR),
    "8.1.1: less content than declared": (UPLOAD + data(1, b"abc", end=True), PROTOCOL_ERROR),
    "8.1.1: more content than declared": (UPLOAD + data(1, b"abcdef"), PROTOCOL_ERROR),
    "8.1.1: more content than declared, in pieces": (UPLOAD + data(1, b"abc") + data(1, b"def", end=True), PROTOCOL_ERROR),
    "8.1.1: no content, where it is declared": (headers(1, ("content-length", "5")), PROTOCOL_ERROR),
    "8.1.1: less content than declared, and trailers": (
        UPLOAD + data(1, b"abc") + frame(HEADERS, END_HEADERS | END_STREAM, 1, block(("a", "b"))),
        PROTOCOL_ERROR,
    ),
    "8.1.1: lengths that differ": (headers(1, ("content-length", "5"), ("content-length", "6"), end=False), PROTOCOL_ERROR),
    "8.1.1: a length that is no number": (headers(1, ("content-length", "+5"), end=False), PROTOCOL_ERROR),
    "8.2: a name with a capital": (headers(1, ("Name", "v")), PROTOCOL_ERROR),
    "8.2.1: a name with a blank": (headers(1, ("na me", "v")), PROTOCOL_ERROR),
    "8.2.1: a name with a colon": (headers(1, ("na:me", "v")), PROTOCOL_ERROR),
    "8.2.1: a name with a byte above 0x7e": (headers(1, ("na\x7fme", "v")), PROTOCOL_ERROR),
    "8.2.1: an empty name": (headers(1, ("", "v")), PROTOCOL_ERROR),
    "8.2.1: a value with NUL": (headers(1, ("name", "a\0b")), PROTOCOL_ERROR),
    "8.2.1: a value with CR": (headers(1, ("name", "a\rb")), PROTOCOL_ERROR),
    "8.2.1: a value with LF": (headers(1, ("name", "a\nb")), PROTOCOL_ERROR),
    "8.2.1: a value that begins with a blank": (headers(1, ("name", " a")), PROTOCOL_ERROR),
    "8.2.1: a value that ends with a tab": (headers(1, ("name", "a\t")), PROTOCOL_ERROR),
    "8.2.2: Connection": (headers(1, ("connection", "close")), PROTOCOL_ERROR),
    "8.2.2: Keep-Alive": (headers(1, ("keep-alive", "timeout=5")), PROTOCOL_ERROR),
    "8.2.2: Proxy-Connection": (headers(1, ("proxy-connection", "close")), PROTOCOL_ERROR),
    "8.2.2: Transfer-Encoding": (headers(1, ("transfer-encoding", "chunked"), end=False), PROTOCOL_ERROR),
    "8.2.2: Upgrade": (headers(1, ("upgrade", "h2c")), PROTOCOL_ERROR),
    "8.2.2: TE of something else": (headers(1, ("te", "gzip")), PROTOCOL_ERROR),
    "8.3: an unknown pseudo-header field": (request(*REQUEST, (":name", "v")), PROTOCOL_ERROR),
    "8.3: a pseudo-header field of responses": (request(*REQUEST, (":status", "200")), PROTOCOL_ERROR),
    "8.3: a pseudo-header field behind others": (request(*REQUEST[:3], ("a", "b"), REQUEST[3]), PROTOCOL_ERROR),
    "8.3: a pseudo-header field twice": (request(*REQUEST, (":path", "/")), PROTOCOL_ERROR),
    "8.1: a pseudo-header field in trailers": (
        BODY + frame(HEADERS, END_HEADERS | END_STREAM, 1, block((":path", "/"))),
        PROTOCOL_ERROR,
    ),
    "8.1: a malformed field in trailers": (
        BODY + frame(HEADERS, END_HEADERS | END_STREAM, 1, block(("A", "b"))),
        PROTOCOL_ERROR,
    ),
    "8.3.1: no :method": (without(":method"), PROTOCOL_ERROR),
    "8.3.1: no :scheme": (without(":scheme"), PROTOCOL_ERROR),
    "8.3.1: no :path": (without(":path"), PROTOCOL_ERROR),
    "8.3.1: neither :authority nor Host": (without(":authority"), PROTOCOL_ERROR),
    "8.3.1: an empty :path": (having(path=""), PROTOCOL_ERROR),
    "8.3.1: a :path without a slash": (having(path="a"), PROTOCOL_ERROR),
    "8.3.1: a :path in absolute form": (having(path="http://a/"), PROTOCOL_ERROR),
    "8.3.1: a star for GET": (having(path="*"), PROTOCOL_ERROR),
    "8.3.1: a :path with a blank": (having(path="/a b"), PROTOCOL_ERROR),
    "8.3.1: a :path with a fragment": (having(path="/a#b"), PROTOCOL_ERROR),
    "8.3.1: user information in :authority": (having(authority="u@a"), PROTOCOL_ERROR),
    "8.3.1: an empty :authority": (having(authority=""), PROTOCOL_ERROR),
    "8.3.1: a :method that is no token": (having(method="G ET"), PROTOCOL_ERROR),
    "8.3.1: an empty :method": (having(method=""), PROTOCOL_ERROR),
    "8.3.1: a :scheme of other characters": (having(scheme="ht tp"), PROTOCOL_ERROR),
    "8.3.1: a Host that is another one": (headers(1, ("host", "b")), PROTOCOL_ERROR),
    "8.3.1: two Hosts": (headers(1, ("host", "a"), ("host", "a")), PROTOCOL_ERROR),
    "8.5: CONNECT with :path": (
        request((":method", "CONNECT"), (":authority", "a:1"), (":path", "/"), end=False),
        PROTOCOL_ERROR,
    ),
    "8.5: CONNECT with :scheme": (
        request((":method", "CONNECT"), (":authority", "a:1"), (":scheme", "http"), end=False),
        PROTOCOL_ERROR,
    ),
    "8.5: CONNECT without :authority": (request((":method", "CONNECT"), ("host", "a:1"), end=False), PROTOCOL_ERROR),
    "8.5: CONNECT without a port": (request((":method", "CONNECT"), (":authority", "a"), end=False), PROTOCOL_ERROR),
    "8441 4: :protocol without CONNECT": (request(*POST, (":protocol", "websocket"), end=False), PROTOCOL_ERROR),
    "8441 4: :protocol without :path": (
        request((":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "a"), end=False),
        PROTOCOL_ERROR,
    ),
}

# What is no error, though it may look like one.
TOLERATED = {
    "4.1: a reserved bit": frame(PING, 0, 2**31, bytes(8)),
    "4.1: unknown flags": frame(PING, 0xFE, 0, bytes(8)),
    "4.1: an unknown type": frame(0x55, 0xFF, 7, bytes(100)) + frame(0x55, 0, 0),
    "5.1: WINDOW_UPDATE after END_STREAM": headers(1) + window_update(1, 5),
    "5.1: RST_STREAM after END_STREAM": headers(1) + rst_stream(1),
    "5.1: PRIORITY on an idle stream": frame(PRIORITY, 0, 9, bytes(5)),
    "5.1: PRIORITY on a closed stream": BODY + rst_stream(1) + frame(PRIORITY, 0, 1, bytes(5)),
    "5.1: RST_STREAM and WINDOW_UPDATE after RST_STREAM": BODY + rst_stream(1) + rst_stream(1) + window_update(1, 5),
    "5.5: an unknown setting": settings((0x55, 0xFFFFFFFF)),
    "6.2: padding and priority": frame(
        HEADERS, END_HEADERS | END_STREAM | PADDED | WITH_PRIORITY, 1, b"\x03" + bytes(5) + block(*REQUEST) + bytes(3)
    ),
    "6.5: the same setting twice": settings((4, 5), (4, 100)),
    "6.8: GOAWAY with data": frame(GOAWAY, 0, 0, bytes(8) + b"bye"),
    "6.10: a block of three frames": frame(HEADERS, END_STREAM, 1, block(*REQUEST)[:3])
    + frame(CONTINUATION, 0, 1, block(*REQUEST)[3:5])
    + frame(CONTINUATION, END_HEADERS, 1, block(*REQUEST)[5:]),
    "7: error codes that nobody knows": BODY + rst_stream(1, 0xBEEF) + frame(GOAWAY, 0, 0, number(0) + number(0xBEEF)),
    "8.2.2: TE of trailers": headers(1, ("te", "trailers")),
    "8.3.1: Host that says the same": headers(1, ("host", "A")),
    "8.3.1: Host alone": request(*(each for each in REQUEST if each[0] != ":authority"), ("host", "a")),
    "8.3.1: OPTIONS *": request((":method", "OPTIONS"), *REQUEST[1:3], (":path", "*")),
    "8.1.1: lengths that are the same": headers(1, ("content-length", "5"), ("content-length", "5, 5"), end=False),
    "9218 7.1: PRIORITY_UPDATE of an idle stream": frame(PRIORITY_UPDATE, 0, 0, number(9) + b"u=1, i"),
    "9218 7.1: PRIORITY_UPDATE that says nothing": frame(PRIORITY_UPDATE, 0, 0, number(9) + b"\xff,,"),
}

# Smaller than the usual ones, and than each other.
LIMITS = {"connection_window": 100_000, "stream_window": 65_535, "max_concurrent_streams": 8}


@pytest.mark.parametrize("case", CONNECTION.values(), ids=CONNECTION)
def test_a_connection_error(case: tuple[bytes, int]) -> None:
    with Machine(**LIMITS) as machine:
        if case[0] == "respond":
            _, before, sent, code = case
            machine.receive(before)
            machine.head(1, 204, end=True)
        else:
            sent, code = case
        events = machine.receive(sent + headers(99))
        assert (events[-1].kind, events[-1].code) == ("failed", code)
        assert machine.finished
        last = frames(machine.take())[-1]
        assert last.type == GOAWAY
        assert int.from_bytes(last.payload[4:8], "big") == code
        assert machine.receive(headers(101)) == []
        assert machine.take() == b""


@pytest.mark.parametrize("case", STREAM.values(), ids=STREAM)
def test_a_stream_error(case: tuple[bytes, int]) -> None:
    sent, code = case
    limits = {**LIMITS, "max_concurrent_streams": 1} if code == REFUSED_STREAM else LIMITS
    with Machine(**limits) as machine:
        events = machine.receive(sent)
        resets = [each for each in frames(machine.take()) if each.type == RST_STREAM]
        expected = 5 if code == REFUSED_STREAM else 1
        assert [(each.stream, each.number) for each in resets] == [(expected, code)]
        told = [each for each in events if each.kind == "reset"]
        assert [each.code for each in told] == (
            [code] if any(each.kind == "request" and each.stream == 1 for each in events) else []
        )
        assert not machine.finished
        # Others go on, and the tables of both sides are the same still.
        if code != REFUSED_STREAM:
            assert [each.kind for each in machine.receive(headers(99))] == ["request"]
            assert machine.window == LIMITS["connection_window"]


@pytest.mark.parametrize("sent", TOLERATED.values(), ids=TOLERATED)
def test_no_error(sent: bytes) -> None:
    with Machine(**LIMITS) as machine:
        machine.receive(sent)
        assert not [each for each in frames(machine.take()) if each.type in (RST_STREAM, GOAWAY)]
        kinds = [each.kind for each in machine.receive(headers(99))]
        assert kinds == ["request"]


def test_what_comes_after_our_own_reset_is_ignored_and_counted() -> None:
    with Machine(**LIMITS) as machine:
        machine.receive(BODY + data(1, b"x" * 100))
        machine.reset(1, 0)
        assert machine.is_over(1)
        late = data(1, b"y" * 100) + frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x40\x01a\x01b") + window_update(1, 0)
        assert machine.receive(late + rst_stream(1)) == []
        machine.release(1)
        assert machine.window == LIMITS["connection_window"]
        # The field that was added to the table by a block that nobody wanted.
        events = machine.receive(frame(HEADERS, END_HEADERS | END_STREAM, 3, block(*REQUEST) + b"\xbe"))
        assert events[0].fields[-1] == (b"a", b"b")
        assert [each.type for each in frames(machine.take())] == [RST_STREAM]


def test_content_that_was_of_use_before_its_frame_is_not_counted() -> None:
    with Machine(max_ignored_frames_per_s=2) as machine:
        for stream in range(1, 21, 2):
            for event in machine.steps(headers(stream, end=False) + data(stream, b"body", end=True)):
                assert event.kind == "request"
                assert machine.body_here(stream) == b"body"
                machine.head(stream, 204, end=True)
                assert machine.is_over(stream)
        assert {each.type for each in frames(machine.take())} == {HEADERS}


@pytest.mark.parametrize("preface", [b"GET / HTTP/1.1\r\n", PREFACE[:-1] + b"x", PREFACE[:14] + b"X"])
def test_what_is_no_preface(preface: bytes) -> None:
    with Machine(preface=False) as machine:
        assert [(each.kind, each.code) for each in machine.receive(preface + bytes(30))] == [("failed", PROTOCOL_ERROR)]


@pytest.mark.parametrize("first", [headers(1), frame(PING, 0, 0, bytes(8)), settings(ack=True), frame(0x55)])
def test_the_first_frame_is_settings(first: bytes) -> None:
    with Machine(preface=False) as machine:
        assert [(each.kind, each.code) for each in machine.receive(PREFACE + first)] == [("failed", PROTOCOL_ERROR)]


def test_an_extended_connect_that_was_not_offered() -> None:
    fields = ((":method", "CONNECT"), (":protocol", "websocket"), *REQUEST[1:])
    with Machine(enable_connect_protocol=0) as machine:
        assert machine.receive(request(*fields, end=False)) == []
        assert [each.number for each in frames(machine.take())] == [PROTOCOL_ERROR]
    with Machine() as machine:
        (event,) = machine.receive(request(*fields, end=False))
        assert (event.method, event.protocol, event.target) == (b"CONNECT", b"websocket", b"/")


def test_a_smaller_table_than_usual_has_to_be_admitted() -> None:
    """RFC 9113 section 4.3.1: the peer has acknowledged our setting, so its next block begins with an update."""
    fragment = block(*REQUEST)
    with Machine(max_table_bytes=0) as machine:
        events = machine.receive(frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x20" + fragment))
        assert [each.kind for each in events] == ["request"]
        events = machine.receive(frame(HEADERS, END_HEADERS | END_STREAM, 3, fragment))
        assert [each.kind for each in events] == ["request"]
    with Machine(max_table_bytes=0) as machine:
        events = machine.receive(frame(HEADERS, END_HEADERS | END_STREAM, 1, fragment))
        assert [(each.kind, each.code) for each in events] == [("failed", COMPRESSION_ERROR)]


def test_a_block_that_is_too_long_for_any_answer() -> None:
    with Machine(max_header_list_bytes=1000) as machine:
        events = machine.receive(frame(HEADERS, END_HEADERS | END_STREAM, 1, block(*REQUEST, ("a", "b" * 4000))))
        assert [(each.kind, each.code) for each in events] == [("failed", ENHANCE_YOUR_CALM)]


def test_goaway_names_the_last_stream_that_was_opened() -> None:
    with Machine(**LIMITS) as machine:
        machine.receive(headers(5) + headers(7, ("A", "b")) + data(0))
        assert frames(machine.take())[-1] == Frame(GOAWAY, 0, 0, number(5) + number(PROTOCOL_ERROR))
