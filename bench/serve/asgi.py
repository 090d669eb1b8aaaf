"""Serves a raw ASGI application. Usage: python bench/serve/asgi.py SERVER BEHAVIOUR DIRECTORY PORT; 0 for any port.

BENCH_LOG in the environment names a file for an access log; then socketify counts metrics and names requests as well.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

from listening import announce, announced, check_backend


def socketify(behaviour: str, directory: str, port: int) -> None:
    """Serves by socketify, this tree's or the published one."""
    from asgi_apps import find  # noqa: PLC0415 - only what is asked for needs to be installed

    from socketify import ASGI, AppListenOptions, AppOptions  # noqa: PLC0415

    check_backend()
    options = None
    if behaviour == "tls":
        options = AppOptions(cert_file_name=f"{directory}/server.pem", key_file_name=f"{directory}/server.key")
    log = os.environ.get("BENCH_LOG")
    observed: dict[str, Any] = {"access_log": "combined", "access_log_file": log, "request_id": True} if log else {}
    server = ASGI(find(behaviour, directory), options, lifespan=False, **observed)
    if log:
        server.native_app.metrics(None)
    server.listen(AppListenOptions(port=port, host="127.0.0.1"), lambda config: announce(config.port))
    server.run()


def uvicorn(behaviour: str, directory: str, port: int, parser: str = "httptools") -> None:
    """Serves by uvicorn, with one of its parsers."""
    import uvicorn as server  # noqa: PLC0415
    from asgi_apps import find  # noqa: PLC0415

    files = {"ssl_certfile": f"{directory}/server.pem", "ssl_keyfile": f"{directory}/server.key"} if behaviour == "tls" else {}
    log = os.environ.get("BENCH_LOG")
    server.run(
        find(behaviour, directory),
        host="127.0.0.1",
        port=announced(port),
        loop="uvloop",
        http=parser,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        lifespan="off",
        log_level="info" if log else "critical",
        log_config=_logging_to(log, server.config.LOGGING_CONFIG),
        access_log=bool(log),
        timeout_keep_alive=75,
        backlog=4096,
        **files,
    )


def _logging_to(log: str | None, usual: dict[str, Any]) -> dict[str, Any]:
    """Gives a configuration of logging like the usual one, whose access log goes to a file."""
    if log is None:
        return usual
    # What is said on standard output is read by the harness.
    handlers = {name: {**each, "stream": "ext://sys.stderr"} for name, each in usual["handlers"].items()}
    handlers["access"] = {"formatter": "access", "class": "logging.FileHandler", "filename": log}
    return {**usual, "handlers": handlers}


def h2corn(behaviour: str, directory: str, port: int) -> None:
    """Serves by h2corn, on uvloop and in this process, with one thread of its runtime."""
    import uvloop  # noqa: PLC0415
    from asgi_apps import find  # noqa: PLC0415
    from h2corn import Config, Server  # noqa: PLC0415

    files = {"certfile": f"{directory}/server.pem", "keyfile": f"{directory}/server.key"} if behaviour == "tls" else {}
    config = Config(
        bind=(f"127.0.0.1:{announced(port)}",),
        lifespan="off",
        runtime_threads=1,
        access_log=False,
        backlog=4096,
        timeout_keep_alive=75,
        **files,
    )
    uvloop.run(Server(find(behaviour, directory), config).serve())


def fastpysgi(application: Any, port: int) -> None:
    """Serves by fastpysgi, for ASGI or WSGI as the application is."""
    server: Any = importlib.import_module("fastpysgi").server
    server.backlog = 4096
    server.lifespan = 0
    port = announced(port, keeps_lock=True)
    # It tells its settings where only the port is expected.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    server.init(application, "127.0.0.1", port, 0)
    server.run()


def hypercorn(behaviour: str, directory: str, port: int) -> None:
    """Serves by hypercorn, on uvloop and in this process."""
    import uvloop  # noqa: PLC0415
    from asgi_apps import find  # noqa: PLC0415
    from hypercorn.asyncio import serve  # noqa: PLC0415
    from hypercorn.config import Config  # noqa: PLC0415

    config = Config()
    config.bind = [f"127.0.0.1:{announced(port)}"]
    config.accesslog = config.errorlog = None
    config.keep_alive_timeout = 75
    config.backlog = 4096
    if behaviour == "tls":
        config.certfile, config.keyfile = f"{directory}/server.pem", f"{directory}/server.key"
    # It closes a connection after a thousand requests otherwise.
    config.keep_alive_max_requests = sys.maxsize
    application: Any = find(behaviour, directory)
    uvloop.run(serve(application, config))


def gunicorn(behaviour: str, directory: str, port: int) -> None:
    """Serves by gunicorn's ASGI worker, which speaks HTTP/2 in clear or by ALPN."""
    base: Any = importlib.import_module("gunicorn.app.base")
    from asgi_apps import find  # noqa: PLC0415

    options: dict[str, Any] = {
        "bind": f"127.0.0.1:{announced(port)}",
        "workers": 1,
        "worker_class": "asgi",
        "worker_connections": 20_000,
        "keepalive": 75,
        "backlog": 4096,
        "loglevel": "critical",
        "timeout": 0,
        "control_socket_disable": True,
        "asgi_lifespan": "off",
        "asgi_loop": "uvloop",
        "http_protocols": "h2,h1",
    }
    if behaviour == "tls":
        options.update(certfile=f"{directory}/server.pem", keyfile=f"{directory}/server.key")
    else:
        options.update(http2_cleartext="prior-knowledge")

    class Application(base.BaseApplication):  # type: ignore[misc]
        """An application that needs no command line."""

        def load_config(self) -> None:
            """Sets the options."""
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            """Gives the application."""
            return find(behaviour, directory)

    Application().run()


def granian(package: str, interface: str, behaviour: str, directory: str, port: int) -> None:
    """Serves by granian, or its fork aethonan: one worker with one thread of its runtime."""
    constants: Any = importlib.import_module(f"{package}.constants")
    server: Any = importlib.import_module(f"{package}.server").Server

    os.environ.update(BENCH_BEHAVIOUR=behaviour, BENCH_DIRECTORY=directory)
    log = os.environ.get("BENCH_LOG")
    usual = importlib.import_module(f"{package}.log").LOGGING_CONFIG
    options: dict[str, Any] = {"log_dictconfig": _logging_to(log, usual)} if log else {}
    if behaviour == "tls":
        options.update(ssl_cert=Path(directory, "server.pem"), ssl_key=Path(directory, "server.key"))
    if behaviour == "static":
        options.update(static_path_route=["/static"], static_path_mount=[Path(directory, "static")])
        os.environ["BENCH_BEHAVIOUR"] = "hello"
    if interface != "wsgi":
        options.update(loop=constants.Loops.uvloop)
    server(
        f"{interface}_apps:chosen",
        address="127.0.0.1",
        port=announced(port),
        interface=constants.Interfaces(interface),
        workers=1,
        blocking_threads=1,
        runtime_threads=1,
        runtime_mode=constants.RuntimeModes.mt,
        http=constants.HTTPModes(os.environ.get("BENCH_HTTP", "1")),
        websockets=behaviour == "websocket",
        backlog=4096,
        backpressure=20_000,
        log_enabled=bool(log),
        log_access=bool(log),
        **options,
    ).serve()


def main() -> None:
    """Serves until stopped."""
    name, behaviour, directory, port = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    package, _, variant = name.partition("-")
    if package in ("granian", "aethonan"):
        granian(package, variant, behaviour, directory, port)
    elif name == "fastpysgi":
        from asgi_apps import find  # noqa: PLC0415

        fastpysgi(find(behaviour, directory), port)
    elif name == "uvicorn-zttp":
        uvicorn(behaviour, directory, port, "zttp")
    else:
        servers = {"socketify": socketify, "uvicorn": uvicorn, "h2corn": h2corn, "hypercorn": hypercorn, "gunicorn": gunicorn}
        servers[name](behaviour, directory, port)


if __name__ == "__main__":
    main()
