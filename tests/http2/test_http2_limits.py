"""What a peer may ask for: limits by name, windows, priorities, and how a connection ends."""

from __future__ import annotations

from itertools import count

import pytest
from http2_frames import (
    CANCEL,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    GOAWAY,
    HEADERS,
    PING,
    PRIORITY,
    PRIORITY_UPDATE,
    REFUSED_STREAM,
    REQUEST,
    RST_STREAM,
    SETTINGS,
    SETTINGS_TIMEOUT,
    WINDOW_UPDATE,
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
from http2_machine import GONE, MISPLACED, PREFACE, Machine

OPEN = headers(1, end=False)
ACK = 1

# A limit, what is sent before, what is repeated (with the number of a stream), and how the owner goes along.
FLOODS = {
    "max_resets_per_s": lambda stream: headers(stream) + rst_stream(stream),
    "max_pings_per_s": lambda stream: frame(PING, 0, 0, bytes(8)),
    "max_settings_per_s": lambda stream: settings(),
    "max_empty_frames_per_s": lambda stream: data(1),
    "max_window_updates_per_s": lambda stream: window_update(0, 1),
    "max_ignored_frames_per_s": lambda stream: frame(PRIORITY, 0, 1, bytes(5)),
}
LIKE = {
    "max_resets_per_s: malformed requests": lambda stream: headers(stream, ("A", "b")),
    "max_resets_per_s: windows of zero": lambda stream: headers(stream) + window_update(stream, 0),
    "max_resets_per_s: windows that overflow": lambda stream: headers(stream) + window_update(stream, 2**31 - 1),
    "max_resets_per_s: content after the end": lambda stream: headers(stream) + data(stream, b"x"),
    "max_pings_per_s: answers": lambda stream: frame(PING, ACK, 0, bytes(8)),
    "max_ignored_frames_per_s: PRIORITY_UPDATE": lambda stream: frame(PRIORITY_UPDATE, 0, 0, number(1)),
    "max_ignored_frames_per_s: unknown types": lambda stream: frame(0x55),
    "max_ignored_frames_per_s: closed streams": lambda stream: rst_stream(3),
    "max_ignored_frames_per_s: GOAWAY": lambda stream: frame(GOAWAY, 0, 0, bytes(8)),
}


@pytest.mark.parametrize("name", [*FLOODS, *LIKE])
def test_a_flood_ends_the_connection_and_a_trickle_does_not(name: str) -> None:
    make = {**FLOODS, **LIKE}[name]
    limit = name.split(":", maxsplit=1)[0]
    streams = count(5, 2)
    with Machine(**{limit: 10, "max_concurrent_streams": 1000}) as machine:
        machine.receive(OPEN + headers(3) + rst_stream(3))
        machine.now += 5000
        for _ in range(3):
            for _ in range(10):
                events = machine.receive(make(next(streams)))
                assert all(event.kind != "failed" for event in events)
            machine.take()
            machine.now += 1000
        for _ in range(11):
            events = machine.receive(make(next(streams)))
        assert (events[-1].kind, events[-1].code) == ("failed", ENHANCE_YOUR_CALM)
        assert frames(machine.take())[-1].type == GOAWAY


def test_a_block_without_end() -> None:
    with Machine(max_continuation_frames=3) as machine:
        machine.receive(frame(HEADERS, 0, 1, block(*REQUEST)) + frame(CONTINUATION, 0, 1) * 3)
        (event,) = machine.receive(frame(CONTINUATION, END_HEADERS, 1))
        assert event.code == ENHANCE_YOUR_CALM
    with Machine(max_empty_frames_per_s=3) as machine:
        events = machine.receive(frame(HEADERS, 0, 1) + frame(CONTINUATION, 0, 1) * 3)
        assert events[-1].code == ENHANCE_YOUR_CALM
    with Machine(max_header_list_bytes=16_384, max_continuation_frames=100) as machine:
        events = machine.receive(frame(HEADERS, 0, 1, bytes(16_000)) + frame(CONTINUATION, 0, 1, bytes(16_000)) * 3)
        assert events[-1].code == ENHANCE_YOUR_CALM


def test_answers_that_nobody_reads_are_bounded() -> None:
    with Machine(max_answer_bytes=1000, max_pings_per_s=10**6) as machine:
        events = machine.receive(frame(PING, 0, 0, bytes(8)) * 1000)
        assert (events[-1].kind, events[-1].code) == ("failed", ENHANCE_YOUR_CALM)
        assert len(machine.waiting) < 1100


def test_rapid_resets_do_not_pile_up_handlers() -> None:
    """A stream that its application has not let go still counts."""
    with Machine(max_concurrent_streams=5, max_resets_per_s=1000) as machine:
        kinds = [event.kind for stream in range(1, 40, 2) for event in machine.receive(headers(stream) + rst_stream(stream))]
        assert kinds.count("request") == kinds.count("reset") == 5
        refused = [each for each in frames(machine.take()) if each.type == RST_STREAM]
        assert {each.number for each in refused} == {REFUSED_STREAM}
        assert len(refused) == 15
        machine.release(1)
        assert [event.kind for event in machine.receive(headers(101))] == ["request"]


@pytest.mark.parametrize(
    ("limit", "value", "fields", "refusal"),
    [
        ("max_target_bytes", 10, ((":path", "/" + "a" * 10),), 3),
        ("max_header_list_bytes", 200, (("a", "b" * 30),), 2),
        ("max_header_count", 2, (("a", "b"), ("c", "d")), 2),
        ("max_header_count", 4, (("cookie", "a"), ("cookie", "b"), ("cookie", "c"), ("cookie", "d")), 2),
        ("max_body", 4, (("content-length", "5"),), 4),
        ("max_body", 4, (("content-length", "9" * 30),), 4),
        ("max_body", 4, (("expect", "tea"),), 7),
    ],
)
def test_what_is_answered_instead(limit: str, value: int, fields: tuple[tuple[str, str], ...], refusal: int) -> None:
    head = [each for each in REQUEST if each[0] not in dict(fields)]
    sent = frame(HEADERS, END_HEADERS, 1, block(*[each for each in fields if each[0][0] == ":"], *head, *fields)
                 if fields[0][0][0] != ":" else block(*fields, *head))  # fmt: skip
    with Machine(**{limit: value}) as machine:
        (event,) = machine.receive(sent)
        assert (event.kind, event.refusal, event.stream) == ("refused", refusal, 1)
        assert machine.receive(data(1, b"x" * 100)) == []
        assert machine.head(1, 400) == 0
        assert machine.data(1, b"no", end=True) == 2
        assert [each.type for each in frames(machine.take())] == [HEADERS, DATA, RST_STREAM]
        machine.release(1)
        assert machine.window == 2 << 20
        # One less is taken.
    with Machine(**{limit: value + 1000}) as machine:
        (event,) = machine.receive(sent)
        assert event.kind == ("request" if refusal != 7 and "9" * 30 not in dict(fields).values() else "refused")


def test_content_beyond_the_limit() -> None:
    with Machine(max_body=10) as machine:
        events = machine.receive(OPEN + data(1, b"12345") + data(1, b"67890") + data(1, b"x") + data(1, b"y", end=True))
        assert [(each.kind, each.refusal) for each in events[-2:]] == [("data", 0), ("refused", 4)]
        assert machine.head(1, 413, end=True) == 0
        assert machine.is_over(1)
        assert [each.type for each in frames(machine.take())] == [HEADERS]


@pytest.mark.parametrize("begun", [b"", frame(HEADERS, 0, 1)], ids=["frame", "block"])
def test_what_has_begun_must_end(begun: bytes) -> None:
    """However steadily it comes."""
    with Machine(header_timeout_ms=5000) as machine:
        assert machine.tick(machine.now + 9000) == []
        assert machine.receive(begun) == []
        for each in frame(CONTINUATION, 0, 1)[:5] if begun else headers(1)[:5]:
            assert machine.tick(machine.now) == []
            machine.receive(bytes([each]))
            machine.now += 1000
        (event,) = machine.tick(machine.now)
        assert (event.kind, event.code) == ("failed", ENHANCE_YOUR_CALM)


def test_a_tunnel_has_no_content_that_is_limited() -> None:
    """RFC 9110 section 9.3.6: only what comes before the answer is."""
    with Machine(max_body=10) as machine:
        head = ((":method", "CONNECT"), (":authority", "example.com:80"), ("content-length", "7"))
        assert [event.kind for event in machine.receive(frame(HEADERS, END_HEADERS, 1, block(*head)))] == ["request"]
        assert machine.head(1, 200) == 0
        assert [event.kind for event in machine.receive(data(1, bytes(100)) + data(1, bytes(100)))] == ["data", "data"]
        machine.receive(frame(HEADERS, END_HEADERS, 3, block(*head[:2])))
        assert [event.kind for event in machine.receive(data(3, bytes(100)))] == ["refused"]


def test_answers_are_bounded_while_others_leave() -> None:
    """A peer that reads is not taken for one that does not, because there is always something on its way."""
    with Machine(max_answer_bytes=100, max_pings_per_s=10**6) as machine:
        for _ in range(100):
            machine.receive(frame(PING, 0, 0, bytes(8)) * 4)
            assert len(machine.waiting) > 0
            events = machine.receive(frame(PING, 0, 0, bytes(8)))
            assert all(event.kind != "failed" for event in events)
            machine.sent(len(machine.waiting) - 1)


def test_the_window_of_a_stream_opens_as_it_is_read() -> None:
    with Machine(stream_window=1000, connection_window=65_535) as machine:
        machine.receive(OPEN + data(1, bytes(1000)))
        assert machine.take() == b""
        machine.consumed(1, 499)
        assert machine.take() == b""
        machine.consumed(1, 10**9)
        assert frames(machine.take()) == [(WINDOW_UPDATE, 0, 1, number(1000))]
        # Padding is nobody's to read.
        machine.receive(frame(DATA, 8, 1, bytes([255]) + bytes(555)))
        assert machine.take() == b""
        machine.receive(frame(DATA, 8, 1, bytes([255]) + bytes(255)))
        assert [(each.stream, each.number) for each in frames(machine.take())] == [(1, 512)]


def test_a_stream_that_is_not_read_holds_no_other() -> None:
    with Machine(connection_window=65_535, stream_window=40_000) as machine:
        machine.receive(OPEN + data(1, bytes(16_000)) + data(1, bytes(16_000)) + data(1, bytes(8_000)))
        assert [(each.stream, each.number) for each in frames(machine.take())] == [(0, 40_000)]
        for _ in range(10):
            machine.receive(headers(3, end=False) if not machine.handles.get(3) else b"")
            assert [event.kind for event in machine.receive(data(3, bytes(16_000)))] == ["data"]
            machine.consumed(3, 16_000)


def test_our_settings_bind_when_they_are_acknowledged() -> None:
    with Machine(preface=False, stream_window=100) as machine:
        assert machine.receive(PREFACE + settings() + OPEN + data(1, bytes(16_000)))[-1].kind == "data"
        # From here on the window is negative: 100 - 16000.
        assert [each.kind for each in machine.receive(settings(ack=True))] == ["settings_acknowledged"]
        machine.consumed(1, 15_950)
        machine.take()
        assert [each.kind for each in machine.receive(data(1, bytes(50)))] == ["data"]
        assert [each.kind for each in machine.receive(data(1, bytes(1)))] == ["reset"]


def test_their_settings_change_windows_below_zero() -> None:
    with Machine() as machine:
        machine.receive(OPEN + settings((4, 100)))
        assert machine.head(1) == 0
        assert machine.data(1, bytes(300)) == 100
        machine.receive(settings((4, 50)) + window_update(1, 50))
        assert machine.next() == 0
        assert machine.data(1, bytes(200)) == 0
        machine.receive(window_update(1, 1))
        assert machine.next() == 1
        assert machine.data(1, bytes(200)) == 1
        machine.receive(settings((4, 1000)))
        assert machine.next() == 1
        assert machine.data(1, bytes(199), end=True) == 199
        assert [len(each.payload) for each in frames(machine.take()) if each.type == DATA] == [100, 1, 199]


def test_output_is_bounded_and_goes_on_when_it_was_sent() -> None:
    with Machine(max_output_bytes=40_000) as machine:
        machine.receive(headers(1) + settings((4, 10**9)) + window_update(0, 10**9))
        machine.head(1)
        left = 200_000 - machine.data(1, bytes(200_000), end=True)
        assert 30_000 < len(machine.waiting) <= 40_100
        assert machine.next() == 0
        rounds = 0
        while left:
            machine.sent(len(machine.waiting) - 5)
            assert machine.next() == 1
            left -= machine.data(1, bytes(left), end=True)
            rounds += 1
        assert machine.is_over(1)
        assert rounds < 10


def urgent(stream: int, priority: str) -> bytes:
    return headers(stream, ("priority", priority))


def test_urgency_decides_what_is_written_first() -> None:
    with Machine() as machine:
        machine.receive(
            urgent(1, "u=5") + urgent(3, "i") + urgent(5, "i") + urgent(7, "u=1") + headers(9) + settings((4, 10**6))
        )
        machine.receive(frame(PRIORITY_UPDATE, 0, 0, number(9) + b"u=0"))
        for stream in (1, 3, 5, 7, 9):
            machine.head(stream)
        # The window of the connection is used up by what comes first.
        left = dict.fromkeys((1, 3, 5, 7, 9), 60_000)
        left[1] -= machine.data(1, bytes(60_000))
        for stream in (3, 5, 7, 9):
            left[stream] -= machine.data(stream, bytes(left[stream]))
        machine.take()
        machine.receive(window_update(0, 10**6))
        order = []
        while True:
            while stream := machine.next():
                taken = machine.data(stream, bytes(left[stream]))
                left[stream] -= taken
                order.append(stream)
            if not machine.take():
                break
        assert not any(left.values())
        assert list(dict.fromkeys(order))[:2] == [9, 7]
        shared = [stream for stream in order if stream in (3, 5)]
        assert shared[:4] in ([3, 5, 3, 5], [5, 3, 5, 3])


def test_streams_that_are_not_incremental_are_served_in_their_order() -> None:
    with Machine() as machine:
        machine.receive(b"".join(urgent(stream, "u=3") for stream in (1, 3, 5)) + settings((4, 0)))
        for stream in (5, 1, 3):
            machine.head(stream)
            assert machine.data(stream, bytes(30_000), end=True) == 0
        machine.take()
        machine.receive(settings((4, 30_000)) + window_update(0, 10**6))
        assert [machine.next(), machine.data(1, bytes(30_000), end=True)] == [1, 30_000]
        assert [machine.next(), machine.data(3, bytes(30_000), end=True)] == [3, 30_000]
        machine.take()
        assert machine.next() == 5
        # Who is not called waits for its turn.
        machine.wait(5)
        machine.receive(urgent(7, "u=3"))
        machine.head(7)
        assert machine.data(7, b"x", end=True) == 0
        assert machine.next() == 5


def test_streams_without_a_priority_are_served_in_turns() -> None:
    with Machine() as machine:
        machine.receive(headers(1) + headers(3) + settings((4, 0)))
        for stream in (1, 3):
            machine.head(stream)
            assert machine.data(stream, bytes(30_000)) == 0
        machine.receive(settings((4, 30_000)))
        order = []
        for left in (30_000, 30_000, 30_000 - 16_384, 30_000 - 16_384):
            machine.take()
            order.append(machine.next())
            machine.data(order[-1], bytes(left))
        assert order in ([1, 3, 1, 3], [3, 1, 3, 1])


def test_a_stream_that_is_not_read_by_its_peer_ends_alone() -> None:
    with Machine(stall_timeout_ms=5000) as machine:
        machine.receive(headers(1) + headers(3) + settings((4, 10)))
        machine.head(1)
        machine.data(1, bytes(100))
        # Now it is seen to wait.
        assert machine.tick(1500) == []
        assert machine.tick(5000) == []
        # A few bytes are no progress.
        machine.receive(window_update(1, 1))
        assert machine.next() == 1
        assert machine.data(1, bytes(90)) == 1
        (event,) = machine.tick(6500)
        assert (event.kind, event.stream, event.code) == ("reset", 1, ENHANCE_YOUR_CALM)
        machine.receive(window_update(3, 5000))
        machine.head(3)
        machine.data(3, bytes(10_000))
        machine.receive(window_update(3, 2000))
        assert machine.next() == 3
        assert machine.data(3, bytes(4990)) == 2000
        # This was.
        assert machine.tick(7000) == []
        assert machine.tick(11_000) == []
        assert [event.kind for event in machine.tick(12_000)] == ["reset"]


def test_a_connection_that_is_not_read_ends() -> None:
    with Machine(stall_timeout_ms=5000) as machine:
        machine.receive(headers(1) + settings((4, 10**6)))
        machine.head(1)
        while machine.data(1, bytes(100_000)) or machine.take():
            machine.next()
        assert machine.tick(1100) == []
        assert machine.tick(5000) == []
        assert [(event.kind, event.code) for event in machine.tick(6100)] == [("failed", ENHANCE_YOUR_CALM)]


def test_settings_that_are_never_acknowledged() -> None:
    with Machine(preface=False, settings_timeout_ms=3000) as machine:
        machine.receive(PREFACE + settings())
        assert machine.tick(3900) == []
        assert [event.code for event in machine.tick(4000)] == [SETTINGS_TIMEOUT]
        assert machine.finished
        assert machine.tick(9000) == []


def test_a_graceful_stop_loses_no_request() -> None:
    with Machine() as machine:
        machine.receive(headers(1))
        machine.shutdown()
        machine.shutdown()
        goaway, ping = frames(machine.take())
        assert goaway.payload == number(2**31 - 1) + number(0)
        assert (ping.type, ping.flags) == (PING, 0)
        # What was on its way is served.
        assert [event.kind for event in machine.receive(headers(3) + frame(PING, ACK, 0, ping.payload))] == ["request"]
        assert [each.payload for each in frames(machine.take())] == [number(3) + number(0)]
        assert machine.receive(headers(5, end=False) + data(5, b"x", end=True)) == []
        assert machine.take() == b""
        assert not machine.finished
        for stream in (1, 3):
            machine.head(stream, 204, end=True)
        assert machine.finished
        assert machine.window == 2 << 20
    with Machine(shutdown_timeout_ms=500) as machine:
        machine.shutdown()
        machine.take()
        assert machine.tick(1400) == []
        assert not machine.finished
        assert machine.tick(1500) == []
        assert machine.finished
        assert [each.payload for each in frames(machine.take())] == [number(0) + number(0)]


def test_the_peer_goes_away() -> None:
    with Machine() as machine:
        events = machine.receive(headers(1) + frame(GOAWAY, 0, 0, number(0) + number(CANCEL)))
        assert [(each.kind, each.code) for each in events[1:]] == [("goaway", CANCEL)]
        assert not machine.finished
        machine.head(1, 204, end=True)
        assert machine.finished


def test_an_end_by_the_owner() -> None:
    with Machine() as machine:
        machine.receive(headers(1))
        machine.fail(ENHANCE_YOUR_CALM)
        assert machine.is_over(1)
        assert machine.head(1) == GONE
        assert machine.finished
        assert machine.receive(headers(3)) == []
        assert [each.payload for each in frames(machine.take())] == [number(1) + number(ENHANCE_YOUR_CALM)]


def test_ping_and_settings_are_answered_in_order() -> None:
    with Machine() as machine:
        machine.ping(b"12345678")
        events = machine.receive(frame(PING, 0, 0, b"abcdefgh") + settings((4, 5)) + frame(PING, ACK, 0, b"12345678"))
        assert [(each.kind, each.data) for each in events] == [("pong", b"12345678")]
        sent = frames(machine.take())
        assert [(each.type, each.flags, each.payload) for each in sent] == [
            (PING, 0, b"12345678"), (PING, ACK, b"abcdefgh"), (SETTINGS, ACK, b""),
        ]  # fmt: skip


def test_calls_that_come_too_late_or_too_early() -> None:
    with Machine() as machine:
        machine.receive(OPEN + headers(3))
        assert machine.data(1, b"x") == machine.finish(1) == machine.trailers(1, []) == MISPLACED
        assert machine.head(3, 200) == 0
        assert machine.head(3, 200) == machine.head(3, 103) == MISPLACED
        assert machine.finish(3) == 0
        assert machine.head(3, 200) == machine.data(3, b"x") == machine.finish(3) == machine.trailers(3, []) == GONE
        machine.receive(rst_stream(1))
        assert machine.head(1, 200) == GONE
        machine.reset(1, 0)
        machine.wait(1)
        machine.consumed(1, 5)
        assert machine.next() == 0
        last = frames(machine.take())[-1]
        assert (last.type, last.flags & END_STREAM) == (HEADERS, END_STREAM)


def test_a_stream_that_is_released_early_is_cancelled() -> None:
    with Machine() as machine:
        events = []
        for event in machine.steps(OPEN + data(1, bytes(1000)) + data(1, bytes(500), end=True) + headers(3)):
            events.append(event.kind)
            if event.kind == "data":
                machine.release(1)
        assert events == ["request", "data", "request"]
        assert [(each.type, each.number) for each in frames(machine.take())] == [(RST_STREAM, CANCEL)]
        assert machine.window == 2 << 20


@pytest.mark.parametrize("release", [True, False])
def test_a_stream_that_ends_within_a_frame(release: bool) -> None:
    sent = frame(DATA, 8, 1, bytes([100]) + bytes(1000) + bytes(100))
    for split in (9, 10, 11, 500, 1009, 1010, 1011, 1100):
        with Machine() as machine:
            machine.receive(OPEN + sent[:split])
            if release:
                machine.release(1)
            else:
                machine.reset(1, CANCEL)
            assert machine.receive(sent[split:]) == []
            assert machine.window == 2 << 20
            assert [event.kind for event in machine.receive(headers(3))] == ["request"]
