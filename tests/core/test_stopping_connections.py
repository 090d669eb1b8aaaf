"""What becomes of connections when a server stops, in real processes."""

from __future__ import annotations

import signal
import socket
import time

import pytest
from receiving import receive_until
from server_programs import GET, LOOPS, Program
from test_stopping import BEGIN, RUN, RUN_LOOP, SERVED, wait_for

both_loops = pytest.mark.parametrize("loop", LOOPS)
ASGI_APP = f"app = ASGI(application, lifespan=False).native_app\n{SERVED}{RUN_LOOP}"
STREAM = "{'type': 'http.response.start', 'status': 200, 'headers': [(b'content-type', b'KIND')]}"
PIECE = "{'type': 'http.response.body', 'body': b'data: x\\r\\n\\r\\n', 'more_body': True}"


def read_all(connection: socket.socket) -> bytes:
    found = b""
    while piece := connection.recv(65536):
        found += piece
    return found


# ---- streams

WAITS = f"""
async def application(scope, receive, send):
    await receive()
    await send({STREAM})
    await send({PIECE})
    print((await receive())["type"], flush=True)
"""
SENDS = f"""
async def application(scope, receive, send):
    await send({STREAM})
    try:
        while True:
            await send({PIECE})
            await asyncio.sleep(0.05)
    except OSError:
        print("http.disconnect", flush=True)
        raise
"""
NEITHER = f"""
async def application(scope, receive, send):
    await send({STREAM})
    await send({PIECE})
    try:
        await asyncio.Event().wait()
    finally:
        print("http.disconnect", flush=True)
"""
SAYS_GOODBYE = f"""
async def application(scope, receive, send):
    await receive()
    await send({STREAM})
    await send({PIECE})
    print((await receive())["type"], flush=True)
    await send({{"type": "http.response.body", "body": b"goodbye"}})
"""


@both_loops
@pytest.mark.parametrize("application", [WAITS, SENDS, NEITHER, SAYS_GOODBYE])
def test_event_streams_end_at_once(loop: str, application: str) -> None:
    text = BEGIN + application.replace("KIND", "text/event-stream; charset=utf-8") + ASGI_APP
    with Program(text, loop) as program:
        streams = [program.connect(GET) for _ in range(20)]
        for each in streams:
            receive_until(each, b"data: x\r\n\r\n")
        # One second, and one more for who neither waits nor sends, and a loaded machine.
        assert program.stop() < (3 if application is NEITHER else 2)
        for each in streams:
            with each:
                # The body ends as bodies end: nothing is missing.
                rest = read_all(each)
                assert rest.endswith(b"0\r\n\r\n")
                assert (b"goodbye" in rest) == (application is SAYS_GOODBYE)
        assert program.stdout.read() == "http.disconnect\n" * 20
        assert program.errors == ""


@both_loops
def test_other_streams_are_told_before_the_time_out(loop: str) -> None:
    text = BEGIN + WAITS.replace("KIND", "application/x-ndjson") + ASGI_APP.replace("False", "False, shutdown_timeout=2")
    with Program(text, loop) as program, program.connect(GET) as stream:
        receive_until(stream, b"data: x\r\n\r\n")
        assert 0.9 < program.stop() < 1.9
        # It is not complete, which the client has to know.
        assert b"0\r\n\r\n" not in read_all(stream)
        assert program.stdout.read() == "http.disconnect\n"
        assert program.errors == ""


def test_a_long_poll_is_told_and_answered() -> None:
    text = (
        "async def application(scope, receive, send):\n    await receive()\n    print('polled', flush=True)\n"
        "    await receive()\n    print('told', flush=True)\n"
    )
    options = ASGI_APP.replace("lifespan=False", "lifespan=False, shutdown_timeout=1")
    with Program(BEGIN + text + options) as program, program.connect(GET) as poll:
        wait_for(program, "polled")
        assert program.stop() < 1.5
        assert read_all(poll).startswith(b"HTTP/1.1 503 ")
        assert program.stdout.read() == "told\n"
        assert program.errors == ""


def test_an_upload_in_flight_is_not_told() -> None:
    text = (
        "async def application(scope, receive, send):\n    size = 0\n    while True:\n        message = await receive()\n"
        "        print(message['type'], flush=True)\n        size += len(message.get('body', b''))\n"
        "        if not message.get('more_body'):\n            break\n"
        "    await send({'type': 'http.response.start', 'status': 200})\n"
        "    await send({'type': 'http.response.body', 'body': str(size).encode()})\n"
    )
    options = ASGI_APP.replace("lifespan=False", "lifespan=False, shutdown_timeout=1")
    with Program(BEGIN + text + options) as program:
        with program.connect(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345") as upload:
            wait_for(program, "http.request")
            program.send_signal()
            time.sleep(0.6)
            upload.sendall(b"67890")
            assert read_all(upload).endswith(b"\r\n\r\n10")
        assert program.wait() == -signal.SIGTERM
        assert program.errors == ""


def stop_with_streams(program: Program, count: int) -> None:
    """Open streams of events, stop the program, and see that each of them ends whole, and in time."""
    streams = [program.connect(GET) for _ in range(count)]
    for each in streams:
        receive_until(each, b"data: x\r\n\r\n")
    assert program.stop() < 2
    for each in streams:
        with each:
            assert read_all(each).endswith(b"0\r\n\r\n")


@both_loops
def test_handlers_of_event_streams_are_told_as_if_the_client_left(loop: str) -> None:
    text = (
        "app = App()\nasync def events(res, req):\n    res.write_header('Content-Type', 'text/event-stream')\n"
        "    res.on_aborted(lambda res: print('aborted', flush=True))\n"
        "    while not res.aborted:\n        res.write('data: x\\r\\n\\r\\n')\n        await asyncio.sleep(0.05)\n"
        "app.get('/', events)\n"
    )
    with Program(BEGIN + text + RUN, loop) as program:
        stop_with_streams(program, 20)
        assert program.stdout.read() == "aborted\n" * 20
        assert program.errors == ""


@pytest.mark.parametrize("threads", [1, 8])
def test_event_streams_of_wsgi_end_with_their_next_block(threads: int) -> None:
    text = (
        "from socketify import WSGI\ndef application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/event-stream')])\n    try:\n        while True:\n"
        "            yield b'data: x\\r\\n\\r\\n'\n            time.sleep(0.01)\n"
        "    finally:\n        os.write(1, b'closed\\n')\napp = WSGI(application, threads=THREADS).native_app\n"
    )
    with Program(BEGIN + text.replace("THREADS", str(threads)) + RUN) as program:
        stop_with_streams(program, 8)
        assert program.stdout.read() == "closed\n" * 8
        assert program.errors == ""


def test_should_exit_is_found_where_uvicorn_has_it() -> None:
    text = (
        "app = App()\nasync def ask(res, req):\n    server = signal.getsignal(signal.SIGTERM).__self__\n"
        "    print(server.should_exit, flush=True)\n    while not server.should_exit:\n        await asyncio.sleep(0.01)\n"
        "    res.end(str(server.should_exit))\napp.get('/', ask)\n"
    )
    with Program(BEGIN + text + RUN) as program, program.connect(GET) as asking:
        wait_for(program, "False")
        assert program.stop() < 2
        assert read_all(asking).endswith(b"True")


# ---- websockets

ECHO = "app = App()\napp.ws('/', {'message': lambda ws, message, opcode: ws.send(message, opcode), 'open': OPEN})\n"


HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
#: 1001, as a server says it, and as a client answers.
GOING_AWAY = b"\x03\xe9the server stops"
ANSWER = b"\x88\x82\0\0\0\0\x03\xe9"


@both_loops
@pytest.mark.parametrize("answers", [True, False])
def test_websockets_that_stay_open_do_not_hold_the_stop(loop: str, answers: bool) -> None:
    """The client answers the close frame, or does not, and keeps its connection in any case."""
    text = BEGIN + ECHO.replace("OPEN", "lambda ws: ws.send('hello', 1)") + RUN
    with Program(text, loop) as program, program.connect(HANDSHAKE) as websocket:
        receive_until(websocket, b"hello")
        program.send_signal()
        receive_until(websocket, GOING_AWAY)
        began = time.monotonic()
        if answers:
            websocket.sendall(ANSWER)
        assert program.wait() == -signal.SIGTERM
        assert time.monotonic() - began < 1.5
        assert websocket.recv(1000) == b""


def test_what_a_websocket_has_pending_is_flushed() -> None:
    size = 20_000_000
    behavior = f"lambda ws: ws.send('x' * {size}, 1)"
    text = ECHO.replace("OPEN", behavior).replace("{'message'", "{'max_backpressure': 0, 'message'")
    with Program(BEGIN + text + RUN) as program, program.connect(HANDSHAKE) as websocket:
        found = receive_until(websocket, b"\r\n\r\n")
        program.send_signal()
        time.sleep(0.5)
        found += read_all(websocket)
        # The message, and the close frame behind it.
        assert found.count(b"x") >= size
        assert found.endswith(GOING_AWAY)
        assert program.wait() == -signal.SIGTERM


def test_a_handshake_that_comes_while_it_stops_is_answered() -> None:
    with Program(BEGIN + ECHO.replace("OPEN", "print") + RUN) as program, program.connect(HANDSHAKE[:20]) as websocket:
        time.sleep(0.1)
        program.send_signal()
        time.sleep(0.05)
        websocket.sendall(HANDSHAKE[20:])
        answer = read_all(websocket)
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert answer.endswith(GOING_AWAY)
        assert program.wait() == -signal.SIGTERM


# ---- connections without a request


@both_loops
@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n", GET])
def test_connections_without_a_request_are_closed_at_once(loop: str, sent: bytes) -> None:
    text = BEGIN + "app = App()\napp.get('/', lambda res, req: res.end('hello'))\n" + RUN
    with Program(text, loop) as program, program.connect(sent) as connection:
        if sent is GET:
            receive_until(connection, b"hello")
        else:
            time.sleep(0.1)
        assert program.stop() < 1
        assert connection.recv(1000) == b""


def test_a_request_whose_head_comes_while_it_stops_is_answered() -> None:
    with Program(BEGIN + "app = App()\napp.get('/', lambda res, req: res.end('hello'))\n" + RUN) as program:
        with program.connect(GET[:10]) as connection:
            time.sleep(0.1)
            program.send_signal()
            time.sleep(0.05)
            connection.sendall(GET[10:])
            answer = read_all(connection)
        assert answer.endswith(b"hello")
        assert b"Connection: close" in answer
        assert program.wait() == -signal.SIGTERM
