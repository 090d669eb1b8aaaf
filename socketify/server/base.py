"""What the servers of all interfaces have in common: their app, their options, listening and running."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import Any, Callable, Optional, TypeVar, Union

from ..app.app import App
from ..asgi.lifespan import LifespanError
from ..asgi.mount import serve_websockets
from ..core.limits import Limits
from ..core.listeners import Listener
from ..core.mistakes import check_takes
from ..core.options import AppListenOptions, AppOptions, ListenPlace, listen_options
from ..loop.event_loop import new_event_loop
from ..loop.loop_thread import forget_loop
from ..process.companion import Companion
from ..process.supervisor import CONFIGURATION_ERROR, Supervisor
from ..process.thread_group import ThreadGroup, checked_serving_threads
from ..process.worker_options import WorkerOptions
from ..process.worker_sockets import WorkerSockets
from ..system.parent import end_with_parent, fork
from ..system.processes import exit_code
from ..system.stop_signals import raise_again
from ..system.worker import succeeds
from ..topics.broker import BrokerError
from .detection import check_interface
from .metrics_server import metrics_place, open_metrics_port, serve_metrics

Self = TypeVar("Self", bound="InterfaceServer")
logger = logging.getLogger("socketify")

ListenHandler = Callable[[AppListenOptions], Any]

_WORKERS_FAILED = "the workers do not serve: what they logged says why"

#: The modes of lifespan, with the meaning of True and False.
LIFESPAN_MODES = ("auto", "on", "off")


class InterfaceServer(ABC):
    """Serves an application of another interface. The base of :class:`.ASGI`, :class:`.WSGI` and :class:`.SSGI`.

    Args:
        app: the application.
        options: TLS files; None for plain HTTP.
        websocket: True for the application's own websockets, None or False for none, a dict as :meth:`socketify.App.ws`
            takes it, or an ASGI application that gets all websockets.
        websocket_options: options of :meth:`socketify.App.ws` without handlers, such as ``max_payload_length``, for
            websockets that have no dict of their own.
        task_factory_max_items: as for :class:`socketify.App`.
        lifespan: True or ``"auto"``, ``"on"``, False or ``"off"``: whether an ASGI application is notified of start and
            shutdown. ``"on"`` makes it an error if it does not support that.
        root_path: where the application is mounted, as ``/api``; a proxy in front has taken it off the path.
        setup: called as ``setup(app)`` with the :class:`socketify.App` that does the work, to add routes that go before the
            application, or handlers; in every worker with the worker's own.
        **app_options: keyword-only options of :class:`socketify.App`, such as ``server_header`` or ``max_body_size``.

    Raises:
        TypeError: app is not callable, websocket is none of these, or an option is unknown.
        ValueError: an option has a wrong value; the message names it.

    """

    def __init__(
        self,
        app: Any,
        options: Optional[AppOptions] = None,
        websocket: Any = None,
        websocket_options: Optional[Mapping[str, Any]] = None,
        task_factory_max_items: int = 100_000,
        lifespan: Union[bool, str] = True,
        *,
        root_path: str = "",
        setup: Optional[Callable[[App], Any]] = None,
        **app_options: Any,
    ) -> None:
        if isinstance(app, App):
            check_interface(app, type(self).__name__)
        self._check_application(app)
        if websocket is not None and not isinstance(websocket, (bool, Mapping)) and not callable(websocket):
            message = f"websocket must be True, False, None, a dict or an ASGI application, not {websocket!r}"
            raise TypeError(message)
        if lifespan not in (True, False, *LIFESPAN_MODES):
            message = f"lifespan must be a bool or one of {', '.join(LIFESPAN_MODES)}, not {lifespan!r}"
            raise ValueError(message)
        if not isinstance(root_path, str) or (root_path and not root_path.startswith("/")):
            message = f"root_path must be empty or begin with '/', not {root_path!r}"
            raise ValueError(message)
        if setup is not None and not callable(setup):
            message = f"setup must be callable as setup(app), not {setup!r}"
            raise TypeError(message)
        self.app = app
        self._setup = setup
        self._options = options
        self._websocket = websocket
        self._websocket_options: Mapping[str, Any] = {} if websocket_options is None else websocket_options
        self._lifespan_mode: str = lifespan if isinstance(lifespan, str) else ("auto" if lifespan else "off")
        self._root_path = root_path.rstrip("/")
        self._app_options = {"task_factory_max_items": task_factory_max_items, **app_options}
        # Where it listens, with the bound ports.
        self._listening: list[AppListenOptions] = []
        self._listeners: list[Listener] = []
        # Tell where it listens, when the sockets that the workers share do.
        self._announcements: list[Callable[[], object]] = []
        self._thread: Optional[threading.Thread] = None
        # The threads that serve, of which that may be the first.
        self._group: Optional[ThreadGroup] = None
        self._supervisor = 0
        self._status = 0
        #: The :class:`socketify.App` that does the work; another one in every worker, in every thread, and after
        #: ``run(block=False)``.
        self.native_app: App = self._build()

    def _build(self) -> App:
        app = App(self._options, **self._app_options)
        try:
            self._serve_http(app)
            self._serve_websockets(app)
            if self._setup is not None:
                self._setup(app)
        except BaseException:
            app.close()
            raise
        return app

    # ---- what the interfaces override

    def _check_application(self, app: Any) -> None:
        if not callable(app):
            message = f"app must be callable, not {app!r}"
            raise TypeError(message)

    @abstractmethod
    def _serve_http(self, app: App) -> None:
        """Route all requests to the application."""

    def _serve_own_websockets(self, _app: App) -> None:
        """Route websockets to the application itself."""
        message = f"websocket=True: applications of {type(self).__name__} have no websockets of their own"
        raise ValueError(message)

    def _serve_websockets(self, app: App) -> None:
        websocket = self._websocket
        if websocket is None or websocket is False:
            return
        if websocket is True:
            self._serve_own_websockets(app)
        elif isinstance(websocket, Mapping):
            app.ws("/*", {**self._websocket_options, **websocket})
        else:
            serve_websockets(app, websocket, self._websocket_options, self._root_path, self._lifespan_mode)

    # ---- listening and running

    def listen(
        self: Self,
        port_or_options: ListenPlace = None,
        handler: Optional[ListenHandler] = None,
    ) -> Self:
        """Listen, at once; may be called several times.

        Args:
            port_or_options: a port, options, or a dict of their names and values; None picks a port.
            handler: called with the options, the bound port in them.

        Raises:
            OSError: the port is taken, the host unknown, or the path not permitted; the message says which.
            TypeError: an argument is wrong; the message names it.

        """
        if handler is not None:
            check_takes(handler, "handler", "config")
        bound: list[AppListenOptions] = []
        place = listen_options(port_or_options)
        self.native_app.listen(place, bound.append)
        # With a descriptor there is no port to record.
        self._listening.append(bound[0] if place.fd is None else place)
        self._listeners.append(self.native_app.core.listeners[-1])
        if handler is not None:
            handler(bound[0])
        return self

    def listen_for_workers(self, place: AppListenOptions, handler: Optional[ListenHandler]) -> None:
        """Like :meth:`listen`, before ``run(workers)``, but the handler is called when the sockets of all workers listen."""
        if handler is not None:
            check_takes(handler, "handler", "config")
        bound: list[AppListenOptions] = []
        self.listen(place, bound.append)
        if handler is not None:
            self._announcements.append(partial(handler, bound[0]))

    def run(
        self,
        workers: int = 1,
        block: bool = True,
        *,
        worker_options: Optional[WorkerOptions] = None,
        metrics: Union[int, str, None] = None,
        on_metrics: Optional[ListenHandler] = None,
        threads: int = 1,
    ) -> None:
        """Serve until SIGINT, SIGTERM or :meth:`close`. The signal is raised again, as by :meth:`socketify.App.run`.

        Args:
            workers: processes. Several share the ports; one that dies or does not answer is replaced.
            block: False to return as soon as it serves: from a thread, or from other processes for several workers.
            worker_options: how workers are watched, and when they are replaced: then one worker is a process of its own, too.
                None for the defaults.
            metrics: ``"HOST:PORT"``, or a port of this machine, where another process answers metrics, health and a status
                page (``docs/metrics.md``): then one worker is a process of its own, too. None for nothing.
            on_metrics: called with the bound :class:`.AppListenOptions` of that port, which the system may have picked.
            threads: of each process, from 1 to 1024. Each has an event loop and an app of its own, and they share the ports and
                the topics; when one of them ends, all do. They scale on free-threaded builds of CPython.

        Raises:
            OSError: the metrics port is taken, or not permitted.
            TypeError: worker_options is none, or metrics is neither int nor str, or threads is no int, or on_metrics cannot be
                called so.
            ValueError: workers is not positive, or threads is out of range, or a broker or an exclusive listener cannot be
                shared by them, or metrics is no place, or on_metrics is given without it.
            RuntimeError: it is served already, or the application refused to start, or workers die one after the other.
            KeyboardInterrupt: SIGINT stopped it, and the program has no handler of its own.

        """
        if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
            message = f"workers must be an int of 1 or more, not {workers!r}"
            raise ValueError(message)
        if worker_options is not None and not isinstance(worker_options, WorkerOptions):
            message = f"worker_options must be WorkerOptions or None, not {worker_options!r}"
            raise TypeError(message)
        checked_serving_threads("threads", threads)
        if threads > 1 and not isinstance(self._app_options.get("broker"), (str, type(None))):
            message = "broker must be a URL where several threads serve: the app of each needs a broker of its own"
            raise ValueError(message)
        if self._thread is not None or self._supervisor or self._group is not None:
            message = "it is served already"
            raise RuntimeError(message)
        if on_metrics is not None:
            check_takes(on_metrics, "on_metrics", "config")
            if metrics is None:
                message = "on_metrics is told the metrics port: metrics must say where that is"
                raise ValueError(message)
        if workers > 1 or worker_options is not None or metrics is not None:
            self._check_shared()
            watched = None if metrics is None else self._open_metrics_port(metrics, on_metrics)
            self._run_workers(workers, block, worker_options, watched, threads)
        elif not block:
            self._run_thread(threads)
        elif threads > 1:
            raise_again(self._run_group(self._sockets_for_group(threads), threads))
        else:
            self.native_app.run()

    async def serve(self) -> None:
        """Serve inside a running event loop until :meth:`close`.

        Raises:
            RuntimeError: it is closed or served already, or the application refused to start.

        """
        await self.native_app.serve()

    def close(self: Self) -> Self:
        """Stop serving: requests in flight may finish. Thread-safe.

        It waits for the end of what ``run(block=False)`` began, but not in a thread that serves.
        """
        if self._supervisor:
            supervisor, self._supervisor = self._supervisor, 0
            with contextlib.suppress(ProcessLookupError):
                os.kill(supervisor, signal.SIGTERM)
                exit_code(supervisor, waits=True)
            return self
        # Its thread forgets it when it ends.
        group = self._group
        if group is not None:
            group.close()
        else:
            self.native_app.close()
        thread, self._thread = self._thread, None
        if thread is not None and not (group is not None and group.has_caller):
            thread.join()
        return self

    def _app_of_thread(self, number: int, places: list[AppListenOptions]) -> App:
        """Make the app of a thread; that of the first one takes the place of the one that first listened."""
        app = self._build()
        if number == 0:
            self.native_app = app
        try:
            for config in places:
                app.listen(config)
        except BaseException:
            app.close()
            raise
        return app

    def _sockets_for(self, workers: int, threads: int) -> WorkerSockets:
        """Return sockets where the app listens, which go on when it does not."""
        limits = self._app_options.get("limits") or Limits()
        return WorkerSockets(self._listening, self._listeners, workers, limits.backlog, threads)

    def _check_shared(self) -> None:
        if any(config.options & 1 for config in self._listening):
            message = "a listener with options=1 is exclusive: workers and threads cannot share it"
            raise ValueError(message)

    def _open_metrics_port(self, place: Union[int, str], handler: Optional[ListenHandler]) -> Listener:
        """Listen where metrics are answered, and tell where that is."""
        host, port = metrics_place(place)
        listener = open_metrics_port(host, port)
        logger.info("metrics on %s", listener.where)
        if handler is not None:
            self._announcements.append(partial(handler, AppListenOptions(port=listener.port, host=host)))
        return listener

    def _run_workers(
        self, workers: int, block: bool, options: Optional[WorkerOptions], watched: Optional[Listener], threads: int
    ) -> None:
        sockets = self._sockets_for(workers, threads)
        self.native_app.close()

        def work(_index: int, shares: frozenset[int]) -> None:
            # The parent's loop belongs to the parent, so the descriptors that the fork copied are not touched.
            forget_loop()
            if watched is not None:
                watched.close()

            def make(number: int) -> App:
                app = self._app_of_thread(number, sockets.of(shares, number))
                if watched is not None:
                    app.metrics(None)
                if succeeds():
                    app.topics.do_without_broker()
                return app

            # Only the supervisor keeps them: when this worker stops, its successor gets its clients, or they are refused.
            self._group = ThreadGroup(make, threads, on_made=sockets.close)
            try:
                self._group.run(new_event_loop)
            except (LifespanError, BrokerError) as error:
                # The application would refuse to start in another worker, too, or the broker cannot be reached.
                logger.error("%s", error)  # noqa: TRY400 - its message is complete
                raise SystemExit(CONFIGURATION_ERROR) from error

        def supervise(on_ready: Optional[Callable[[], None]] = None) -> Supervisor:
            companion = None if watched is None else Companion("metrics", partial(serve_metrics, watched, sockets.close))
            supervisor = Supervisor(
                work,
                workers,
                on_ready,
                sockets.stop,
                options=options,
                sockets=len(sockets),
                companion=companion,
                threads=threads,
            )
            self._status = supervisor.run()
            sockets.stop()
            return supervisor

        try:
            self._announce(sockets)
            if not block:
                self._fork_supervisor(supervise)
                return
            supervisor = supervise()
        finally:
            # A supervisor in another process has its own copies.
            sockets.close()
            if watched is not None:
                watched.close()
        if self._status:
            raise RuntimeError(_WORKERS_FAILED)
        raise_again(supervisor.caught)

    def _announce(self, sockets: WorkerSockets) -> None:
        """Tell where the sockets listen."""
        try:
            for announce in self._announcements:
                announce()
        except BaseException:
            sockets.stop()
            raise

    def _fork_supervisor(self, supervise: Callable[[Callable[[], None]], Any]) -> None:
        """Run the supervisor in another process, and wait until its workers serve."""
        reader, writer = os.pipe()
        parent = os.getpid()
        # PR_SET_PDEATHSIG is about the thread that forked, not about the process.
        follows = threading.current_thread() is threading.main_thread()
        self._supervisor = fork()
        if self._supervisor == 0:
            self._status = 1
            try:
                os.close(reader)
                if follows:
                    end_with_parent(parent)
                supervise(lambda: os.close(writer) if os.write(writer, b"1") else None)
            finally:
                os._exit(self._status)
        os.close(writer)
        try:
            serves = os.read(reader, 1) == b"1"
        finally:
            os.close(reader)
        if serves:
            return
        pid, self._supervisor = self._supervisor, 0
        exit_code(pid, waits=True)
        raise RuntimeError(_WORKERS_FAILED)

    def _sockets_for_group(self, threads: int) -> WorkerSockets:
        """Take the sockets of the app that first listened, in whose thread this is called, for the threads of a group."""
        if threads > 1:
            self._check_shared()
        sockets = self._sockets_for(1, threads)
        self.native_app.close()
        return sockets

    def _run_group(self, sockets: WorkerSockets, threads: int, on_served: Callable[[], object] = lambda: None) -> Optional[int]:
        """Serve with this thread and others; return the signal that stopped it."""
        # The apps have their own duplicates: when they stop, clients are refused.
        self._group = ThreadGroup(
            lambda number: self._app_of_thread(number, sockets.of([0], number)),
            threads,
            on_made=sockets.close,
            on_served=on_served,
        )
        try:
            self._announce(sockets)
            return self._group.run(new_event_loop)
        finally:
            self._group = None
            sockets.stop()

    def _run_thread(self, threads: int) -> None:
        sockets = self._sockets_for_group(threads)
        ready = threading.Event()
        failure: list[BaseException] = []

        def work() -> None:
            try:
                self._run_group(sockets, threads, ready.set)
            except BaseException as error:
                failure.append(error)
            finally:
                ready.set()

        self._thread = threading.Thread(target=work, name="socketify")
        self._thread.start()
        ready.wait()
        if failure:
            self._thread.join()
            self._thread = None
            raise failure[0]
