"""Every request ends: whatever a handler ends in, its client is told, the log has it once, and the server goes on."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
import time
from typing import Any, Callable, Optional

import pytest
from app_servers import read_all
from capabilities import counts_references, lack, tells_of_ignored_exceptions
from outcome_errors import ENDS, end_in, failures
from waiting import wait_until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from socketify import App, Limits, OpCode, Request, Response, middleware

GET = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
STATUS_500 = b"HTTP/1.1 500 "
PART = b"part"

every_end = pytest.mark.parametrize("name", ENDS)
before_and_after_a_wait = pytest.mark.parametrize("waits", [False, True], ids=["at once", "after a wait"])


async def handle(res: Response, name: str, waits: bool, begun: bool) -> None:
    if begun:
        res.write(PART)
    await end_in(name, waits)


def route_of(kind: str, name: str, waits: bool, begun: bool) -> Callable[[App], Any]:
    """Give what builds an app of which every request fails."""

    async def handler(res: Response, _req: Request) -> None:
        await handle(res, name, waits, begun)

    async def passes(_res: Response, _req: Request, _data: Any = None) -> bool:
        await asyncio.sleep(0)
        return True

    def starts(res: Response, _req: Request) -> None:
        res.run_async(handle(res, name, waits, begun))

    def build(app: App) -> None:
        app.get("/good", lambda res, _req: res.end("good"))
        if kind == "handler":
            app.get("/", handler)
        elif kind == "middleware":
            app.get("/", middleware(handler, passes))
        elif kind == "behind a middleware":
            app.get("/", middleware(passes, handler))
        elif kind == "run_async":
            app.get("/", starts)
        elif kind == "extension":
            app.register(lambda _request, response, _ws: response.method(fails))
            app.get("/", lambda res, _req: res.fails())
        elif kind == "upgrade":
            app.ws("/", {"upgrade": lambda res, req, _context: handler(res, req)})

    async def fails(self: Response) -> None:
        await handle(self, name, waits, begun)

    return build


def ask(server: Any, kind: str) -> bytes:
    if kind != "upgrade":
        return server.exchange(GET)
    head = GET.replace(b"Connection: close\r\n", b"Connection: Upgrade\r\nUpgrade: websocket\r\n")
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    with server.connect() as connection:
        connection.sendall(head[:-2] + key)
        answer = b""
        while not answer.startswith(STATUS_500) and (piece := connection.recv(65536)):
            answer += piece
        return answer


@pytest.mark.parametrize("begun", [False, True], ids=["nothing is out", "the head is out"])
@before_and_after_a_wait
@every_end
@pytest.mark.parametrize("kind", ["handler", "middleware", "behind a middleware", "run_async", "extension", "upgrade"])
def test_requests(serve: Callable[..., Any], caplog: Any, kind: str, name: str, waits: bool, begun: bool) -> None:
    server = serve(route_of(kind, name, waits, begun))
    answer = ask(server, kind)
    if begun:
        assert PART in answer
        assert not answer.endswith(b"0\r\n\r\n")
    else:
        assert answer.startswith(STATUS_500)
    assert server.exchange(GET.replace(b"/ ", b"/good ")).endswith(b"good")
    assert failures(caplog) == [ENDS[name][1]]


@before_and_after_a_wait
@every_end
def test_the_error_handler_is_told(serve: Callable[..., Any], caplog: Any, name: str, waits: bool) -> None:
    told: list[str] = []

    def build(app: App) -> None:
        route_of("handler", name, waits, False)(app)
        app.on_error(lambda error, _res, _req: told.append(type(error).__name__))

    server = serve(build)
    assert server.exchange(GET).startswith(STATUS_500)
    assert (told, failures(caplog)) == ([ENDS[name][1]], [ENDS[name][1]])


def test_what_the_error_handler_answers_is_not_logged(serve: Callable[..., Any], caplog: Any) -> None:
    def build(app: App) -> None:
        route_of("handler", "SystemExit", True, False)(app)
        app.on_error(lambda _error, res, _req: res.send("mine", status=418))

    assert serve(build).exchange(GET).endswith(b"mine")
    assert failures(caplog) == []


@before_and_after_a_wait
@every_end
def test_the_error_handler_itself(serve: Callable[..., Any], caplog: Any, name: str, waits: bool) -> None:
    async def on_error(_error: BaseException, _res: Optional[Response], _req: Optional[Request]) -> None:
        await end_in(name, waits)

    def build(app: App) -> None:
        route_of("handler", "an exception", False, False)(app)
        app.on_error(on_error)

    server = serve(build)
    assert server.exchange(GET).startswith(STATUS_500)
    assert server.exchange(GET.replace(b"/ ", b"/good ")).endswith(b"good")
    assert failures(caplog) == [ENDS[name][1]]
    assert "ValueError: x" in caplog.text


@before_and_after_a_wait
@every_end
def test_a_message_handler_closes_its_websocket(serve: Callable[..., Any], caplog: Any, name: str, waits: bool) -> None:
    closed: list[int] = []

    async def message(_ws: Any, _message: Any, _opcode: OpCode) -> None:
        await end_in(name, waits)

    async def close(_ws: Any, code: int, _reason: str) -> None:
        await asyncio.sleep(0)
        closed.append(code)

    def build(app: App) -> None:
        app.get("/good", lambda res, _req: res.end("good"))
        app.ws("/", {"message": message, "close": close})

    server = serve(build)
    with connect(server.ws_url) as client:
        client.send("x")
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=10)
        assert client.close_code == 1011
    assert failures(caplog) == [ENDS[name][1]]
    wait_until(lambda: closed)
    assert server.exchange(GET.replace(b"/ ", b"/good ")).endswith(b"good")


@pytest.mark.parametrize("event", ["open", "message", "ping", "subscription"])
@every_end
def test_other_websocket_handlers(serve: Callable[..., Any], caplog: Any, event: str, name: str) -> None:
    called: list[Any] = []

    async def fails(_ws: Any, *arguments: Any) -> None:
        # The topic is left, too, when the websocket closes.
        called.append(arguments)
        if len(called) == 1:
            await end_in(name, True)

    async def opened(ws: Any) -> None:
        ws.subscribe("x")

    server = serve(lambda app: app.ws("/", {"open": opened, event: fails}))
    with connect(server.ws_url) as client:
        with contextlib.suppress(ConnectionClosed):
            client.send("x")
            client.ping()
            client.recv(timeout=10)
        assert client.close_code == 1011
    assert failures(caplog) == [ENDS[name][1]]


def test_the_messages_behind_a_failed_handler_reach_theirs(serve: Callable[..., Any]) -> None:
    """Those that came before the close frame went out."""
    seen: list[str] = []
    gates: list[asyncio.Event] = []

    async def message(_ws: Any, text: str, _opcode: OpCode) -> None:
        seen.append(text)
        if text == "0":
            # Made here: on CPython 3.9 an event belongs to the loop that it is made in.
            gates.append(asyncio.Event())
            await gates[0].wait()
            raise asyncio.CancelledError

    server = serve(lambda app: app.ws("/", {"message": message, "ping": lambda _ws, _data: gates[0].set()}))
    with connect(server.ws_url) as client:
        for number in range(5):
            client.send(str(number))
        client.ping()
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=10)
    wait_until(lambda: len(seen) == 5)
    assert seen == ["0", "1", "2", "3", "4"]


def test_an_innocent_request_is_not_cancelled_for_the_one_before(serve: Callable[..., Any], caplog: Any) -> None:
    async def guilty(res: Response, _req: Request) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        res.end("guilty")

    async def innocent(res: Response, _req: Request) -> None:
        await asyncio.sleep(0)
        res.end("innocent")

    server = serve(lambda app: app.get("/guilty", guilty).get("/", innocent))
    answer = server.exchange(b"GET /guilty HTTP/1.1\r\nHost: x\r\n\r\n" * 2 + GET)
    assert answer.count(b"guilty") == 2
    assert answer.endswith(b"innocent")
    assert failures(caplog) == []


def test_coroutine_handlers_may_begin_inside_one_another(serve: Callable[..., Any], caplog: Any) -> None:
    """An open handler inside an upgrade handler that waited, and a subscription handler inside a message handler."""

    async def upgrade(res: Response, req: Request, context: Any) -> None:
        key = req.get_header("sec-websocket-key")
        await asyncio.sleep(0)
        task = asyncio.current_task()
        res.upgrade(key or "", None, None, context)
        assert asyncio.current_task() is task

    async def opened(ws: Any) -> None:
        await asyncio.sleep(0)
        ws.send("open", OpCode.TEXT)

    async def message(ws: Any, _message: str, _opcode: OpCode) -> None:
        task = asyncio.current_task()
        ws.subscribe("x")
        assert asyncio.current_task() is task
        await asyncio.sleep(0)
        ws.send("message", OpCode.TEXT)

    server = serve(lambda app: app.ws("/", {"upgrade": upgrade, "open": opened, "message": message, "subscription": told}))
    with connect(server.ws_url) as client:
        assert client.recv(timeout=10) == "open"
        client.send("x")
        assert {client.recv(timeout=10), client.recv(timeout=10)} == {"message", "subscribed"}
    assert failures(caplog) == []


async def told(ws: Any, _topic: str, _count: int, _before: int) -> None:
    if ws.is_subscribed("x"):
        await asyncio.sleep(0)
        ws.send("subscribed", OpCode.TEXT)


def test_a_stop_is_no_failure(serve: Callable[..., Any], caplog: Any) -> None:
    """What the server cancels as it stops is not logged."""
    entered = threading.Event()

    async def handler(_res: Response, _req: Request) -> None:
        entered.set()
        await asyncio.sleep(60)

    server = serve(lambda app: app.get("/", handler), shutdown_timeout=1)
    with server.connect() as connection:
        connection.sendall(GET)
        assert entered.wait(10)
        server.app.close()
        answer = connection.recv(65536)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 503 ")
    assert failures(caplog) == []


@tells_of_ignored_exceptions
@pytest.mark.parametrize("by_address", [False, True], ids=["ctypes", "C API"])
def test_what_cannot_even_be_told_is_a_500(
    serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, by_address: bool
) -> None:
    """An exception that comes to the native side, which prints it, answers its request."""
    ignored: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: ignored.append(unraisable.exc_type))

    def fails(_handle: int) -> int:
        raise MemoryError

    def build(app: App) -> None:
        with monkeypatch.context() as patched:
            if not by_address:
                lack(patched, c_api=False)
            app.core.route("GET", "/", fails)

    assert serve(build).exchange(GET).startswith(STATUS_500)
    assert ignored == [MemoryError]


# ---- responses that nobody ends


@counts_references
@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("how", ["write", "try_end"])
@pytest.mark.parametrize("answer_errors", [False, True], ids=["", "with an error handler"])
def test_a_response_that_is_begun_and_forgotten_is_cut(
    serve: Callable[..., Any], caplog: Any, how: str, asynchronous: bool, answer_errors: bool
) -> None:
    def answer_error(_error: BaseException, res: Any, _req: Any) -> None:
        # It does not look whether the response has begun.
        res.send("failed", status=500)

    def begin(res: Response) -> None:
        if how == "write":
            res.write(PART)
        else:
            res.try_end(PART, 100)

    async def waits(res: Response, _req: Request) -> None:
        res.grab_aborted_handler().on_aborted(lambda _: None)
        await res.get_data()
        await asyncio.sleep(0)
        begin(res)

    def build(app: App) -> None:
        app.get("/", waits if asynchronous else lambda res, _req: begin(res))
        if answer_errors:
            app.on_error(answer_error)

    server = serve(build, limits=Limits(max_concurrent_requests=1))
    for count in range(1, 3):
        answer = server.exchange(GET)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert PART in answer
        assert not answer.endswith(b"0\r\n\r\n")
        assert failures(caplog) == ["RuntimeError"] * count


@counts_references
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_response_that_only_its_own_abort_handler_refers_to_is_dropped(
    serve: Callable[..., Any], caplog: Any, asynchronous: bool
) -> None:
    dropped: list[bool] = []

    def refer(res: Response, _req: Request) -> None:
        res.on_aborted(lambda _: dropped.append(res.aborted))

    async def refer_and_wait(res: Response, req: Request) -> None:
        await asyncio.sleep(0)
        refer(res, req)

    def collect(res: Response, _req: Request) -> None:
        gc.collect()
        res.end("collected")

    server = serve(lambda app: app.get("/", refer_and_wait if asynchronous else refer).get("/collect", collect))
    with server.connect() as connection:
        connection.sendall(GET)
        deadline = time.monotonic() + 5
        while not failures(caplog):
            assert time.monotonic() < deadline
            server.exchange(GET.replace(b"/ ", b"/collect "))
        assert read_all(connection).startswith(STATUS_500)
    assert failures(caplog) == ["RuntimeError"]
    assert not dropped


@pytest.mark.parametrize("begun", [False, True])
def test_a_response_that_is_held_and_forgotten_obeys_a_time_out(serve: Callable[..., Any], caplog: Any, begun: bool) -> None:
    held: list[Response] = []
    aborted: list[bool] = []

    def hold(res: Response, _req: Request) -> None:
        held.append(res)
        res.on_aborted(lambda res: aborted.append(res.aborted))
        if begun:
            res.write(PART)

    def build(app: App) -> None:
        app.get("/", hold).get("/good", lambda res, _req: res.end("good"))

    server = serve(build, limits=Limits(response_timeout=1, max_concurrent_requests=1))
    answer = server.exchange(GET)
    assert (PART in answer) if begun else answer.startswith(STATUS_500)
    assert aborted == [True]
    assert failures(caplog) == ["TimeoutError"]
    assert server.exchange(GET.replace(b"/ ", b"/good ")).endswith(b"good")


def test_each_piece_begins_the_time_out_anew(serve: Callable[..., Any], caplog: Any) -> None:
    async def stream(res: Response, _req: Request) -> None:
        for _ in range(12):
            res.write(b".")
            await asyncio.sleep(0.3)
        res.end(b"end")

    server = serve(lambda app: app.get("/", stream), limits=Limits(response_timeout=2))
    assert b"end" in server.exchange(GET)
    assert failures(caplog) == []


@pytest.mark.parametrize("begun", [False, True])
def test_a_response_that_another_threads_collection_drops(serve: Callable[..., Any], caplog: Any, begun: bool) -> None:
    held: list[Any] = []
    taken = threading.Event()

    def hold(res: Response, _req: Request) -> None:
        if begun:
            res.write(PART)
        cycle: list[Any] = [res]
        cycle.append(cycle)
        held.append(cycle)
        taken.set()

    server = serve(lambda app: app.get("/", hold))
    with server.connect() as connection:
        connection.sendall(GET)
        assert taken.wait(10)
        wait_until(lambda: held)
        time.sleep(0.05)
        held.clear()
        gc.collect()
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert (PART in answer) if begun else answer.startswith(STATUS_500)
    assert failures(caplog) == ["RuntimeError"]
