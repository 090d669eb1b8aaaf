"""The main function of the command."""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import logging
import os
import signal
import socket
import sys
import traceback
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Callable, Optional, Union

from ..app.app import App
from ..asgi.lifespan import LifespanError
from ..core.options import AppListenOptions
from ..loop.backend import backend_refusal, check_backend, chosen_backend
from ..loop.current_loop import expect_loops_of
from ..process.companion import Companion
from ..process.identity import find_identity
from ..process.inherited_sockets import describe, notify_systemd
from ..process.place import Place
from ..process.supervisor import CONFIGURATION_ERROR, Supervisor
from ..process.thread_group import ThreadGroup
from ..process.worker_options import WorkerOptions
from ..server.base import InterfaceServer
from ..server.metrics_server import open_metrics_port, serve_metrics
from ..system.standard_streams import complain, fill_standard_descriptors, say
from ..system.stop_signals import end_by
from ..system.worker import succeeds
from ..topics.broker import BrokerError
from ..topics.brokers.schemes import without_password
from .arguments import has_supervisor, make_parser, parse_arguments
from .event_loops import loop_factory
from .loading import LoadError, described
from .logging_config import configure_logging
from .lone_signals import ignore_counts
from .server import build_server, uds_permissions, worker_options

logger = logging.getLogger("socketify")


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Serve as the command line says; return the exit status, which is 2 for errors that no retry would change.

    A signal that stopped it finally ends the process, as it would without a handler; if the
    caller has a handler of its own, that is called.
    """
    fill_standard_descriptors()
    settings = parse_arguments(arguments)
    if settings.print_completion is not None:
        return _print_completion(settings.print_completion)
    try:
        if settings.env_file is not None:
            _load_environment(settings.env_file)
        if settings.print_config:
            sys.stdout.write(json.dumps(_public_settings(settings), indent=2) + "\n")
            return 0
        if settings.debug:
            # Apps look there, also those that the program makes itself.
            os.environ["SOCKETIFY_DEBUG"] = "1"
        configure_logging(settings.log_level, settings.log_config)
        check_backend()
        options = worker_options(settings)
        place = _take_place(settings)
    except (LoadError, OSError, RuntimeError, ValueError) as error:
        return _explain(settings, error)
    try:
        status = _serve(settings, place, options)
    finally:
        place.leave()
    if status < 0:
        end_by(-status)
    return max(status, 0)


def _take_place(settings: argparse.Namespace) -> Place:
    identity = find_identity(settings.user, settings.group)
    if settings.umask is not None:
        os.umask(settings.umask)
    place = Place(settings.pid, identity)
    try:
        place.listen(
            host=settings.host,
            port=settings.port,
            uds=settings.uds,
            uds_permissions=uds_permissions(settings),
            fd=settings.fd,
            loops=settings.workers * settings.threads_per_worker,
            backlog=settings.backlog,
        )
        if settings.metrics is not None:
            place.metrics = open_metrics_port(*settings.metrics)
        place.settle()
    except BaseException:
        place.leave()
        raise
    return place


def _serve(settings: argparse.Namespace, place: Place, options: WorkerOptions) -> int:
    """Serve; return the exit status, or a signal that stopped it, negated."""
    sockets, metrics = place.of_workers(settings.threads_per_worker), place.metrics
    places = " and ".join(describe(each, settings.ssl_certfile is not None) for each in place.sockets[0])

    def announce() -> None:
        """Announce that the application is served."""
        if not settings.disable_listen_log:
            beside = "" if metrics is None else f", metrics on {metrics.where}"
            error = say(f"Listening on {places} with {_counts(settings)}{beside}; Ctrl-C stops")
            if error is not None:
                logger.warning("standard output cannot be written: %s", error)
        notify_systemd("READY=1")

    def alone() -> int:
        return _work(settings, sockets[0], announce)

    spokesman = _Spokesman()

    def all_serve() -> None:
        spokesman.let_all_speak()
        announce()

    def among_others(_index: int, shares: frozenset[int]) -> int:
        if metrics is not None:
            metrics.close()
        mine = _close_all_but(shares, sockets)
        return max(0, _work(settings, mine, lambda: None, spokesman.is_this_worker))

    try:
        if not has_supervisor(settings):
            ignore_counts()
        if settings.reload:
            reload_module = importlib.import_module("socketify.cli.reload")
            return int(reload_module.run_reloading(alone, settings))
        if not has_supervisor(settings):
            return alone()
        supervisor = Supervisor(
            among_others,
            settings.workers,
            all_serve,
            place.stop_listening,
            options=options,
            sockets=len(sockets),
            companion=_metrics_process(place),
            threads=settings.threads_per_worker,
        )
        return supervisor.run() or -(supervisor.caught or 0)
    except LoadError as error:
        return _explain(settings, error)
    finally:
        notify_systemd("STOPPING=1")


def _counts(settings: argparse.Namespace) -> str:
    """Return what serves, for messages."""
    threads = settings.threads_per_worker
    return f"{settings.workers} worker(s)" + (f" of {threads} threads" if threads > 1 else "")


def _close_all_but(shares: frozenset[int], sockets: list[list[list[socket.socket]]]) -> list[list[socket.socket]]:
    """Close the sockets that are none of these shares, and return the others, by thread."""
    for number, each in enumerate(sockets):
        if number not in shares:
            _close(each)
    return [list(itertools.chain(*of_thread)) for of_thread in zip(*(sockets[share] for share in sorted(shares)))]


def _metrics_process(place: Place) -> Optional[Companion]:
    if place.metrics is None:
        return None
    return Companion("metrics", partial(serve_metrics, place.metrics, partial(_close, place.sockets)))


def _close(sockets: Iterable[list[socket.socket]]) -> None:
    for each in itertools.chain.from_iterable(sockets):
        each.close()


class _Spokesman:
    """The one worker that reports errors for all of them as they start."""

    def __init__(self) -> None:
        self._token, writer = os.pipe()
        os.write(writer, b"1")
        os.close(writer)
        self._all_speak = False

    def let_all_speak(self) -> None:
        """Let all workers report that start from now on."""
        self._all_speak = True

    def is_this_worker(self) -> bool:
        """Return whether this worker is the one."""
        return self._all_speak or os.read(self._token, 1) == b"1"


def _work(
    settings: argparse.Namespace,
    listening: list[list[socket.socket]],
    ready: Callable[[], None],
    reports: Callable[[], bool] = lambda: True,
) -> int:
    """Serve in this process, as :func:`_serve` does; an error that prevents serving is reported in one line.

    Args:
        settings: of the command line.
        listening: the sockets of each thread, or those that all share. They are closed when all have their duplicates, so that
            clients are refused when the server stops listening.
        ready: called when it serves.
        reports: whether an error is reported.

    """
    serves = False
    servers: list[Union[InterfaceServer, App]] = []

    def on_served() -> None:
        nonlocal serves
        serves = True
        ready()

    def make(number: int) -> App:
        # The application may begin tasks as it is imported.
        expect_loops_of(make_loop)
        server = build_server(settings)
        if server in servers:
            message = f"{settings.app} is one App, and each thread needs one: --threads-per-worker takes functions run(app)"
            raise LoadError(message)
        servers.append(server)
        app = server if isinstance(server, App) else server.native_app
        for each in listening[number % len(listening)]:
            server.listen(AppListenOptions(fd=each.fileno()))
        if settings.metrics is not None:
            app.metrics(None)
        if succeeds():
            app.topics.do_without_broker()
        return app

    try:
        make_loop = loop_factory(settings.loop, settings.app_dir)
        group = ThreadGroup(make, settings.threads_per_worker, on_made=lambda: _close(listening), on_served=on_served)
        return -(group.run(make_loop) or 0)
    except KeyboardInterrupt:
        # It arrived before the server had installed its handlers, or after it removed them.
        return -signal.SIGINT
    except Exception as error:
        if serves:
            raise
        return _explain(settings, error) if reports() else CONFIGURATION_ERROR


def _explain(settings: argparse.Namespace, error: BaseException) -> int:
    if settings.log_level == "debug":
        traceback.print_exception(type(error), error, error.__traceback__)
    elif isinstance(error, (LoadError, LifespanError, BrokerError)):
        complain(f"socketify: {' '.join(str(error).split())}")
    elif (text := _own_words(error)).startswith(("cannot listen", "--")):
        complain(f"socketify: {text}")
    else:
        complain(f"socketify: {described(error)}")
    return CONFIGURATION_ERROR


def _own_words(error: BaseException) -> str:
    return str(error if not isinstance(error, OSError) or error.strerror is None else error.strerror)


def _public_settings(settings: argparse.Namespace) -> dict[str, object]:
    public = dict(sorted(vars(settings).items()))
    if public["ssl_keyfile_password"] is not None:
        public["ssl_keyfile_password"] = "***"
    if public["broker"] is not None:
        public["broker"] = without_password(settings.broker)
    public["backend"] = chosen_backend()
    if public["backend"] != "io_uring":
        public["backend_refusal"] = backend_refusal()
    return {name: value for name, value in public.items() if name not in ("print_config", "print_completion")}


def _load_environment(path: str) -> None:
    try:
        dotenv = importlib.import_module("dotenv")
    except ImportError as error:
        message = '--env-file needs the package python-dotenv: pip install "socketify[cli]"'
        raise LoadError(message) from error
    if not Path(path).is_file():
        message = f"--env-file: no such file: {path!r}"
        raise LoadError(message)
    for name, value in dotenv.dotenv_values(path).items():
        if value is not None:
            # A variable that is set already was set for this run.
            os.environ.setdefault(name, value)


def _print_completion(shell: str) -> int:
    try:
        shtab = importlib.import_module("shtab")
    except ImportError:
        sys.stderr.write('socketify: --print-completion needs the package shtab: pip install "socketify[cli]"\n')
        return CONFIGURATION_ERROR
    sys.stdout.write(shtab.complete(make_parser(), shell=shell) + "\n")
    return 0
