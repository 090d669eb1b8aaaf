"""OpenTelemetry's own instrumentations of WSGI applications, in front of this server."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from flask import Flask
from opentelemetry import trace
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from spans import PARENT, TRACE, TRACEPARENT, Recorder
from wsgi_server import TEXT, both, served

with warnings.catch_warnings():
    # It asks for Flask's version in a way that Flask is about to give up.
    warnings.simplefilter("ignore", DeprecationWarning)
    from opentelemetry.instrumentation.flask import FlaskInstrumentor

FIELDS = {"traceparent": TRACEPARENT}


@pytest.fixture(autouse=True)
def _stable_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http")


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def current_trace() -> bytes:
    return b"%032x" % trace.get_current_span().get_span_context().trace_id


def application(environ: Any, start_response: Any) -> Any:
    start_response("503 Busy" if environ["PATH_INFO"] == "/busy" else "200 OK", TEXT)
    return [current_trace()]


@both
def test_the_middleware(recorder: Recorder, threads: int) -> None:
    wrapped = OpenTelemetryMiddleware(
        application, tracer_provider=recorder.tracer_provider, meter_provider=recorder.meter_provider
    )
    with served(wrapped, threads=threads) as server:
        assert server.ask("/here?a=b", headers=FIELDS).body == b"%032x" % TRACE
        span = recorder.of_server()
        assert span.parent is not None
        assert (span.parent.trace_id, span.parent.span_id) == (TRACE, PARENT)
        attributes = dict(span.attributes or {})
        assert (attributes["http.response.status_code"], attributes["http.request.method"]) == (200, "GET")
        assert server.ask("/busy").status == 503
    (point,) = recorder.points("http.server.request.duration", http__response__status_code=503)
    assert point.count == 1


@both
def test_flask(recorder: Recorder, threads: int) -> None:
    site = Flask("site")

    @site.get("/users/<int:number>")
    def user(number: int) -> str:
        return f"{number} {current_trace().decode()}"

    FlaskInstrumentor().instrument_app(site, tracer_provider=recorder.tracer_provider, meter_provider=recorder.meter_provider)
    try:
        with served(site, threads=threads) as server:
            assert server.ask("/users/7", headers=FIELDS).body.decode() == f"7 {TRACE:032x}"
            assert dict(recorder.of_server().attributes or {})["http.route"] == "/users/<int:number>"
    finally:
        FlaskInstrumentor().uninstrument_app(site)
