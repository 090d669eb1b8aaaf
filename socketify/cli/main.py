"""What the command does."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from ..app import App
from ..backend import backend_refusal, check_backend, chosen_backend
from ..interfaces.asgi_lifespan import LifespanError
from ..workers import CONFIGURATION_ERROR, Supervisor, announce_ready
from .arguments import make_parser, parse_arguments
from .loading import LoadError
from .server import build_server, serve_on
from .sockets import describe, notify_systemd, open_sockets

logger = logging.getLogger("socketify")


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Serve what the command line says; returns the exit status: 2 for what could never work."""
    settings = parse_arguments(arguments)
    logging.basicConfig(level=settings.log_level.upper(), format="%(levelname)s: %(message)s")
    if settings.print_completion is not None:
        return _print_completion(settings.print_completion)
    try:
        if settings.env_file is not None:
            _load_environment(settings.env_file)
        if settings.print_config:
            sys.stdout.write(json.dumps(_shown(settings), indent=2) + "\n")
            return 0
        check_backend()
        sockets = open_sockets(settings)
    except (LoadError, OSError, RuntimeError) as error:
        return _explain(settings, error)
    try:
        return _serve(settings, sockets)
    finally:
        for each in sockets:
            each.close()
        if settings.uds is not None:
            Path(settings.uds).unlink(missing_ok=True)


def _serve(settings: argparse.Namespace, sockets: list[socket.socket]) -> int:
    if not settings.disable_listen_log:
        where = describe(sockets[0], settings.ssl_certfile is not None)
        sys.stdout.write(f"Listening on {where} with {settings.workers} worker(s); Ctrl-C stops\n")
        sys.stdout.flush()
    if settings.reload:
        reload_module = importlib.import_module("socketify.cli.reload")
        try:
            return int(reload_module.run_reloading(lambda index: _work(settings, sockets, index), settings))
        except LoadError as error:
            return _explain(settings, error)
    if settings.workers > 1 or settings.limit_max_requests:
        notify_systemd("READY=1")
        status = Supervisor(lambda index: _work(settings, sockets, index), settings.workers).run()
        notify_systemd("STOPPING=1")
        return status
    return _work(settings, sockets, 0)


def _work(settings: argparse.Namespace, sockets: list[socket.socket], index: int) -> int:
    """Serve in this process; what cannot be served is told in one line."""
    try:
        server = build_server(settings)
        native = server if isinstance(server, App) else server.native_app
        native.on_start(_ready)
        serve_on(server, sockets[index % len(sockets)], settings)
    except (LoadError, LifespanError) as error:
        return _explain(settings, error)
    except (OSError, TypeError, ValueError, ImportError, SyntaxError, RuntimeError) as error:
        return _explain(settings, error)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def _ready() -> None:
    announce_ready()
    notify_systemd("READY=1")


def _explain(settings: argparse.Namespace, error: BaseException) -> int:
    if settings.log_level == "debug":
        traceback.print_exception(type(error), error, error.__traceback__)
    else:
        kind = "" if isinstance(error, (LoadError, LifespanError)) else f"{type(error).__name__}: "
        reason = " ".join(str(error).split())
        sys.stderr.write(f"socketify: {kind}{reason}\n")
    return CONFIGURATION_ERROR


def _shown(settings: argparse.Namespace) -> dict[str, object]:
    shown = dict(sorted(vars(settings).items()))
    if shown["ssl_keyfile_password"] is not None:
        shown["ssl_keyfile_password"] = "***"
    shown["backend"] = chosen_backend()
    if shown["backend"] != "io_uring":
        shown["backend_refusal"] = backend_refusal()
    return {name: value for name, value in shown.items() if name not in ("print_config", "print_completion")}


def _load_environment(path: str) -> None:
    try:
        dotenv = importlib.import_module("dotenv")
    except ImportError as error:
        message = "--env-file needs the package python-dotenv"
        raise LoadError(message) from error
    if not Path(path).is_file():
        message = f"--env-file: no such file: {path!r}"
        raise LoadError(message)
    os.environ.update({name: value for name, value in dotenv.dotenv_values(path).items() if value is not None})


def _print_completion(shell: str) -> int:
    try:
        shtab = importlib.import_module("shtab")
    except ImportError:
        sys.stderr.write("socketify: --print-completion needs the package shtab\n")
        return CONFIGURATION_ERROR
    sys.stdout.write(shtab.complete(make_parser(), shell=shell) + "\n")
    return 0
