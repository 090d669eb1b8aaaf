"""Clients that are slow on purpose, however steadily they send."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import sys
import termios
import time
from typing import Any, Callable

import pytest
from app_servers import TLS
from http2_client import Client
from http2_frames import DATA, ENHANCE_YOUR_CALM, NO_ERROR, PROTOCOL_ERROR, frame
from server_programs import Program

from socketify import App, Limits, Request, Response

PATIENCE_S = 20


def routes(app: App) -> None:
    app.get("/large", lambda res, _req: res.end(b"x" * 30_000_000))
    app.get("/large-head", lambda res, _req: res.write_header("x-large", "x" * 60_000).end("Hello"))
    app.get("/65535", lambda res, _req: res.end(b"x" * 65_535))
    app.get("/200000", lambda res, _req: res.end(b"x" * 200_000))
    app.get("/head", lambda res, _req: res.write_header("x-large", "x" * 10_000).end("Hello"))


def lasts(client: Client, data: bytes) -> bool:
    """Whether the connection stays although only these bytes are sent, one after the other, and nothing is read."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            client.socket.sendall(data[:1] if len(data) > 1 else data)
        except OSError:
            return False
        data = data[1:] or data
        time.sleep(0.3)
    return True


def test_a_frame_that_does_not_end(serve: Callable[..., Any]) -> None:
    server = serve(routes, http="auto", limits=Limits(header_timeout=1))
    with Client(server.port) as client:
        assert client.get("/head").status == 200
        # HEADERS of 16,000 bytes.
        assert not lasts(client, bytes([0, 0x3E, 0x80, 1, 4, 0, 0, 0, 3]) + bytes(16_000))


def test_a_client_that_reads_nothing(serve: Callable[..., Any]) -> None:
    server = serve(routes, http="auto", limits=Limits(write_timeout=2))
    with Client(server.port, opens_windows=False) as client:
        client.h2.update_settings({4: 2**31 - 1})
        client.h2.increment_flow_control_window(2**30)
        client.request("/large")
        # PINGs, a byte at a time.
        assert not lasts(client, bytes([0, 0, 8, 6, 0, 0, 0, 0, 0, *bytes(8)]) * 100)


def test_a_client_that_opens_its_window_byte_by_byte(serve: Callable[..., Any]) -> None:
    server = serve(routes, http="auto", limits=Limits(write_timeout=1))
    with Client(server.port, opens_windows=False) as client:
        client.h2.increment_flow_control_window(2**30)
        client.get("/head")
        stream = client.request("/large")
        client.wait_for(lambda: client.h2.remote_flow_control_window(stream) == 0)
        client.socket.settimeout(0.2)
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            with contextlib.suppress(TimeoutError, socket.timeout):
                client.receive()
            if client.answers[stream].reset is not None:
                break
            time.sleep(0.2)
            client.h2.increment_flow_control_window(1, stream)
            client.flush()
        assert client.answers[stream].reset == ENHANCE_YOUR_CALM


def test_a_client_that_opens_no_window_of_its_connection_loses_it(serve: Callable[..., Any]) -> None:
    server = serve(routes, http="auto", limits=Limits(write_timeout=1))
    with Client(server.port, opens_windows=False) as client:
        client.h2.update_settings({4: 65_535 + 10})
        client.flush()
        # All of the window, so that nothing of the first stream is left to wait for it.
        assert client.get("/65535").ended
        stream = client.request("/65535")
        client.receive_all()
        assert client.answers[stream].status == 200
        assert client.goaway == (stream, ENHANCE_YOUR_CALM)


def test_a_response_that_waits_for_another_one_longer_than_write_timeout(serve: Callable[..., Any]) -> None:
    server = serve(routes, http="auto", limits=Limits(write_timeout=1))
    with Client(server.port) as client:
        large = client.request("/large", "GET", ("priority", "u=3"))
        small = client.request("/200000", "GET", ("priority", "u=3"))
        until = time.monotonic() + 4
        while time.monotonic() < until:
            assert client.receive()
            time.sleep(0.01)
        assert client.answers[small].body == b""
        assert len(client.answers[large].body) < 30_000_000
        assert len(client.wait(large).body) == 30_000_000
        assert len(client.wait(small).body) == 200_000


def unread(client: Client) -> int:
    room = bytearray(4)
    fcntl.ioctl(client.socket.fileno(), termios.FIONREAD, room)
    return int.from_bytes(room, sys.byteorder)


def test_what_waits_is_not_lost_where_the_connection_ends_with_an_error(serve: Callable[..., Any]) -> None:
    server = serve(routes, http="auto")
    with Client(server.port, opens_windows=False, receive_bytes=65536) as client:
        client.h2.update_settings({4: 2**31 - 1})
        client.h2.increment_flow_control_window(2**30)
        # It has nothing more to acknowledge then, which would make a reset of the end.
        assert client.get("/head").ended
        stream = client.request("/large")
        before = -1
        while (now := unread(client)) != before:
            # As much as the system takes.
            before = now
            time.sleep(0.1)
        client.socket.sendall(frame(DATA, 0, 0, b"on no stream"))
        client.receive_all()
        assert client.goaway == (stream, PROTOCOL_ERROR)


def test_responses_of_requests_without_priority_share(serve: Callable[..., Any]) -> None:
    server = serve(routes, http="auto")
    with Client(server.port) as client:
        large = client.request("/large")
        assert len(client.wait(client.request("/200000")).body) == 200_000
        assert not client.answers[large].ended


def test_an_idle_time_out_begins_when_the_client_has_read(serve: Callable[..., Any]) -> None:
    server = serve(routes, http="auto", limits=Limits(keep_alive_timeout=1))
    with Client(server.port, receive_bytes=65536) as client:
        client.get("/head")
        head = [(":method", "HEAD"), (":scheme", "http"), (":authority", "localhost"), (":path", "/large-head")]
        # More than the kernel takes. Each of their streams is over when it was answered.
        streams = [client.begin_unsent(head, ends=True) for _ in range(90)]
        client.flush()
        time.sleep(4)
        assert all(client.wait(stream).ended for stream in streams)
        client.receive_all()
        assert client.goaway == (streams[-1], NO_ERROR)


def test_many_answers_of_one_turn_wait_for_who_reads_slowly(serve: Callable[..., Any]) -> None:
    server = serve(routes, http="auto")
    with Client(server.port, receive_bytes=16384) as client:
        client.get("/head")
        flush = client.flush
        client.flush = lambda: None  # type: ignore[method-assign]
        streams = [client.request("/head") for _ in range(90)]
        client.flush = flush  # type: ignore[method-assign]
        client.flush()
        time.sleep(0.2)
        assert all(client.wait(stream).body == b"Hello" for stream in streams)


def test_an_answer_does_not_wait_for_the_handlers_of_all_requests_that_came_with_it(serve: Callable[..., Any]) -> None:
    def slow(res: Response, _req: Request) -> None:
        begun.append(time.monotonic())
        time.sleep(0.1)
        res.end("Hello")

    begun: list[float] = []
    server = serve(lambda app: app.get("/", slow), http="auto")
    with Client(server.port) as client:
        head = [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/")]
        streams = [client.begin_unsent(head, ends=True) for _ in range(20)]
        client.flush()
        client.wait(streams[0])
        assert len(begun) < 20
        client.wait(streams[-1])


@pytest.mark.skipif(TLS is not None, reason="the program speaks no TLS")
def test_an_app_that_closes_when_a_stream_does() -> None:
    text = """
from socketify import App

app = App(http="auto")
kept = []

def never(res, req):
    kept.append(res)
    # The second call does not wait for requests.
    res.on_aborted(lambda res: app.close().close())

app.get("/never", never)
app.get("/", lambda res, req: res.end("Hello"))
app.listen(0, lambda config: print(config.port, flush=True))
app.run()
"""
    with Program(text) as program, Client(program.port) as client:
        streams = [client.request("/never") for _ in range(3)]
        assert client.get("/").body == b"Hello"
        client.h2.reset_stream(streams[1])
        client.flush()
        client.receive_all()
        assert program.process.wait(10) == 0
