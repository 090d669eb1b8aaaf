"""Handlers of websockets whose calls are traced. Only an app that was asked for spans imports this."""

from __future__ import annotations

import inspect
from collections.abc import Coroutine
from typing import Any, Optional

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode

from ..core.telemetry import Telemetry, call_in, record_error
from ..loop.coroutines import StoppedError
from .session import Handler, Session

#: What programs do with a websocket is in these; the others are about the connection.
_TRACED = ("open", "message", "close")


def traced_handlers(telemetry: Telemetry, handlers: dict[str, Optional[Handler]], route: str) -> dict[str, Optional[Handler]]:
    """Return the handlers of a route with spans around their calls.

    Each is the root of a trace, with a link to the handshake's span: a trace of a whole connection would have no end.

    Args:
        telemetry: of the app.
        handlers: by name.
        route: their pattern.

    """
    made = dict(handlers)
    for event in _TRACED:
        handler = handlers[event]
        if handler is not None:
            made[event] = _traced(telemetry, handler, event, route)
    opened = made["open"]

    def on_open(ws: Any) -> Any:
        # The handshake's is the current one here.
        ws.session_.handshake = trace.get_current_span().get_span_context()
        return None if opened is None else opened(ws)

    made["open"] = on_open
    return made


def _traced(telemetry: Telemetry, handler: Handler, event: str, route: str) -> Handler:
    name = f"{event} {route}"
    attributes = {"http.route": route, "network.protocol.name": "websocket"}

    def call(ws: Any, *arguments: Any) -> Any:
        session: Session = ws.session_
        links = [Link(session.handshake)] if session.handshake is not None else []
        span = telemetry.tracer.start_span(name, Context(), SpanKind.SERVER, attributes, links)
        try:
            result = call_in(trace.set_span_in_context(span, Context()), handler, ws, *arguments)
        except BaseException as error:
            _fail(span, error)
            raise
        if inspect.iscoroutine(result):
            return _end_after(span, result, session)
        span.end()
        return result

    return call


async def _end_after(span: Span, coroutine: Coroutine[Any, Any, Any], session: Session) -> Any:
    try:
        result = await coroutine
    except BaseException as error:
        _fail(span, session.core.ended_by(error))
        raise
    span.end()
    return result


def _fail(span: Span, error: BaseException) -> None:
    if not isinstance(error, StoppedError):
        error_type, description = record_error(span, error)
        span.set_attribute("error.type", error_type)
        span.set_status(Status(StatusCode.ERROR, description))
    span.end()
