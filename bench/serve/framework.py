"""Handlers of socketify's own interface, for this tree and for the published package.

Usage: python bench/serve/framework.py BEHAVIOUR DIRECTORY PORT; 0 for any port. The directory holds what the behaviours
``tls`` and ``static`` need.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from answers import BODY, HEADERS, OBJECT, ROUTES, TEXT
from listening import announce, check_backend

from socketify import App, AppListenOptions, AppOptions

TOPIC = "broadcast"


def hello(app: Any) -> None:
    """A handler that is a function."""
    app.get("/", lambda res, _req: res.end(TEXT))


def hello_async(app: Any) -> None:
    """A handler that is a coroutine and never waits."""

    async def handler(res: Any, _req: Any) -> None:
        res.end(TEXT)

    app.get("/", handler)


def headers(app: Any) -> None:
    """Twenty fields in one call."""
    app.get("/", lambda res, _req: res.send(TEXT, headers=HEADERS))


def json(app: Any) -> None:
    """An object, which the framework turns into JSON."""
    app.get("/", lambda res, _req: res.end(OBJECT))


def body(app: Any) -> None:
    """Ten kilobytes of text."""
    app.get("/", lambda res, _req: res.end(BODY))


def echo(app: Any) -> None:
    """Sends the body of the request back."""

    async def handler(res: Any, _req: Any) -> None:
        data = await res.get_data()
        res.cork_end(data.getvalue())

    app.post("/", handler)


def download(app: Any, directory: str) -> None:
    """A hundred megabytes, from a file and from memory."""
    content = b"x" * 100_000_000
    app.static("/static", f"{directory}/static")
    app.get("/hundred", lambda res, _req: res.end(content))


def waiting(app: Any) -> None:
    """Holds all responses until it is told to send them; ``/count`` tells how many there are."""
    held: list[Any] = []

    def left(_res: Any) -> None:
        """Does nothing: the client has left."""

    def hold(res: Any, _req: Any) -> None:
        # It is still wanted, so the framework does not answer for it.
        res.on_aborted(left)
        held.append(res)

    def release(res: Any, _req: Any) -> None:
        while held:
            held.pop().end(TEXT)
        res.end(TEXT)

    app.get("/", hold)
    app.get("/count", lambda res, _req: res.end(str(len(held))))
    app.get("/release", release)


def routes(app: Any) -> None:
    """Many routes with two parameters each."""

    def handler(res: Any, req: Any) -> None:
        res.end(f"{req.get_parameter(0)} {req.get_parameter(1)}")

    for number in range(ROUTES):
        app.get(f"/section{number}/:id/items/:item", handler)


def websocket(app: Any) -> None:
    """Echo and broadcast, with the engine's own backpressure limit, as the C++ program has it."""
    options = {"max_backpressure": 64 * 1024}
    app.ws("/echo", {**options, "message": lambda ws, message, opcode: ws.send(message, opcode)})
    publish = {"message": lambda _ws, message, opcode: app.publish(TOPIC, message, opcode)}
    app.ws("/broadcast", {**options, "open": lambda ws: ws.subscribe(TOPIC), **publish})


def main() -> None:
    """Serves until stopped."""
    behaviour, directory, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    check_backend()
    options = None
    if behaviour.startswith("tls"):
        options = AppOptions(cert_file_name=f"{directory}/server.pem", key_file_name=f"{directory}/server.key")
    # Factories filled with more than is ever in use at once; what this is for stands in bench/programs.py.
    filled = int(os.environ.get("BENCH_FACTORIES", "0"))
    app = App(options, request_response_factory_max_items=filled, websocket_factory_max_items=filled)
    if behaviour == "static":
        app.static("/static", f"{directory}/static")
    elif behaviour == "tls_download":
        download(app, directory)
    else:
        add = {"hello": hello, "tls": hello, "hello_async": hello_async, "headers": headers, "json": json, "body": body}
        {**add, "echo": echo, "routes": routes, "waiting": waiting, "websocket": websocket}[behaviour](app)
    app.listen(AppListenOptions(port=port, host="127.0.0.1"), lambda config: announce(config.port))
    app.run()


if __name__ == "__main__":
    main()
