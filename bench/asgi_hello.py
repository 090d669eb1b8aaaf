"""The ASGI application that the benchmarks measure, a hello world and a websocket echo, and socketify's server for it.

Usage: python bench/asgi_hello.py [PORT], 0 for any.
"""

from __future__ import annotations

import sys
from typing import Any

BODY = b"Hello, World!"


async def echo(receive: Any, send: Any) -> None:
    """Sends every message back."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": message.get("bytes"), "text": message.get("text")})


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers every request with the same text."""
    if scope["type"] == "websocket":
        await echo(receive, send)
        return
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": BODY})


def main() -> None:
    """Serves until stopped."""
    from socketify import AppListenOptions  # noqa: PLC0415 - other servers import this file without it
    from socketify.interfaces.asgi import ASGI  # noqa: PLC0415

    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    server = ASGI(app)
    server.listen(AppListenOptions(port=port, host="127.0.0.1"), lambda config: print(f"listening {config.port}", flush=True))
    server.run()


if __name__ == "__main__":
    main()
