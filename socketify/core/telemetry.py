"""Spans and metrics of requests, through the API of OpenTelemetry. Only an app that was asked for them imports this."""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Callable, Optional, Union

from opentelemetry import metrics, trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from ..native import abi, lib
from ..wire.errors import HTTPError
from .core import Core

logger = logging.getLogger("socketify")

Attributes = dict[str, Union[str, int]]

_NAME = "socketify"
_SCHEMA = "https://opentelemetry.io/schemas/1.27.0"
#: Seconds; what the semantic conventions advise.
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_SERVER_ERROR = 500
_NANOSECONDS = 1e9
#: What the conventions count and measure requests by, beside what is known at the end.
_ACTIVE = ("http.request.method", "url.scheme")
_MEASURED = (*_ACTIVE, "http.route", "network.protocol.version")


class RequestTrace:
    """The span of a request, from its head to the end of its response.

    Args:
        span: of kind SERVER.
        attributes: those that the span began with.
        began_ns: when, since 1970.

    """

    __slots__ = ("attributes", "began_ns", "context", "error", "span")

    def __init__(self, span: Span, attributes: Attributes, began_ns: int, parent: Context) -> None:
        self.span = span
        self.attributes = attributes
        self.began_ns = began_ns
        #: Current where the request is handled.
        self.context = trace.set_span_in_context(span, parent)
        #: Type and description of what a handler raised.
        self.error: Optional[tuple[str, str]] = None

    def enter_route(self, route: str) -> None:
        """Take note of the route of a request that another one passed on."""
        self.attributes["http.route"] = route
        self.span.set_attribute("http.route", route)
        self.span.update_name(span_name(self.attributes))

    def select(self, names: tuple[str, ...]) -> Attributes:
        """Return some of the attributes."""
        return {name: self.attributes[name] for name in names if name in self.attributes}


class Telemetry:
    """Follows the requests of an app whose handlers begin a trace; see ``docs/opentelemetry.md``.

    The providers are the global ones, which a program may set at any time before the first request.
    """

    def __init__(self) -> None:
        self.tracer = trace.get_tracer(_NAME, schema_url=_SCHEMA)
        meter = metrics.get_meter(_NAME, schema_url=_SCHEMA)
        self._active = meter.create_up_down_counter(
            "http.server.active_requests", "{request}", "Number of active HTTP server requests."
        )
        self._duration = meter.create_histogram(
            "http.server.request.duration",
            "s",
            "Duration of HTTP server requests.",
            explicit_bucket_boundaries_advisory=_BOUNDS,
        )
        self._requests: dict[int, RequestTrace] = {}
        self._core: Optional[Core] = None

    def observe(self, core: Core) -> None:
        """Follow the responses of an app, and the errors of its handlers."""
        self._core = core
        callback = abi.EndsCallback(self._take)
        core.callbacks += (callback, self)
        core.configure(lambda native: lib.sk_app_report_ends(native, callback))
        core.outcome.around = self._failing

    # ---- requests

    def find(self, handle: int) -> Optional[RequestTrace]:
        """Return the trace of a request whose response has not ended."""
        return self._requests.get(handle)

    def begin(self, handle: int, attributes: Attributes, parent: Context) -> RequestTrace:
        """Begin the span of a request.

        Args:
            handle: of its response.
            attributes: by the semantic conventions; the span is called by them.
            parent: what the client said.

        """
        began_ns = time.time_ns()
        span = self.tracer.start_span(span_name(attributes), parent, SpanKind.SERVER, attributes, start_time=began_ns)
        request = self._requests[handle] = RequestTrace(span, attributes, began_ns, parent)
        self._active.add(1, request.select(_ACTIVE))
        return request

    @contextmanager
    def _failing(self, error: BaseException, exchange: Any) -> Iterator[None]:
        """Record an error, and let the span be the current one while it is handled."""
        request = None if exchange is None else self._requests.get(exchange.handle or exchange.request_handle)
        if request is None:
            yield
            return
        if not isinstance(error, HTTPError) or error.status_code >= _SERVER_ERROR:
            request.error = record_error(request.span, error)
        token = attach(request.context)
        try:
            yield
        finally:
            detach(token)

    # ---- called by native code, and by the loop

    def _take(self, address: Optional[int], count: int) -> None:
        """Take the ends of responses, as ``sk_ends_fn``."""
        if count and address:
            for each in (abi.ResponseEndStruct * count).from_address(address):
                request = self._requests.pop(each.handle, None)
                if request is not None:
                    self._end(request, each.status, bool(each.aborted), each.ended_ns)
            return
        loop = self._core.loop if self._core is not None else None
        if loop is None:
            self._flush()
        else:
            loop.call_soon(self._flush)

    def _flush(self) -> None:
        if self._core is not None and self._core.native:
            lib.sk_app_take_ends(self._core.native)

    def _end(self, request: RequestTrace, status: int, aborted: bool, ended_ns: int) -> None:
        span = request.span
        measured = request.select(_MEASURED)
        if status:
            measured["http.response.status_code"] = status
            span.set_attribute("http.response.status_code", status)
        # An error handler may have made another answer of what a handler raised; or it was raised after the answer.
        if status >= _SERVER_ERROR or not status or (aborted and request.error):
            error_type, description = request.error or (str(status) if status else "aborted", None)
            measured["error.type"] = error_type
            span.set_attribute("error.type", error_type)
            span.set_status(Status(StatusCode.ERROR, description))
        try:
            self._active.add(-1, request.select(_ACTIVE))
            self._duration.record(max(0, ended_ns - request.began_ns) / _NANOSECONDS, measured, request.context)
            span.end(ended_ns)
        except Exception:
            logger.exception("the end of a request could not be traced")


def span_name(attributes: Attributes) -> str:
    """Return what a span with these attributes is called: method and route, of which there are few."""
    method = attributes["http.request.method"]
    name = "HTTP" if method == "_OTHER" else str(method)
    return f"{name} {attributes['http.route']}" if "http.route" in attributes else name


def record_error(span: Span, error: BaseException) -> tuple[str, str]:
    """Record what a handler raised, and return its type as the conventions want it, and a description."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    span.record_exception(error)
    return name, f"{name}: {error}"


def call_in(context: Context, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function, and let its coroutine run, where a context of a trace is the current one."""
    token = attach(context)
    try:
        result = function(*arguments)
    finally:
        detach(token)
    return _await_in(context, result) if inspect.iscoroutine(result) else result


async def _await_in(context: Context, coroutine: Coroutine[Any, Any, Any]) -> Any:
    # It has a copy of all context variables, which ends with it.
    attach(context)
    return await coroutine
