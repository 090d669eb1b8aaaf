"""The hello world of bench/tls.py. Usage: python bench/tls_server.py NAME CERTIFICATE KEY [PORT], 0 for any.

NAME is socketify, socketify-asgi, uvicorn or granian; the last three serve the same ASGI application.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from typing import Any

from socketify import ASGI, App, AppListenOptions, AppOptions, Request, Response

HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"13")]


async def application(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001 - the interface's arguments
    """Answers every request with the same text."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": b"Hello, World!"})


def hello(res: Response, _req: Request) -> None:
    """Answers every request with the same text."""
    res.end("Hello, World!")


def announce(port: int) -> None:
    """Tells where it listens."""
    print(f"listening {port}", flush=True)


def announce_when_open(port: int) -> None:
    """Tells where it listens, as soon as it does."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.05)
    announce(port)


def free_port() -> int:
    """Finds a port for servers that do not tell theirs."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def serve_uvicorn(certificate: str, key: str, port: int) -> None:
    """Serves with uvicorn at its fastest."""
    import uvicorn  # noqa: PLC0415 - only where it is compared

    files = {"ssl_certfile": certificate, "ssl_keyfile": key}
    config = uvicorn.Config(
        application, host="127.0.0.1", port=port, loop="uvloop", http="httptools", log_level="error", **files
    )

    class Announcing(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            announce(port)

    Announcing(config).run()


def serve_granian(certificate: str, key: str, port: int) -> None:
    """Serves with granian, one worker."""
    from pathlib import Path  # noqa: PLC0415

    from granian import Granian  # noqa: PLC0415 - only where it is compared
    from granian.constants import Interfaces  # noqa: PLC0415

    files = {"ssl_cert": Path(certificate), "ssl_key": Path(key)}
    server = Granian(
        f"{__file__}:application", address="127.0.0.1", port=port, interface=Interfaces.ASGI, log_enabled=False, **files
    )
    threading.Thread(target=announce_when_open, args=(port,), daemon=True).start()
    server.serve()


def main() -> None:
    """Serves until stopped."""
    name, certificate, key = sys.argv[1:4]
    port = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    options = AppOptions(cert_file_name=certificate, key_file_name=key)
    where = AppListenOptions(port=port, host="127.0.0.1")
    if name == "socketify":
        App(options).get("/", hello).listen(where, lambda config: announce(config.port)).run()
    elif name == "socketify-asgi":
        ASGI(application, options).listen(where, lambda config: announce(config.port)).run()
    else:
        {"uvicorn": serve_uvicorn, "granian": serve_granian}[name](certificate, key, port or free_port())


if __name__ == "__main__":
    main()
