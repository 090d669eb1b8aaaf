"""The answer to requests that no route takes."""

from __future__ import annotations

from .request import Request
from .response import Response

_METHODS = frozenset(("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"))


def no_route(res: Response, req: Request) -> None:
    """Answer with the reason why no route took the request (RFC 9110 sections 15.5.5, 15.5.6 and 15.6.2)."""
    allowed = req.allowed_methods()
    method = req.get_method()
    if method == "OPTIONS" and 1 < len(allowed) < len(_METHODS):
        # Its own route passed it on, as CORS does with what is no preflight request: for this one there is none.
        allowed = [each for each in allowed if each != method]
    if not allowed or method in allowed:
        res.write_status(404).end(b"Not Found")
    elif method in _METHODS:
        res.write_status(405).write_header("Allow", ", ".join(allowed)).end(b"Method Not Allowed")
    else:
        res.write_status(501).end(b"Not Implemented")
