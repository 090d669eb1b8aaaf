"""Serves a raw WSGI application. Usage: python bench/serve/wsgi.py SERVER BEHAVIOUR DIRECTORY PORT; 0 for any port."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from asgi import fastpysgi, granian
from listening import announce, announced, check_backend


def socketify(app: Any, port: int) -> None:
    """Serves by socketify, this tree's or the published one."""
    from socketify import WSGI, AppListenOptions  # noqa: PLC0415 - only what is asked for needs to be installed

    check_backend()
    # Only this tree's version has a pool of threads.
    threads = os.environ.get("BENCH_THREADS")
    server = WSGI(app, **({"threads": int(threads)} if threads else {}))
    server.listen(AppListenOptions(port=port, host="127.0.0.1"), lambda config: announce(config.port))
    server.run()


def gunicorn(app: Any, port: int) -> None:
    """Serves by gunicorn, whose threaded worker keeps connections; its default worker closes each."""
    base: Any = importlib.import_module("gunicorn.app.base")
    options = {
        "bind": f"127.0.0.1:{announced(port)}",
        "workers": 1,
        "worker_class": "gthread",
        "threads": 4,
        "worker_connections": 20_000,
        "keepalive": 75,
        "backlog": 4096,
        "http_parser": "auto",
        "loglevel": "critical",
        # None: after a long pause the master would take its worker for hung.
        "timeout": 0,
        "control_socket_disable": True,
    }

    class Application(base.BaseApplication):  # type: ignore[misc]
        """An application that needs no command line."""

        def load_config(self) -> None:
            """Sets the options."""
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            """Gives the application."""
            return app

    Application().run()


def fastwsgi(app: Any, port: int) -> None:
    """Serves by fastwsgi."""
    server: Any = importlib.import_module("fastwsgi").server
    server.backlog = 4096
    server.init(app, "127.0.0.1", announced(port, keeps_lock=True), 0)
    server.run()


def bjoern(app: Any, port: int) -> None:
    """Serves by bjoern."""
    server: Any = importlib.import_module("bjoern")
    server.run(app, "127.0.0.1", announced(port, keeps_lock=True), listen_backlog=4096)


def main() -> None:
    """Serves until stopped."""
    name, behaviour, directory, port = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    package, _, interface = name.partition("-")
    if interface:
        granian(package, interface, behaviour, directory, port)
        return
    from wsgi_apps import find  # noqa: PLC0415 - not before granian has said which application it wants

    servers = {
        "socketify": socketify,
        "gunicorn": gunicorn,
        "fastpysgi": fastpysgi,
        "fastwsgi": fastwsgi,
        "bjoern": bjoern,
    }
    servers[name](find(behaviour, directory), port)


if __name__ == "__main__":
    main()
