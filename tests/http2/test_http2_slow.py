"""Clients that are slow on purpose, however steadily they send."""

from __future__ import annotations

import socket
import time
from typing import Any, Callable

import pytest
from app_servers import TLS
from http2_client import Client
from server_programs import Program

from socketify import App, Limits

PATIENCE_S = 20


def routes(app: App) -> None:
    app.get("/large", lambda res, _req: res.end(b"x" * 30_000_000))
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


def test_many_answers_of_one_turn_wait_for_who_reads_slowly(serve: Callable[..., Any]) -> None:
    server = serve(routes, http="auto")
    with Client(server.port) as client:
        client.get("/head")
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        flush = client.flush
        client.flush = lambda: None  # type: ignore[method-assign]
        streams = [client.request("/head") for _ in range(90)]
        client.flush = flush  # type: ignore[method-assign]
        client.flush()
        time.sleep(0.2)
        assert all(client.wait(stream).body == b"Hello" for stream in streams)


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
