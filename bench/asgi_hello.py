"""The ASGI hello world that the benchmarks measure, and socketify's server for it. Usage: python bench/asgi_hello.py [PORT]."""

from __future__ import annotations

import sys
from typing import Any

BODY = b"Hello, World!"


async def app(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    """Answers every request with the same text."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
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
