"""Serves bench/asgi_hello.py by another server. Usage: python bench/asgi_peer.py uvicorn|granian PORT."""

from __future__ import annotations

import socket
import sys
import threading
import time

from asgi_hello import app


def free_port() -> int:
    """Finds a port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def announce(port: int) -> None:
    """Says that the server listens, as soon as it does."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.05)
    print(f"listening {port}", flush=True)


def main() -> None:
    """Serves until stopped."""
    name, port = sys.argv[1], int(sys.argv[2]) or free_port()
    threading.Thread(target=announce, args=(port,), daemon=True).start()
    if name == "uvicorn":
        import uvicorn  # noqa: PLC0415

        uvicorn.run(
            app,
            host="127.0.0.1",
            port=port,
            loop="uvloop",
            http="httptools",
            ws="websockets",
            ws_per_message_deflate=False,
            log_level="warning",
            access_log=False,
        )
    elif name == "granian":
        from granian.constants import Interfaces, Loops  # noqa: PLC0415
        from granian.server import Server  # noqa: PLC0415

        Server(
            "asgi_hello:app",
            address="127.0.0.1",
            port=port,
            interface=Interfaces.ASGI,
            loop=Loops.uvloop,
            workers=1,
            log_access=False,
            log_enabled=False,
        ).serve()
    else:
        raise SystemExit(f"unknown server {name}")


if __name__ == "__main__":
    main()
