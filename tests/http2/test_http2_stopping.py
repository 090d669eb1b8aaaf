"""What becomes of connections of HTTP/2 when their server stops."""

from __future__ import annotations

import select
import signal
import time

import pytest
from app_servers import TLS
from http2_client import Client
from server_programs import Program

NO_ERROR = 0
PROGRAM = """
import asyncio
from socketify import App

app = App(http="auto")

async def slow(res, req):
    res.write("slow ")
    await asyncio.sleep(0.5)
    res.end("end")

app.get("/slow", slow)
app.get("/", lambda res, req: res.end("Hello"))
MORE
app.listen(0, lambda config: print(config.port, flush=True))
app.run()
"""

pytestmark = pytest.mark.skipif(TLS is not None, reason="the programs speak no TLS")


def test_a_stop_lets_requests_end_and_loses_none() -> None:
    with Program(PROGRAM.replace("MORE", "")) as program, Client(program.port) as client:
        assert client.get("/").body == b"Hello"
        stream = client.request("/slow")
        client.wait_for(lambda: client.answers[stream].body)
        program.process.send_signal(signal.SIGTERM)
        client.wait_for(lambda: client.goaway)
        assert client.wait(stream).body == b"slow end"
        client.receive_all()
        assert client.goaway == (stream, NO_ERROR)
        assert program.process.wait(10) == -signal.SIGTERM


def test_a_stop_loses_no_request_of_a_connection_that_was_quiet() -> None:
    with Program(PROGRAM.replace("MORE", "")) as program, Client(program.port) as client:
        assert client.get("/").body == b"Hello"
        time.sleep(2)
        program.process.send_signal(signal.SIGTERM)
        assert select.select([client.socket], [], [], 10)[0]
        # GOAWAY has not been read: the client does not know.
        stream = client.request("/")
        assert client.wait(stream).body == b"Hello"
        client.receive_all()
        assert client.goaway == (stream, NO_ERROR)


def test_an_idle_connection_gets_goaway_too() -> None:
    with Program(PROGRAM.replace("MORE", "")) as program, Client(program.port) as client:
        assert client.get("/").body == b"Hello"
        program.process.send_signal(signal.SIGTERM)
        client.receive_all()
        assert client.goaway == (1, NO_ERROR)
        assert program.process.wait(10) == -signal.SIGTERM


def test_the_last_request_of_a_process_is_answered() -> None:
    with Program(PROGRAM.replace("MORE", "app.close_after(3)")) as program, Client(program.port) as client:
        answers = [client.get("/").status for _ in range(3)]
        assert answers == [200, 200, 200]
        client.receive_all()
        assert client.goaway == (5, NO_ERROR)
        assert program.process.wait(10) == 0
