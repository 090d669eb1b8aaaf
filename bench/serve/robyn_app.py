"""Serves by robyn. Usage: python bench/serve/robyn_app.py BEHAVIOUR DIRECTORY PORT; 0 for any port.

Its ``const`` routes are left out: they never call Python. It knows what a handler wants by the argument's name.
"""

from __future__ import annotations

import sys
from typing import Any

from answers import BODY, HEADERS, OBJECT, ROUTES, TEXT
from listening import announced

behaviour, directory, port_word = sys.argv[1:4]
# It reads the command line when it is imported.
sys.argv[1:] = ["--log-level", "CRITICAL", "--disable-openapi", "--processes", "1", "--workers", "1"]

from robyn import Response, Robyn  # noqa: E402

app = Robyn(__file__)


def hello(request: Any) -> str:  # noqa: ARG001
    """A handler that is a function."""
    return TEXT


async def hello_async(request: Any) -> str:  # noqa: ARG001
    """A handler that is a coroutine."""
    return TEXT


def headers(request: Any) -> Response:  # noqa: ARG001
    """Twenty fields."""
    return Response(status_code=200, headers={"Content-Type": "text/plain", **dict(HEADERS)}, description=TEXT)


def json(request: Any) -> dict[str, str]:  # noqa: ARG001
    """An object as JSON."""
    return OBJECT


def body(request: Any) -> str:  # noqa: ARG001
    """Ten kilobytes of text."""
    return BODY


def echo(request: Any) -> bytes:
    """Sends the body of the request back."""
    received = request.body
    return received if isinstance(received, bytes) else received.encode()


def routes(request: Any) -> str:
    """The parameters of the path."""
    return f"{request.path_params['id']} {request.path_params['item']}"


if behaviour == "routes":
    for number in range(ROUTES):
        app.get(f"/section{number}/:id/items/:item")(routes)
elif behaviour == "echo":
    app.post("/")(echo)
elif behaviour == "static":
    app.serve_directory("/static", f"{directory}/static")
else:
    app.get("/")({"hello": hello, "hello_async": hello_async, "headers": headers, "json": json, "body": body}[behaviour])

app.start(host="127.0.0.1", port=announced(int(port_word)), _check_port=False, client_timeout=75, keep_alive_timeout=75)
