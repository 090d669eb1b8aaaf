"""OpenTelemetry's own instrumentations of ASGI applications, in front of this server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Callable

import httpx
import pytest
from app_servers import ASGIServer
from fastapi import FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from opentelemetry import trace
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.trace import SpanKind, StatusCode
from spans import PARENT, TRACE, TRACEPARENT, Recorder
from websockets.sync.client import connect

FIELDS = {"traceparent": TRACEPARENT}


@pytest.fixture(autouse=True)
def _stable_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http")


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def current_trace() -> int:
    return trace.get_current_span().get_span_context().trace_id


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise NotImplementedError
    body = f"{current_trace():032x}".encode()
    await send({"type": "http.response.start", "status": 503 if scope["path"] == "/busy" else 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def is_below_the_clients(span: Any) -> bool:
    return span.parent is not None and (span.parent.trace_id, span.parent.span_id) == (TRACE, PARENT)


def server_span(recorder: Recorder, name: str) -> Any:
    span = recorder.one(name)
    assert span.kind == SpanKind.SERVER
    return span


def test_the_middleware(serve_asgi: Callable[..., ASGIServer], recorder: Recorder) -> None:
    wrapped = OpenTelemetryMiddleware(
        application, tracer_provider=recorder.tracer_provider, meter_provider=recorder.meter_provider
    )
    server = serve_asgi(wrapped)
    with httpx.Client(verify=False, headers=FIELDS) as client:
        assert client.get(server.url + "/here?a=b").text == f"{TRACE:032x}"
        assert client.get(server.url + "/busy").status_code == 503
    span = server_span(recorder, "GET /here")
    assert is_below_the_clients(span)
    attributes = dict(span.attributes)
    assert attributes["http.response.status_code"] == 200
    assert attributes["network.protocol.version"] in ("1.1", "2")
    assert (attributes["url.path"], attributes["server.port"], attributes["client.address"]) == (
        "/here",
        server.port,
        "127.0.0.1",
    )
    assert server_span(recorder, "GET /busy").status.status_code == StatusCode.ERROR
    (point,) = recorder.points("http.server.request.duration", http__response__status_code=503)
    assert point.count == 1


@pytest.fixture
def site(recorder: Recorder) -> Iterator[FastAPI]:
    app = FastAPI()

    @app.get("/users/{number}")
    async def user(number: int) -> str:
        return f"{number} {current_trace():032x}"

    @app.get("/thread")
    def thread() -> str:
        return f"{current_trace():032x}"

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def pieces() -> Any:
            for _ in range(3):
                yield f"{current_trace():032x}"

        return StreamingResponse(pieces())

    @app.get("/fails")
    async def fails() -> None:
        raise ValueError("intended")

    @app.websocket("/chat")
    async def chat(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(f"{await websocket.receive_text()} {current_trace():032x}")
        await websocket.close()

    FastAPIInstrumentor.instrument_app(app, tracer_provider=recorder.tracer_provider, meter_provider=recorder.meter_provider)
    yield app
    FastAPIInstrumentor.uninstrument_app(app)


def test_fastapi(serve_asgi: Callable[..., ASGIServer], recorder: Recorder, site: FastAPI) -> None:
    server = serve_asgi(site)
    with httpx.Client(verify=False, headers=FIELDS) as client:
        assert client.get(server.url + "/users/7").json() == f"7 {TRACE:032x}"
        assert client.get(server.url + "/thread").json() == f"{TRACE:032x}"
        assert client.get(server.url + "/stream").text == f"{TRACE:032x}" * 3
        assert client.get(server.url + "/fails").status_code == 500
    for route in ("/users/{number}", "/thread", "/stream", "/fails"):
        span = server_span(recorder, f"GET {route}")
        assert is_below_the_clients(span)
        assert dict(span.attributes)["http.route"] == route
    failed = recorder.one("GET /fails")
    assert failed.status.status_code == StatusCode.ERROR
    assert dict(failed.attributes)["http.response.status_code"] == 500


def test_websockets_of_fastapi(serve_asgi: Callable[..., ASGIServer], recorder: Recorder, site: FastAPI) -> None:
    server = serve_asgi(site)
    with connect(f"{server.websocket_url}/chat", additional_headers=FIELDS) as client:
        client.send("hello")
        assert client.recv(20) == f"hello {TRACE:032x}"
    assert is_below_the_clients(recorder.of_server())
