"""Serves bench/wsgi_hello.py by another server, as the harness wants it.

Usage: python bench/wsgi_peer.py granian|gunicorn|fastwsgi|bjoern PORT
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from typing import Any

from asgi_peer import announce, free_port
from wsgi_hello import app


def gunicorn(port: int) -> None:
    """Serves by gunicorn, whose threaded worker keeps connections; its default worker closes each."""
    base: Any = importlib.import_module("gunicorn.app.base")

    class Application(base.BaseApplication):  # type: ignore[misc]
        """An application that needs no command line."""

        def load_config(self) -> None:
            """Sets the options."""
            options = {"bind": f"127.0.0.1:{port}", "workers": 1, "worker_class": "gthread", "threads": 1, "loglevel": "error"}
            for name, value in {**options, "worker_connections": 2000, "keepalive": 10}.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            """Gives the application."""
            return app

    Application().run()


def granian(port: int) -> None:
    """Serves by granian."""
    constants: Any = importlib.import_module("granian.constants")
    server: Any = importlib.import_module("granian.server").Server
    wsgi = constants.Interfaces.WSGI
    server("wsgi_hello:app", address="127.0.0.1", port=port, interface=wsgi, workers=1, log_enabled=False).serve()


def fastwsgi(port: int) -> None:
    """Serves by fastwsgi."""
    server: Any = importlib.import_module("fastwsgi").server
    server.init(app, "127.0.0.1", port, 0)
    server.run()


def bjoern(port: int) -> None:
    """Serves by bjoern."""
    server: Any = importlib.import_module("bjoern")
    server.run(app, "127.0.0.1", port)


def main() -> None:
    """Serves until stopped."""
    name, port = sys.argv[1], int(sys.argv[2]) or free_port()
    if name in ("fastwsgi", "bjoern"):
        # They keep the interpreter lock while they wait: a thread would never be heard.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        if os.fork() == 0:
            announce(port)
            os._exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    else:
        threading.Thread(target=announce, args=(port,), daemon=True).start()
    {"gunicorn": gunicorn, "granian": granian, "fastwsgi": fastwsgi, "bjoern": bjoern}[name](port)


if __name__ == "__main__":
    main()
