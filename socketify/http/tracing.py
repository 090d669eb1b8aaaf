"""Handlers whose requests are traced. Only an app that was asked for spans imports this."""

from __future__ import annotations

import re
from typing import Any, Callable, Optional

from opentelemetry import propagate
from opentelemetry.context import Context, get_current
from opentelemetry.propagators.textmap import Getter

from ..core.own_class import own_class
from ..core.telemetry import Attributes, RequestTrace, Telemetry, call_in
from ..native import lib
from ..wire.authority import split_authority
from .request import Request
from .response import Response

_METHODS = frozenset(("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"))
_VERSIONS = {10: "1.0", 11: "1.1", 20: "2"}
_PORTS = {"http": 80, "https": 443}
#: Names in queries whose values let their owner in, by the semantic conventions.
_SECRET = re.compile(
    "(^|&)(AWSAccessKeyId|Signature|X-Amz-Credential|X-Amz-Security-Token|X-Amz-Signature|X-Goog-Signature|sig)=[^&]*"
)


class _Fields(Getter[Request]):
    """Reads the fields of a request for propagators."""

    def get(self, carrier: Request, key: str) -> Optional[list[str]]:
        """Return the value of a field; repeated ones are one list."""
        name = key.lower()
        return None if carrier.get_header(name) is None else [carrier.get_headers()[name]]

    def keys(self, carrier: Request) -> list[str]:
        """Return the names of all fields."""
        return list(carrier.get_headers())


_FIELDS = _Fields()


class TracedResponse(Response):
    """A response whose callbacks run in the context in which they were set."""

    __slots__ = ()

    def on_data(self, handler: Callable[[Any, bytes, bool], Any]) -> Any:
        """Call back with every piece of the request's body; see :meth:`Response.on_data`."""
        return super().on_data(_in_current(handler))

    def on_aborted(self, handler: Callable[[Any], Any]) -> Any:
        """Call back when the client leaves before the response ended; see :meth:`Response.on_aborted`."""
        return super().on_aborted(_in_current(handler))

    def on_writable(self, handler: Callable[[Any, int], Any]) -> Any:
        """Call back when the connection takes data again; see :meth:`Response.on_writable`."""
        return super().on_writable(_in_current(handler))


def _in_current(handler: Callable[..., Any]) -> Callable[..., Any]:
    context = get_current()
    return lambda *arguments: call_in(context, handler, *arguments)


def traced_response_class() -> type[Response]:
    """Return the class of an app's responses."""
    return own_class(TracedResponse)


def traced(telemetry: Telemetry, handler: Callable[..., Any], route: Optional[str]) -> Callable[..., Any]:
    """Return a handler that does the same, and begins a span.

    Args:
        telemetry: of the app.
        handler: ``handler(res, req)``, sync or async.
        route: its pattern; None where no route took the request.

    """

    def handle(res: Response, req: Request) -> Any:
        request = telemetry.find(res.exchange_.handle)
        if request is None:
            request = _begin(telemetry, res, req, route)
        elif route is not None:
            request.enter_route(route)
        return call_in(request.context, handler, res, req)

    return handle


def _begin(telemetry: Telemetry, res: Response, req: Request, route: Optional[str]) -> RequestTrace:
    parent = propagate.extract(req, Context(), _FIELDS)
    return telemetry.begin(res.exchange_.handle, _attributes(res, req, route), parent)


def _attributes(res: Response, req: Request, route: Optional[str]) -> Attributes:
    """Return what is known of a request, by the semantic conventions for HTTP servers."""
    method, scheme = req.get_method(), req.get_scheme()
    path, _, query = req.get_full_url().partition("?")
    attributes: Attributes = {"http.request.method": method, "url.scheme": scheme, "url.path": path}
    if method not in _METHODS:
        attributes["http.request.method"] = "_OTHER"
        attributes["http.request.method_original"] = method
    if query:
        attributes["url.query"] = _SECRET.sub(r"\1\2=REDACTED", query)
    if route is not None:
        attributes["http.route"] = route
    host, port = split_authority(req.get_header("host") or "")
    if host:
        attributes["server.address"] = host
        attributes["server.port"] = _PORTS[scheme] if port is None else port
    attributes["network.protocol.version"] = _VERSIONS[lib.sk_req_version(req.exchange_.request_handle)]
    client = res.get_remote_address()
    if client:
        attributes["client.address"] = client
    agent = req.get_header("user-agent")
    if agent:
        attributes["user_agent.original"] = agent
    return attributes
