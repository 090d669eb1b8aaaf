"""Wrappers of applications, each told and served by socketify alone: python tests/applications/wrappers.py."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import httpx
from a2wsgi import ASGIMiddleware, WSGIMiddleware
from asgi_correlation_id import CorrelationIdMiddleware
from asgiref.wsgi import WsgiToAsgi
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware as OpenTelemetryWSGI
from prometheus_client import make_asgi_app, make_wsgi_app
from sentry_sdk.integrations.asgi import SentryAsgiMiddleware
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware
from starlette.middleware.gzip import GZipMiddleware

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from socketify import App
from socketify.server.serve import make_server


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"served"})


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"served"]


WRAPPED: list[tuple[str, Any]] = [
    ("sentry", SentryAsgiMiddleware(asgi)),
    ("opentelemetry", OpenTelemetryMiddleware(asgi)),
    ("correlation ids", CorrelationIdMiddleware(asgi)),
    ("gzip", GZipMiddleware(asgi)),
    ("sentry around all", SentryAsgiMiddleware(OpenTelemetryMiddleware(CorrelationIdMiddleware(asgi)))),
    ("a2wsgi to asgi", WSGIMiddleware(wsgi)),
    ("asgiref to asgi", WsgiToAsgi(wsgi)),
    ("a2wsgi to wsgi", ASGIMiddleware(asgi)),
    ("sentry, wsgi", SentryWsgiMiddleware(wsgi)),
    ("opentelemetry, wsgi", OpenTelemetryWSGI(wsgi)),
    ("prometheus", make_asgi_app()),
    ("prometheus, wsgi", make_wsgi_app()),
]


def served(application: Any) -> str:
    """Start an application, ask it once, stop it."""
    ports: list[int] = []
    server = make_server(application)
    server.listen(0, lambda config: ports.append(config.port))
    assert not isinstance(server, App)
    server.run(block=False)
    try:
        return httpx.get(f"http://127.0.0.1:{ports[0]}/").text
    finally:
        server.close()


def main() -> int:
    """Serve all; the status is the number of those that are not."""
    failed = 0
    for name, application in WRAPPED:
        text = served(application)
        good = "python_info" in text if name.startswith("prometheus") else text == "served"
        failed += not good
        sys.stdout.write(f"{'served' if good else 'NOT SERVED'}: {name}\n")
    return failed


if __name__ == "__main__":
    sys.exit(main())
