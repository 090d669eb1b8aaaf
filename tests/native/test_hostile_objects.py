"""Objects of a program that run code where the server only wants to look at them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
import warnings
from pathlib import Path
from typing import Any, Callable

import httpx
import pytest
from waiting import wait_until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from socketify import App, OpCode, Request, Response
from socketify.native import capabilities

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]}
BODY = {"type": "http.response.body", "body": b"fine"}


class Acting:
    """Equal to, hashed as and as true as a value, and acts whenever it is asked."""

    def __init__(self, value: Any, act: Callable[[], object]) -> None:
        self.value = value
        self.act = act

    def __eq__(self, other: object) -> bool:
        self.act()
        return bool(self.value == other)

    def __hash__(self) -> int:
        self.act()
        return hash(self.value)

    def __bool__(self) -> bool:
        self.act()
        return bool(self.value)

    def __index__(self) -> int:
        self.act()
        return int(self.value)

    def startswith(self, *arguments: Any) -> bool:
        return bool(self.value.startswith(*arguments))


def take_over(send: Any) -> None:
    send.__self__()


def start(send: Any) -> None:
    with contextlib.suppress(StopIteration):
        send(START).send(None)


def answer(send: Any) -> None:
    start(send)
    with contextlib.suppress(StopIteration):
        send(BODY).send(None)


def message(template: dict[str, Any], where: str, act: Callable[[], object]) -> dict[Any, Any]:
    made: dict[Any, Any] = dict(template)
    if where.endswith(" key"):
        name = where[: -len(" key")]
        value = made.pop(name)
        made[Acting(name, act)] = value
    else:
        made[where] = Acting(made.get(where, False), act)
    return made


CASES = [(START, where) for where in ("type", "status", "headers", "trailers", "type key", "status key", "headers key")]
CASES += [(BODY, where) for where in ("type", "body", "more_body", "type key", "body key")]


@pytest.mark.parametrize("change", [take_over, start, answer])
@pytest.mark.parametrize(("template", "where"), CASES, ids=[f"{each['type'][14:]}-{where}" for each, where in CASES])
def test_a_message_that_goes_on_with_the_response(
    serve_asgi: Any, template: dict[str, Any], where: str, change: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda args: None)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/hostile":
            # Two messages at least: what the first spoils, the second may find.
            for each in (START, BODY):
                hostile = each is template and hasattr(send, "__self__")
                await send(message(each, where, lambda: change(send)) if hostile else each)
        else:
            await send(START)
            await send(BODY)

    server = serve_asgi(application)
    with httpx.Client(base_url=server.url) as client:
        for _ in range(3):
            # Where the head was out, the connection is cut.
            with contextlib.suppress(httpx.RemoteProtocolError):
                assert client.get("/hostile").status_code in (200, 500)
            assert client.get("/").text == "fine"


def test_the_access_log_has_a_line_for_what_failed(serve_asgi: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: unraisable.append(args.exc_value))

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if hasattr(send, "__self__"):
            take_over(send)
        raise ValueError("wrong")

    log = tmp_path / "access.log"
    server = serve_asgi(application, access_log="common", access_log_file=str(log))
    assert server.request("GET /lost HTTP/1.1").startswith(b"HTTP/1.1 500 ")
    wait_until(lambda: '"GET /lost HTTP/1.1" 500 ' in log.read_text())
    assert all(isinstance(each, (RuntimeError, ValueError)) for each in unraisable)


class Refusing:
    """A function for sys.settrace that raises once, in the package's own function of a name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.raised = threading.Event()

    def __call__(self, frame: Any, event: str, argument: Any) -> None:
        if (
            frame.f_code.co_name == self.name
            and "socketify" in frame.f_globals.get("__name__", "")
            and not self.raised.is_set()
        ):
            self.raised.set()
            raise ValueError(self.name)


@pytest.mark.parametrize(
    ("name", "path"),
    [("_conclude", "/async"), ("refill", "/new"), ("on_request", "/missing"), ("_upgrade", "/ws"), ("fail", "/error")],
)
def test_a_tracing_function_that_raises(serve: Any, name: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda args: None)
    refusing = Refusing(name)

    async def coroutine(res: Any, req: Any) -> None:
        res.end("async")

    def error(res: Any, req: Any) -> None:
        raise ValueError

    def build(app: App) -> None:
        app.get("/trace", lambda res, req: (res.end("tracing"), sys.settrace(refusing))[0])
        app.get("/async", coroutine)
        app.get("/new", lambda res, req: res.end("new"))
        app.get("/error", error)
        app.ws("/ws", {"upgrade": lambda res, req, context: res.end("no")})

    # What still belongs to the request that sets it shall not raise.
    refusing.raised.set()
    server = serve(build)
    headers = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    headers["sec-websocket-key"] = "AAAAAAAAAAAAAAAAAAAAAA=="
    with httpx.Client(base_url=server.url) as client:
        assert client.get("/trace").text == "tracing"
        refusing.raised.clear()
        answer = client.get(path, headers=headers if path == "/ws" else {})
        assert answer.status_code == 500 or not refusing.raised.is_set()
        assert client.get("/new").text == "new"
    # Where references are not counted, a coroutine that was never begun says so when it is collected, in another test.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        gc.collect()


def test_a_tracing_function_that_raises_at_a_later_route(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda args: None)
    refusing = Refusing("on_request")

    def first(res: Any, req: Any) -> None:
        req.set_yield(True)
        sys.settrace(refusing)

    def build(app: App) -> None:
        app.get("/", first)
        app.get("/", lambda res, req: res.send(b"forbidden", status=403))
        app.get("/", lambda res, req: res.end("secret"))

    server = serve(build)
    assert httpx.get(server.url).status_code == (500 if refusing.raised.is_set() else 403)
    sys.settrace(None)


def test_no_body_has_a_hole(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda args: None)
    refusing = Refusing("on_body")
    pieces: list[bytes] = []

    def on_data(res: Any, chunk: bytes, last: bool) -> None:
        pieces.append(chunk)
        sys.settrace(refusing)
        if last:
            res.end(b"".join(pieces))

    server = serve(lambda app: app.post("/", lambda res, req: res.on_data(on_data)))
    body = b"".join(b"1\r\n%d\r\n" % number for number in range(8)) + b"0\r\n\r\n"
    answer = server.exchange(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    assert refusing.raised.is_set()
    assert not answer.startswith(b"HTTP/1.1 200 ")


def test_a_tracing_function_that_raises_at_a_message(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda args: None)
    # Whoever the native side calls.
    refusing = Refusing("_on_result" if capabilities.members else "on_message")

    async def on_message(ws: Any, message: str, opcode: int) -> None:
        sys.settrace(refusing)
        ws.send(message)

    server = serve(lambda app: app.ws("/", {"message": on_message}))
    with connect(server.ws_url, compression=None) as client:
        client.send("trace")
        assert client.recv(timeout=10) == b"trace"
        client.send("raises")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011


def test_a_function_of_sys_monitoring_that_raises(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is None:
        pytest.skip("since CPython 3.12")
    monkeypatch.setattr(sys, "unraisablehook", lambda args: None)

    def refuse(code: Any, offset: int) -> None:
        if code.co_name in ("_conclude", "on_request") and "handlers" in code.co_filename:
            raise ValueError(code.co_name)

    async def coroutine(res: Any, req: Any) -> None:
        res.end("async")

    server = serve(lambda app: app.get("/async", coroutine))
    monitoring.use_tool_id(monitoring.PROFILER_ID, "tests")
    monitoring.register_callback(monitoring.PROFILER_ID, monitoring.events.PY_START, refuse)
    monitoring.set_events(monitoring.PROFILER_ID, monitoring.events.PY_START)
    try:
        for path in ("/async", "/missing"):
            assert httpx.get(server.url + path).status_code == 500
    finally:
        monitoring.set_events(monitoring.PROFILER_ID, 0)
        monitoring.free_tool_id(monitoring.PROFILER_ID)
    assert httpx.get(server.url + "/async").text == "async"


@pytest.mark.parametrize("put", ["nothing", "object", "number", "websocket", "derived", "slots"])
def test_a_websocket_whose_session_is_changed(serve: Any, put: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda args: None)
    own: list[Any] = []

    def spoil(ws: Any) -> None:
        own.append(ws.session_)
        if put == "slots":
            for name in ("handle", "inbox", "busy", "socket"):
                delattr(ws.session_, name)
        elif put == "nothing":
            del ws.session_
        else:
            derived = type("Derived", (type(ws.session_),), {"__slots__": ("more",)})
            others = {"object": object(), "number": 5, "websocket": ws, "derived": derived(ws.session_.core)}
            ws.session_ = others[put]

    def on_message(ws: Any, message: str, opcode: OpCode) -> None:
        if message == "spoil":
            spoil(ws)
            for _ in range(3):
                with contextlib.suppress(AttributeError):
                    ws.send("spoilt", opcode)
        ws.send(message, opcode)

    server = serve(lambda app: app.ws("/", {"message": on_message, "close": lambda ws, code, message: ws.is_closed}))
    for _ in range(3):
        with connect(server.ws_url, compression=None) as client:
            client.send("spoil")
            # Who changes what is the framework's may lose the connection, but nobody else does.
            with contextlib.suppress(ConnectionClosed, TimeoutError):
                client.recv(timeout=1)
    with connect(server.ws_url, compression=None) as client:
        for message in ("one", "two"):
            client.send(message)
            assert client.recv(timeout=10) == message


def test_a_websocket_with_the_session_of_another_one(serve: Any) -> None:
    sessions: list[Any] = []
    closed: list[str] = []

    def on_open(ws: Any) -> None:
        sessions.append(ws.session_)
        # The second one speaks for the first.
        ws.session_ = sessions[0]

    def build(app: App) -> None:
        handlers = {"message": lambda ws, message, opcode: ws.send(message, opcode)}
        app.ws("/", {**handlers, "open": on_open, "close": lambda ws, code, message: closed.append(message)})
        app.ws("/plain", handlers)

    server = serve(build)
    with connect(server.ws_url, compression=None) as first, connect(server.ws_url, compression=None) as second:
        second.send("to the first")
        assert first.recv(timeout=10) == "to the first"
        first.close(reason="first")
        second.send("to nobody")
        second.close(reason="second")
    for message in ("one", "two"):
        with connect(f"{server.ws_url}/plain", compression=None) as client:
            client.send(message)
            assert client.recv(timeout=10) == message
    assert sorted(closed) == ["first", "second"]


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("then", ["raises", "waits"])
def test_a_handler_that_takes_the_session_away_and(serve: Any, then: str, cut: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda args: None)

    async def wait() -> None:
        await asyncio.sleep(0)

    def on_message(ws: Any, message: str, opcode: OpCode) -> Any:
        if message == "plain":
            return ws.send(message, opcode)
        if cut:
            ws.close()
        del ws.session_
        if then == "raises":
            raise ValueError(message)
        return wait()

    server = serve(lambda app: app.ws("/", {"message": on_message}))
    for _ in range(3):
        with connect(server.ws_url, compression=None) as client:
            client.send("hostile")
            if cut or then == "raises":
                with pytest.raises(ConnectionClosed):
                    client.recv(timeout=10)
        with connect(server.ws_url, compression=None) as client:
            client.send("plain")
            assert client.recv(timeout=10) == "plain"


@pytest.mark.parametrize("then", ["raises", "returns"])
def test_a_handler_that_gets_what_is_no_websocket_and_cuts(serve: Any, then: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda args: None)
    websockets: list[Any] = []

    def on_message(ws: Any, message: str, opcode: OpCode) -> Any:
        if message == "plain":
            return ws.send(message, opcode)
        if message == "put":
            websockets.append(ws)
            # Smaller than a websocket: what lies behind it is somebody else's.
            ws.session_.socket = 5
            return ws.send(message, opcode)
        websockets.pop().close()
        if then == "raises":
            raise ValueError(message)
        return 5

    server = serve(lambda app: app.ws("/", {"message": on_message}))
    for _ in range(3):
        with connect(server.ws_url, compression=None) as client:
            client.send("put")
            assert client.recv(timeout=10) == "put"
            client.send("cut")
            with pytest.raises(ConnectionClosed):
                client.recv(timeout=10)
        with connect(server.ws_url, compression=None) as client:
            client.send("plain")
            assert client.recv(timeout=10) == "plain"


def test_an_exchange_that_a_program_keeps_serves_no_other_request(serve: Any) -> None:
    kept: list[Any] = []
    used: list[int] = []

    def keep(res: Response, _req: Request) -> None:
        kept.append(res.exchange_)
        res.end("kept")

    def plain(res: Response, _req: Request) -> None:
        used.append(id(res.exchange_))
        for exchange in kept:
            with contextlib.suppress(RuntimeError):
                exchange.end(None, b"of another request", 0)
        res.end("plain")

    server = serve(lambda app: app.get("/keep", keep).get("/", plain))
    for _ in range(3):
        assert httpx.get(server.url + "/keep").text == "kept"
        assert httpx.get(server.url).text == "plain"
    assert len({id(exchange) for exchange in kept}) == 3
    assert len(set(used)) == 1 or not capabilities.members
