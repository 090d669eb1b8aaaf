"""Spans and metrics of an app's handlers, as the SDK of OpenTelemetry gets them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable

import httpx
import pytest
from app_servers import HTTP_2, Server
from opentelemetry import baggage, trace
from opentelemetry.trace import SpanKind, StatusCode
from server_programs import environment
from spans import PARENT, TRACE, TRACEPARENT, Recorder, global_recorder
from websocket_client import open_
from wsgi_server import served

from socketify import SSGI, App, HTTPError, OpCode, middleware


@pytest.fixture
def recorder() -> Recorder:
    return global_recorder()


@pytest.fixture
def traced(serve: Callable[..., Server], recorder: Recorder) -> Callable[..., Server]:
    return lambda build, **options: serve(build, otel=True, **options)


def current_span() -> str:
    """Return the name of the current span, from where a handler is."""
    return getattr(trace.get_current_span(), "name", "none")


def fetch(server: Server, path: str = "/", method: str = "GET", **options: Any) -> httpx.Response:
    with httpx.Client(verify=False) as client:
        return client.request(method, server.url + path, **options)


def test_a_request_is_a_span_of_the_conventions(traced: Callable[..., Server], recorder: Recorder) -> None:
    server = traced(lambda app: app.get("/users/:id", lambda res, _req: res.end(current_span())))
    before = time.time_ns()
    answer = fetch(server, "/users/7?Signature=a&full=1&sig=b&Sig=c", headers={"User-Agent": "tests"})
    assert answer.text == "GET /users/:id"
    span = recorder.one("GET /users/:id")
    assert before <= (span.start_time or 0) <= (span.end_time or 0) <= time.time_ns()
    assert (span.kind, span.status.status_code, span.parent) == (SpanKind.SERVER, StatusCode.UNSET, None)
    scheme = server.url.partition(":")[0]
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET",
        "http.route": "/users/:id",
        "http.response.status_code": 200,
        "url.path": "/users/7",
        "url.query": "Signature=REDACTED&full=1&sig=REDACTED&Sig=c",
        "url.scheme": scheme,
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "client.address": "127.0.0.1",
        "network.protocol.version": "2" if HTTP_2 else "1.1",
        "user_agent.original": "tests",
    }
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "socketify"


def test_the_trace_of_the_client_goes_on(traced: Callable[..., Server], recorder: Recorder) -> None:
    def home(res: Any, _req: Any) -> None:
        state = trace.get_current_span().get_span_context().trace_state
        res.end(f"{baggage.get_baggage('shop')} {state.get('one')} {state.get('two')}")

    server = traced(lambda app: app.get("/", home))
    fields = [("traceparent", TRACEPARENT), ("tracestate", "one=1"), ("Tracestate", "two=2"), ("baggage", "shop=books")]
    assert fetch(server, headers=fields).text == "books 1 2"
    span = recorder.one("GET /")
    assert span.parent is not None
    assert (span.parent.trace_id, span.parent.span_id, span.parent.is_remote) == (TRACE, PARENT, True)
    assert span.context is not None
    assert span.context.trace_id == TRACE


@pytest.mark.parametrize(
    "fields",
    [
        [("traceparent", "nonsense")],
        [("traceparent", TRACEPARENT), ("traceparent", TRACEPARENT)],
        [("traceparent", TRACEPARENT.replace("-", "_"))],
    ],
)
def test_what_is_no_trace_context_begins_a_trace(
    traced: Callable[..., Server], recorder: Recorder, fields: list[tuple[str, str]]
) -> None:
    server = traced(lambda app: app.get("/", lambda res, _req: res.end("ok")))
    assert fetch(server, headers=fields).status_code == 200
    assert recorder.one("GET /").parent is None


def test_the_span_is_current_wherever_the_handler_goes_on(traced: Callable[..., Server], recorder: Recorder) -> None:
    tracer = trace.get_tracer("tests")

    async def waits(res: Any, _req: Any) -> None:
        names = [current_span()]
        await asyncio.sleep(0)
        names.append(current_span())
        names.append(await asyncio.create_task(asyncio.wait_for(named(), 20)))
        with tracer.start_as_current_span("inner"):
            await asyncio.sleep(0)
        res.send(names)

    async def named() -> str:
        return current_span()

    def body(res: Any, _req: Any) -> None:
        async def last(res: Any, _chunk: bytes, is_end: bool) -> None:
            await asyncio.sleep(0)
            if is_end:
                res.end(current_span())

        res.on_data(last)

    def later(res: Any, _req: Any) -> None:
        async def answer() -> None:
            await asyncio.sleep(0)
            res.end(current_span())

        res.run_async(answer())

    async def guard(_res: Any, _req: Any, _data: Any) -> Any:
        await asyncio.sleep(0)
        return current_span()

    def build(app: App) -> None:
        app.get("/waits", waits)
        app.post("/body", body)
        app.get("/later", later)
        app.get("/middleware", middleware(guard, lambda res, _req, data: res.end(f"{data}, {current_span()}")))
        app.get("/none", lambda res, _req: app.loop.loop.call_soon(lambda: res.end(current_span())))

    server = traced(build)
    assert fetch(server, "/waits").json() == ["GET /waits"] * 3
    assert fetch(server, "/body", "POST", content=b"x" * 100_000).text == "POST /body"
    assert fetch(server, "/later").text == "GET /later"
    assert fetch(server, "/middleware").text == "GET /middleware, GET /middleware"
    assert fetch(server, "/none").text == "GET /none"
    inner, outer = recorder.one("inner"), recorder.one("GET /waits")
    assert inner.parent is not None
    assert outer.context is not None
    assert inner.parent.span_id == outer.context.span_id
    assert current_span() == "none"


def test_requests_at_the_same_time_have_spans_of_their_own(traced: Callable[..., Server], recorder: Recorder) -> None:
    async def handler(res: Any, req: Any) -> None:
        before = trace.get_current_span().get_span_context().span_id
        await asyncio.sleep(0.01)
        res.send({"same": before == trace.get_current_span().get_span_context().span_id, "id": before})

    server = traced(lambda app: app.get("/", handler))

    async def ask() -> list[dict[str, Any]]:
        async with httpx.AsyncClient(verify=False) as client:
            return [each.json() for each in await asyncio.gather(*(client.get(server.url) for _ in range(20)))]

    answers = asyncio.run(ask())
    assert all(each["same"] for each in answers)
    spans = recorder.wait_for("GET /", 20)
    assert {each["id"] for each in answers} == {each.context.span_id for each in spans if each.context}


def test_errors(traced: Callable[..., Server], recorder: Recorder) -> None:
    def fails(_res: Any, _req: Any) -> None:
        raise ValueError("wrong")

    async def fails_later(_res: Any, _req: Any) -> None:
        await asyncio.sleep(0)
        raise httpx.ReadError("elsewhere")

    def refuses(_res: Any, _req: Any) -> None:
        raise HTTPError(409, "no")

    def fails_in_body(res: Any, _req: Any) -> None:
        def on_data(_res: Any, _chunk: bytes, _is_end: bool) -> None:
            raise KeyError("piece")

        res.on_data(on_data)

    seen: list[str] = []

    def on_error(_error: Any, _res: Any, _req: Any) -> None:
        seen.append(current_span())

    def build(app: App) -> None:
        app.on_error(on_error)
        app.get("/fails", fails)
        app.get("/later", fails_later)
        app.get("/refuses", refuses)
        app.post("/body", fails_in_body)
        app.get("/answers", lambda res, _req: res.send("no", status=503))

    server = traced(build)
    for path, name, message in (
        ("/fails", "ValueError", "wrong"),
        ("/later", "httpx.ReadError", "elsewhere"),
        ("/body", "KeyError", "'piece'"),
    ):
        method = "POST" if path == "/body" else "GET"
        assert fetch(server, path, method, content=b"x" if path == "/body" else None).status_code == 500
        span = recorder.one(f"{method} {path}")
        attributes = dict(span.attributes or {})
        assert (attributes["error.type"], attributes["http.response.status_code"]) == (name, 500)
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, f"{name}: {message}")
        (event,) = span.events
        recorded = dict(event.attributes or {})
        assert (event.name, recorded["exception.type"], recorded["exception.message"]) == ("exception", name, message)
        assert seen.pop() == f"{method} {path}"
    assert fetch(server, "/refuses").status_code == 409
    span = recorder.one("GET /refuses")
    assert (span.status.status_code, span.events) == (StatusCode.UNSET, ())
    assert "error.type" not in dict(span.attributes or {})
    assert fetch(server, "/answers").status_code == 503
    span = recorder.one("GET /answers")
    assert span.status.status_code == StatusCode.ERROR
    assert dict(span.attributes or {})["error.type"] == "503"
    assert recorder.points("http.server.request.duration", http__route="/fails", error__type="ValueError")


def test_an_error_that_the_error_handler_answered_is_none_of_the_server(
    traced: Callable[..., Server], recorder: Recorder
) -> None:
    def fails(_res: Any, _req: Any) -> None:
        raise LookupError("nobody")

    def fails_late(res: Any, _req: Any) -> None:
        res.end("done")
        raise LookupError("late")

    def build(app: App) -> None:
        app.on_error(lambda _error, res, _req: None if res.has_responded() else res.send("nobody", status=404))
        app.get("/", fails)
        app.get("/late", fails_late)

    server = traced(build)
    assert fetch(server).status_code == 404
    assert fetch(server, "/late").text == "done"
    for name in ("GET /", "GET /late"):
        span = recorder.one(name)
        assert span.status.status_code == StatusCode.UNSET
        assert "error.type" not in dict(span.attributes or {})
        assert [each.name for each in span.events] == ["exception"]


def test_no_route_and_unknown_methods(traced: Callable[..., Server], recorder: Recorder) -> None:
    server = traced(lambda app: app.any("/any", lambda res, _req: res.end("any")).get("/get", lambda res, _req: res.end("get")))
    assert fetch(server, "/nowhere").status_code == 404
    span = recorder.one("GET")
    attributes = dict(span.attributes or {})
    assert (attributes["http.response.status_code"], attributes["url.path"]) == (404, "/nowhere")
    assert "http.route" not in attributes
    assert fetch(server, "/any", "BREW").status_code == 200
    attributes = dict(recorder.one("HTTP /any").attributes or {})
    assert (attributes["http.request.method"], attributes["http.request.method_original"]) == ("_OTHER", "BREW")
    assert fetch(server, "/get", "HEAD").status_code == 200
    assert dict(recorder.one("HEAD /get").attributes or {})["http.response.status_code"] == 200


def test_a_request_that_is_passed_on_has_one_span(traced: Callable[..., Server], recorder: Recorder) -> None:
    def build(app: App) -> None:
        app.get("/*", lambda res, _req: res.end(current_span()))
        app.get("/one", lambda _res, req: req.set_yield(1))

    assert fetch(traced(build), "/one").text == "GET /*"
    assert dict(recorder.one("GET /*").attributes or {})["http.route"] == "/*"
    assert len(recorder.spans()) == 1


def test_a_client_that_leaves(traced: Callable[..., Server], recorder: Recorder) -> None:
    left: list[str] = []
    held: list[Any] = []
    arrived = threading.Event()

    def never(res: Any, _req: Any) -> None:
        held.append(res.on_aborted(lambda _res: left.append(current_span())))
        arrived.set()

    def endless(res: Any, _req: Any) -> None:
        held.append(res.on_aborted(lambda _res: None))
        res.write("begun")

    server = traced(lambda app: app.get("/never", never).get("/endless", endless))
    with server.connect() as connection:
        connection.sendall(b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n")
        assert arrived.wait(20)
    span = recorder.one("GET /never")
    attributes = dict(span.attributes or {})
    assert attributes["error.type"] == "aborted"
    assert "http.response.status_code" not in attributes
    assert span.status.status_code == StatusCode.ERROR
    assert left == ["GET /never"]
    with httpx.stream("GET", server.url + "/endless", verify=False) as answer:
        assert next(answer.iter_text()) == "begun"
    span = recorder.one("GET /endless")
    assert dict(span.attributes or {})["http.response.status_code"] == 200
    assert span.status.status_code == StatusCode.UNSET


def test_metrics(traced: Callable[..., Server], recorder: Recorder) -> None:
    waiters: list[Any] = []

    async def wait(res: Any, _req: Any) -> None:
        waiters.append(asyncio.get_running_loop().create_future())
        res.write("waiting")
        await waiters[0]
        res.end()

    server = traced(lambda app: app.get("/measured/:id", lambda res, _req: res.end("ok")).get("/wait", wait))
    active = {"http__request__method": "GET", "url__scheme": server.url.partition(":")[0]}
    before = sum(each.value for each in recorder.points("http.server.active_requests", **active))
    for number in range(3):
        fetch(server, f"/measured/{number}")
    recorder.wait_for("GET /measured/:id", 3)
    with httpx.stream("GET", server.url + "/wait", verify=False):
        (point,) = recorder.points("http.server.active_requests", **active)
        assert point.value == before + 1
        assert server.app is not None
        server.app.loop.loop.call_soon_threadsafe(waiters[0].set_result, None)
    recorder.wait_for("GET /wait")
    (point,) = recorder.points("http.server.active_requests", **active)
    assert point.value == before
    (point,) = recorder.points("http.server.request.duration", http__route="/measured/:id")
    assert point.count == 3
    assert 0 <= point.min <= point.max < 60
    assert point.explicit_bounds[:3] == (0.005, 0.01, 0.025)
    assert dict(point.attributes) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/measured/:id",
        "network.protocol.version": "2" if HTTP_2 else "1.1",
        "url.scheme": server.url.partition(":")[0],
    }


def test_websockets(traced: Callable[..., Server], recorder: Recorder) -> None:
    async def message(ws: Any, data: str, _opcode: Any) -> None:
        await asyncio.sleep(0)
        if data == "fail":
            raise ValueError("wrong")
        ws.send(current_span(), OpCode.TEXT)

    def build(app: App) -> None:
        opened: dict[str, Any] = {"open": lambda ws: ws.send(current_span(), OpCode.TEXT), "message": message}
        app.ws("/chat/:room", {**opened, "close": lambda *_: None})
        app.ws("/quiet", {"message": lambda ws, data, opcode: ws.send(data, opcode)})

    server = traced(build)
    with open_(server, "/chat/one", additional_headers={"traceparent": TRACEPARENT}) as client:
        assert client.recv(20) == "open /chat/:room"
        client.send("hello")
        assert client.recv(20) == "message /chat/:room"
        handshake = recorder.one("GET /chat/:room")
        assert handshake.parent is not None
        assert handshake.parent.span_id == PARENT
        attributes = dict(handshake.attributes or {})
        assert (attributes["http.route"], attributes["http.response.status_code"]) == ("/chat/:room", 200 if HTTP_2 else 101)
        client.send("fail")
    first, second = recorder.wait_for("message /chat/:room", 2)
    for span in (recorder.one("open /chat/:room"), first, second, recorder.one("close /chat/:room")):
        assert span.parent is None
        assert [each.context for each in span.links] == [handshake.context]
        assert dict(span.attributes or {})["http.route"] == "/chat/:room"
    assert (first.status.status_code, second.status.status_code) == (StatusCode.UNSET, StatusCode.ERROR)
    assert dict(second.attributes or {})["error.type"] == "ValueError"
    recorder.clear()
    with open_(server, "/quiet") as client:
        client.send("same")
        assert client.recv(20) == "same"
    recorder.one("message /quiet")
    assert sorted(each.name for each in recorder.spans()) == ["GET /quiet", "message /quiet"]


def test_a_handshake_that_waits_and_messages_that_are_iterated(traced: Callable[..., Server], recorder: Recorder) -> None:
    async def upgrade(res: Any, req: Any, context: Any) -> None:
        key, extensions = req.get_header("sec-websocket-key"), req.get_header("sec-websocket-extensions")
        await asyncio.sleep(0)
        res.upgrade(key, None, extensions, context, current_span())

    async def opened(ws: Any) -> None:
        ws.send(ws.get_user_data(), OpCode.TEXT)
        async for message in ws:
            ws.send(f"{message} {current_span()}", OpCode.TEXT)

    server = traced(lambda app: app.ws("/", {"upgrade": upgrade, "open": opened}))
    with open_(server) as client:
        assert client.recv(20) == "GET /"
        client.send("one")
        assert client.recv(20) == "one open /"
    handshake, session = recorder.one("GET /"), recorder.one("open /")
    assert [each.context for each in session.links] == [handshake.context]
    assert (session.end_time or 0) >= (handshake.end_time or 0)
    assert session.status.status_code == StatusCode.UNSET


def test_files_redirections_and_early_answers(traced: Callable[..., Server], recorder: Recorder, tmp_path: Path) -> None:
    (tmp_path / "large.txt").write_bytes(b"x" * 3_000_000)

    def build(app: App) -> None:
        app.static("/files", tmp_path)
        app.get("/old", lambda res, _req: res.redirect("/new"))
        app.get("/domain", lambda res, _req: res.end("here"))

    server = traced(build)
    assert len(fetch(server, "/files/large.txt").content) == 3_000_000
    assert fetch(server, "/files/nothing.txt").status_code == 404
    assert fetch(server, "/old").status_code == 302
    sent, missing = recorder.wait_for("GET /files/*", 2)
    assert [dict(each.attributes or {})["http.response.status_code"] for each in (sent, missing)] == [200, 404]
    assert missing.status.status_code == StatusCode.UNSET
    assert dict(recorder.one("GET /old").attributes or {})["http.response.status_code"] == 302


def test_a_stop_ends_all_spans(recorder: Recorder) -> None:
    arrived = threading.Event()

    async def never(_res: Any, _req: Any) -> None:
        arrived.set()
        await asyncio.sleep(3600)

    server = Server(lambda app: app.get("/never", never), otel=True, shutdown_timeout=0.2)
    with server.connect() as connection:
        connection.sendall(b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n")
        assert arrived.wait(20)
        server.stop()
    span = recorder.one("GET /never")
    assert dict(span.attributes or {})["error.type"] == "aborted"
    assert not span.events
    for point in recorder.points("http.server.active_requests"):
        assert point.value == 0


def test_ssgi(recorder: Recorder) -> None:
    def application(_type: str, _server: Any, _client: Any, *_more: Any) -> None:
        _more[-1].send(current_span())

    with served(application, SSGI, otel=True) as server:
        assert server.ask("/deep/er").body == b"GET /*"
    assert dict(recorder.one("GET /*").attributes or {})["url.path"] == "/deep/er"


def test_a_refused_handshake(traced: Callable[..., Server], recorder: Recorder) -> None:
    server = traced(lambda app: app.ws("/", {"allowed_origins": ["https://example.org"]}))
    with pytest.raises(Exception, match="403"):
        open_(server, additional_headers={"Origin": "https://example.net"})
    assert dict(recorder.one("GET /").attributes or {})["http.response.status_code"] == 403


def test_many_requests_of_a_connection(traced: Callable[..., Server], recorder: Recorder) -> None:
    server = traced(lambda app: app.get("/:n", lambda res, req: res.end(req.get_parameter(0))))
    with httpx.Client(verify=False) as client:
        assert [client.get(f"{server.url}/{number}").text for number in range(300)] == [str(number) for number in range(300)]
    spans = recorder.wait_for("GET /:n", 300)
    assert [dict(each.attributes or {})["url.path"] for each in spans] == [f"/{number}" for number in range(300)]


def test_without_it_nothing_is_traced_and_nothing_imported(serve: Callable[..., Server], recorder: Recorder) -> None:
    server = serve(lambda app: app.get("/", lambda res, _req: res.end(current_span())))
    assert fetch(server, headers={"traceparent": TRACEPARENT}).text == "none"
    assert recorder.spans() == ()
    text = "import sys, socketify; socketify.App().close(); sys.exit(any(m.startswith('opentelemetry') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", text], env=environment(), timeout=60, check=False).returncode == 0


def test_without_the_package_the_error_says_what_to_install() -> None:
    text = """
import sys
sys.modules["opentelemetry"] = None
from socketify import App
try:
    App(otel=True)
except ModuleNotFoundError as error:
    print(error)
"""
    run = subprocess.run(
        [sys.executable, "-c", text], env=environment(), timeout=60, check=True, capture_output=True, text=True
    )
    assert run.stdout.strip().endswith('pip install "socketify[otel]"')
    assert run.stderr == ""


def test_otel_must_be_a_bool() -> None:
    with pytest.raises(TypeError, match="otel must be a bool, not str"):
        App(otel="yes")  # type: ignore[arg-type]
