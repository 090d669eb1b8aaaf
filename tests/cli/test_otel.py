"""``--otel``, with the SDK set up in each worker."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import Any

PROGRAM = """
import os
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

def run(app):
    def start():
        provider = TracerProvider()
        out = open(os.environ["SPANS"], "a")
        line = lambda span: f"{span.name} {os.getpid()}\\n"
        provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(out=out, formatter=line)))
        trace.set_tracer_provider(provider)
        app.on_shutdown(provider.shutdown)
    app.on_start(start)
    app.get("/users/:id", lambda res, req: res.end(str(os.getpid())))

async def asgi(scope, receive, send):
    pass

from socketify import App
made = App()
"""


def test_spans_of_workers(command: Any, tmp_path: Path) -> None:
    (tmp_path / "traced.py").write_text(PROGRAM)
    spans = tmp_path / "spans"
    one = command("traced:run", "--port", "0", "--otel", "--workers", "2", env={"SPANS": str(spans)})
    asked = []
    for number in range(8):
        connection = http.client.HTTPConnection(one.url.removeprefix("http://"), timeout=20)
        connection.request("GET", f"/users/{number}")
        asked.append(connection.getresponse().read().decode())
        connection.close()
    one.stop()
    assert sorted(spans.read_text().splitlines()) == sorted(f"GET /users/:id {pid}" for pid in asked)


def test_other_interfaces_have_their_own(command: Any, tmp_path: Path) -> None:
    (tmp_path / "traced.py").write_text(PROGRAM)
    one = command("traced:asgi", "--port", "0", "--otel")
    assert one.process.wait(30) == 2
    assert "instrumentations of their own" in one.said


def test_an_app_has_its_options(command: Any, tmp_path: Path) -> None:
    (tmp_path / "traced.py").write_text(PROGRAM)
    one = command("traced:made", "--port", "0", "--otel")
    assert one.process.wait(30) == 2
    assert "--otel cannot change it" in one.said
