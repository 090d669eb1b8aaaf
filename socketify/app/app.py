"""The app: its options, its routes, and what is added to it."""

from __future__ import annotations

import asyncio
import json
import os
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Callable, Optional, TypeVar, Union

from ..core.access_log import LogDestination
from ..core.blocking import BlockingWatch
from ..core.bridge import Loop
from ..core.certificate_watch import CertificateWatch
from ..core.compressing import compress
from ..core.core import Core
from ..core.lifecycle import Lifecycle
from ..core.limits import Limits
from ..core.listeners import Listener
from ..core.mistakes import check_takes
from ..core.native_options import native_options
from ..core.observing import USUAL_FORWARDED_HEADERS, FieldNames, TrustedProxies, new_access_log, observe
from ..core.options import AppListenOptions, AppOptions, ListenPlace, check_counts, is_debug, listen_options
from ..core.outcome import ErrorHandler
from ..core.response_compression import ResponseCompression, as_compression
from ..core.server_names import ServerNames
from ..core.stopping import LifecycleHandler
from ..http.handlers import Handler, Handlers
from ..http.no_route import no_route
from ..http.request import Request
from ..http.response import Response
from ..http.static import StaticFiles
from ..loop.event_loop import new_event_loop
from ..system.standard_streams import fill_standard_descriptors
from ..system.stop_signals import raise_again
from ..topics.broker import Broker
from ..topics.brokers.schemes import find_broker, is_chosen
from ..topics.current import announce
from ..topics.shared_topics import SharedTopics
from ..topics.topics import Topics
from ..websocket.routes import WebSocketRoutes
from ..wire.headers import Headers
from .extensions import AppExtension
from .middleware import Middleware
from .mount_methods import MountMethods
from .observed import Observed, new_tracing
from .routers import DecoratorRouter
from .server_name_methods import ServerNameMethods
from .topic_methods import TopicMethods

Function = TypeVar("Function", bound=LifecycleHandler)


class App(Observed, TopicMethods, ServerNameMethods, MountMethods):
    """A web server and its routes.

    Args:
        options: TLS files; None for plain HTTP.
        request_response_factory_max_items: requests and responses made in advance and kept for reuse; 0 makes none in
            advance and keeps a few.
        websocket_factory_max_items: likewise for websockets.
        task_factory_max_items: accepted for compatibility: tasks are made when a handler first waits.
        lifespan: whether start and shutdown handlers run.
        idle_relaxation_time: accepted for compatibility: an idle app sleeps until something happens.
        http: what clients may speak: ``"auto"`` for HTTP/1.1 and HTTP/2, by what TLS agrees on, or in clear by prior
            knowledge (RFC 9113 section 3); ``"1"`` or ``"2"`` for one of them only.
        limits: what clients may send, and how long they may take; see :class:`Limits` for the defaults.
        shutdown_timeout: seconds that a stop may take: requests in flight, tasks, and shutdown handlers.
        server_header: value of the Server field, at most 128 bytes; None to send none.
        date_header: whether Date is sent (RFC 9110 section 6.6.1).
        accept_proxy_protocol: True for connections that begin with a header of the PROXY protocol, version 1 or 2, in front of
            TLS if there is TLS; others are refused unless it is ``"optional"``. Only for listeners that nobody but a trusted
            proxy can reach.
        trusted_proxies: addresses and networks, as a list or with commas between, or ``"*"`` for all, of the proxies that are
            believed who the client is, for ``get_remote_address`` and ``get_scheme``, and for the applications of other
            interfaces; or how many proxies stand in a row in front. None to believe nobody. Whoever can reach a Unix-domain
            socket is believed if any proxy is.
        forwarded_headers: the fields in which they are believed, as a list or with commas between, in any case: ``Forwarded``
            (RFC 7239), ``X-Forwarded-For``, ``-Proto``, ``-Host``, ``-Port`` and ``-Prefix``. Only those that the proxy sets or
            removes itself.
        response_headers: pairs of name and value, or a mapping: fields of every response that has none of that name itself.
        request_id: True to give every request a name, unless it has one, in the field ``X-Request-ID``, or in the one that is
            given here: in the request that handlers see, in the response, in logs.
        access_log: ``"common"``, ``"combined"``, ``"json"``, or a format of :class:`.LogFormat`, for a line for every response;
            None for none, or ``"combined"`` where the next one is given.
        access_log_file: where its lines go: a path, a :class:`logging.Logger`, or None for standard output.
        otel: whether requests and websockets are traced and measured through the API of OpenTelemetry, with the providers that
            the program has set: see ``docs/opentelemetry.md``.
        compress_responses: True to compress responses for clients that accept it, or a :class:`ResponseCompression` that says
            which and how; see ``res.compress``.
        debug: for development, never in production: whether the 500 page shows the error, and the log says what blocks the
            event loop, and which handler did not answer. None for what the environment variable SOCKETIFY_DEBUG says, which
            ``--debug`` sets.
        broker: what shares the topics of this app with other processes: a URL such as ``redis://localhost``, or a
            :class:`socketify.Broker`. None for the one in the environment variable SOCKETIFY_BROKER or, in a worker, the one
            that its supervisor gives it; ``"none"`` for none.
        broker_required: whether an app whose broker cannot be reached fails as it starts, with a BrokerError. If not, or if
            it is the one that a supervisor gives, the app serves, and goes on trying.

    Raises:
        ModuleNotFoundError: otel is asked for, and opentelemetry-api is not installed.
        OSError: a TLS file cannot be read; or the system refuses what an event loop needs, mostly because descriptors are
            exhausted.
        RuntimeError: TLS is asked for, and OpenSSL 3 is not installed; or the backend in SOCKETIFY_BACKEND is not available.
        TypeError: an argument has the wrong type.
        ValueError: an argument, a TLS option or a TLS file has a wrong value; the message names it.

    """

    def __init__(
        self,
        options: Optional[AppOptions] = None,
        request_response_factory_max_items: int = 0,
        websocket_factory_max_items: int = 0,
        task_factory_max_items: int = 100_000,
        lifespan: bool = True,
        idle_relaxation_time: float = 0.01,
        *,
        http: str = "auto",
        limits: Optional[Limits] = None,
        shutdown_timeout: float = 30.0,
        server_header: Optional[str] = "socketify",
        date_header: bool = True,
        accept_proxy_protocol: Union[bool, str] = False,
        trusted_proxies: TrustedProxies = None,
        forwarded_headers: FieldNames = USUAL_FORWARDED_HEADERS,
        response_headers: Optional[Headers] = None,
        request_id: Union[bool, str] = False,
        access_log: Optional[str] = None,
        access_log_file: LogDestination = None,
        otel: bool = False,
        compress_responses: Union[bool, ResponseCompression] = False,
        debug: Optional[bool] = None,
        broker: Union[str, Broker, None] = None,
        broker_required: bool = True,
    ) -> None:
        if options is not None and not isinstance(options, AppOptions):
            message = f"options must be AppOptions, not {type(options).__name__}"
            raise TypeError(message)
        check_counts(
            request_response_factory_max_items=request_response_factory_max_items,
            websocket_factory_max_items=websocket_factory_max_items,
            task_factory_max_items=task_factory_max_items,
        )
        if not isinstance(idle_relaxation_time, (int, float)) or idle_relaxation_time < 0:
            message = f"idle_relaxation_time must be seconds, 0 or more, not {idle_relaxation_time!r}"
            raise ValueError(message)
        if limits is not None and not isinstance(limits, Limits):
            message = f"limits must be a Limits, not {type(limits).__name__}"
            raise TypeError(message)
        fill_standard_descriptors()
        compression = as_compression(compress_responses)
        log = new_access_log(access_log, access_log_file)
        tracing = new_tracing(otel)
        limits = limits or Limits()
        #: What the parts of the framework share; not for handlers.
        debug = is_debug() if debug is None else debug
        self.core = core = Core(debug)
        core.app = weakref.ref(self)
        #: How it listens, is served and stops; for servers that run it.
        self.lifecycle = Lifecycle(core, lifespan, shutdown_timeout)
        if debug:
            self.lifecycle.services.append(BlockingWatch())
        self._backlog = limits.backlog
        self.handlers = Handlers(core, request_response_factory_max_items, tracing)
        self._loop = Loop(core)
        # Programs of the published package read it.
        self._json_serializer: Any = json
        on_missing = self.handlers.callback(self.handlers.traced(no_route, None), ())
        on_drained = self.lifecycle.on_drained
        core.open(native_options(core, limits, http, server_header, date_header, accept_proxy_protocol, on_missing, on_drained))
        try:
            observe(core, trusted_proxies, forwarded_headers, response_headers, request_id)
            if tracing is not None:
                tracing.observe(core)
            if compression is not None:
                compress(core, compression)
            if log is not None:
                log.observe(core)
                self.lifecycle.on_reopen.append(log.reopen)
            self.server_names = ServerNames(core, options)
            self.topics = self._new_topics(broker, broker_required)
            announce(self.topics, self)
            presence = self.topics.presence
            self.websocket_routes = WebSocketRoutes(core, self.handlers, websocket_factory_max_items, presence)
        except BaseException:
            self.close()
            raise
        if core.is_secure:
            self.lifecycle.on_hangup = self.server_names.reload_on_hangup
        if options is not None and options.reload_interval and core.is_secure:
            self.lifecycle.services.append(CertificateWatch(self.server_names, options.reload_interval))

    def _new_topics(self, broker: Union[str, Broker, None], required: bool) -> Topics:
        found = find_broker(broker)
        if found is None:
            return Topics(self.core)
        # A worker that changed its user or its root cannot use what its supervisor has made, and serves without it.
        topics = SharedTopics(self.core, *found, required and is_chosen(broker))
        self.lifecycle.services.append(topics)
        return topics

    # ---- its life

    def on_start(self, handler: Function) -> Function:
        """Run a function, sync or async, before the first request. Usable as a decorator."""
        self.lifecycle.add_start_handler(handler)
        return handler

    def on_shutdown(self, handler: Function) -> Function:
        """Run a function, sync or async, after the last request. Usable as a decorator."""
        self.lifecycle.add_shutdown_handler(handler)
        return handler

    def listen(
        self,
        port_or_options: ListenPlace = None,
        handler: Optional[Callable[[AppListenOptions], Any]] = None,
    ) -> App:
        """Listen, at once.

        Args:
            port_or_options: a port, options, or a dict of their names and values; None picks a port.
            handler: called with the options, the bound port in them.

        Raises:
            OSError: the port is taken, the host unknown, or the path not permitted; the message says which.
            TypeError: an argument is wrong; the message names it.

        """
        if handler is not None:
            check_takes(handler, "handler", "config")
        config = listen_options(port_or_options)
        self.lifecycle.check_may_listen()
        listener = Listener(config, self._backlog)
        self.core.listen(listener)
        if handler is not None:
            handler(replace(config, port=listener.port, fd=None, permissions=listener.permissions))
        return self

    def run(self, loop_factory: Callable[[], asyncio.AbstractEventLoop] = new_event_loop) -> None:
        """Serve until SIGINT, SIGTERM or :meth:`close`.

        A second signal does not wait for requests in flight, and ends start and shutdown handlers that wait. The signal that
        stopped it is raised again when all is done: by default SIGTERM then ends the process.

        An app that serves TLS reads its certificates again on SIGHUP and SIGUSR1; on SIGUSR1 an access log that is a file is
        opened anew.

        Args:
            loop_factory: makes the event loop; uvloop's where it is installed, else asyncio's own.

        Raises:
            KeyboardInterrupt: SIGINT stopped it, and the program has no handler of its own.
            BaseException: what a start or shutdown handler raised; see :meth:`serve`.

        """
        raise_again(self.lifecycle.run(loop_factory))

    async def serve(self) -> None:
        """Serve inside a running event loop until :meth:`close`.

        Raises:
            RuntimeError: the app is closed, or served already.
            BaseException: what a start or shutdown handler raised, when everything is released. All shutdown handlers run;
                when several failed, the first error is raised, and the others are logged.

        """
        await self.lifecycle.serve()

    def close(self) -> App:
        """Stop serving: requests in flight may finish. A second call does not wait for them. Thread-safe.

        An app that nobody serves is closed at once. Where the loop of another app of its thread took its connections, they are
        cut in that loop's next turn: a handler that calls this may still answer.
        """
        self.lifecycle.close()
        return self

    def dispose(self) -> App:
        """Do the same as :meth:`close`."""
        return self.close()

    def close_after(self, requests: int) -> App:
        """Stop gracefully after so many more requests; a worker serves until its successor does, which its supervisor starts.

        Raises:
            ValueError: it is not an int of 1 or more.

        """
        self.lifecycle.close_after(requests)
        return self

    @property
    def is_ssl(self) -> bool:
        """Whether the app serves HTTPS and wss, as :attr:`is_secure` tells."""
        return self.is_secure

    @property
    def socket(self) -> Optional[int]:
        """The descriptor of the first socket that the app listens on; None where there is none, or none any more."""
        return next((each.fd for each in self.core.listeners if each.fd >= 0), None)

    @property
    def loop(self) -> Loop:
        """The bridge to the event loop that serves the app."""
        return self._loop

    def get_native_handle(self) -> int:
        """Return the address of the native app; 0 when it is closed."""
        return self.core.native

    def run_async(self, coroutine: Any, response: Optional[Response] = None) -> asyncio.Future[Any]:
        """Run a coroutine, whose first step is made at once; an error in it goes to the error handler with that response.

        Returns:
            Its task if it waits, a future that is done if not; with its result, or None after an error.

        Raises:
            RuntimeError: the app is closed, or another thread than the app's calls.
            TypeError: it is not awaitable.

        """
        return self.core.run_async(coroutine, response)

    # ---- routes

    def route(self, method: str, path: str, handler: Handler) -> App:
        """Route requests of a method; ``*`` stands for all methods."""
        self.handlers.route("", method, path, handler)
        return self

    def static(
        self,
        route: str,
        directory: Union[str, os.PathLike[str]],
        *,
        index: Optional[str] = None,
        precompressed: bool = True,
        cache_control: Optional[str] = None,
    ) -> App:
        """Serve the files of a directory under a prefix, for GET and HEAD.

        Args:
            route: the prefix, as ``/static``.
            directory: must exist; nothing outside of it is served.
            index: name of the file that is served for a directory, as ``index.html``; None for none.
            precompressed: whether ``name.br``, ``name.zst`` or ``name.gz`` is sent to clients that accept it.
            cache_control: value of Cache-Control; None for none.

        Raises:
            FileNotFoundError: there is no such directory.
            ValueError: the route does not begin with a slash.

        """
        prefix = route.rstrip("/")
        files = StaticFiles(prefix, directory, index=index, precompressed=precompressed, cache_control=cache_control)
        if index is not None and prefix:
            self.get(prefix, files)
        return self.get(prefix + "/*", files)

    def router(self, prefix: str = "", *middlewares: Union[Middleware, Sequence[Middleware]]) -> DecoratorRouter:
        """Make a router whose methods are decorators, for routes under a prefix, behind middlewares, which may be lists.

        Raises:
            ValueError: the prefix does not begin with a slash.

        """
        return DecoratorRouter(self, prefix, *middlewares)

    def ws(self, path: str, behavior: Mapping[str, Any]) -> App:
        """Route websockets.

        Args:
            path: as for HTTP routes, which may have the same path: they get the requests that are not upgrades.
            behavior: options and handlers. The options are ``compression`` (``CompressOptions.DISABLED``),
                ``max_payload_length`` (16 MiB; larger messages end the connection with 1009), ``idle_timeout`` (20 seconds;
                0 for none), ``max_backpressure`` (64 KiB), ``close_on_backpressure_limit`` (False),
                ``reset_idle_timeout_on_send`` (False), ``send_pings_automatically`` (True), ``max_lifetime`` (0, in
                minutes; 0 for no limit), ``allowed_origins`` (None for all; others get 403), ``max_connections`` (0 for no
                limit; more get 503) and ``max_connections_per_address`` (0; more get 429). The handlers, sync or async, are
                ``upgrade(res, req, socket_context)``, ``open(ws)``, ``message(ws, message, opcode)``, ``drain(ws)``,
                ``ping(ws, message)``, ``pong(ws, message)``, ``close(ws, code, message)`` and
                ``subscription(ws, topic, subscriptions, subscriptions_before)``; and ``presence(ws)``, which does not wait, and
                returns as JSON what others may see of a websocket on its topics (:meth:`presence`).

        Raises:
            TypeError, ValueError: an argument is wrong; the message names the key.

        """
        self.websocket_routes.add("", path, behavior)
        return self

    # ---- what handlers use

    def on_error(self, handler: ErrorHandler) -> ErrorHandler:
        """Handle errors of handlers: ``handler(error, res, req)``, sync or async; res and req may be None.

        A response that it leaves unanswered gets a 500. Usable as a decorator.

        Raises:
            TypeError: it is not callable.

        """
        if not callable(handler):
            message = f"an error handler must be callable as handler(error, res, req), not {handler!r}"
            raise TypeError(message)
        check_takes(handler, "error handler", "error", "res", "req")
        self.core.outcome.handler = handler
        return handler

    def set_error_handler(self, handler: Optional[ErrorHandler]) -> App:
        """Do the same as :meth:`on_error`; None for no handler."""
        if handler is None:
            self.core.outcome.handler = None
        else:
            self.on_error(handler)
        return self

    def trigger_error(self, error: BaseException, res: Optional[Response] = None, req: Optional[Request] = None) -> App:
        """Report an error as one that a handler raised: to the error handler, the log, and the client of a response."""
        self.core.fail(error, res, req)
        return self

    def json_serializer(self, module: Any) -> App:
        """Use another serializer than :mod:`json`, such as ujson or orjson.

        Args:
            module: any object with ``dumps`` (returning str or bytes) and ``loads``.

        Raises:
            TypeError: it lacks one of them.

        """
        for name in ("dumps", "loads"):
            if not callable(getattr(module, name, None)):
                message = f"a JSON serializer needs functions dumps and loads: {module!r} has no {name}"
                raise TypeError(message)
        self.core.dumps, self.core.loads = module.dumps, module.loads
        self._json_serializer = module
        return self

    def template(self, engine: Any) -> App:
        """Use a template engine for ``res.render``.

        Args:
            engine: any object with ``render(name, **kwargs)``, which returns str or bytes.

        Raises:
            TypeError: it has no render.

        """
        if not callable(getattr(engine, "render", None)):
            message = f"a template engine needs a method render(name, **kwargs): {engine!r} has none"
            raise TypeError(message)
        self.core.template = engine
        return self

    def register(self, extension: Callable[[AppExtension, AppExtension, AppExtension], Any]) -> App:
        """Let an extension add methods and properties to the requests, responses and websockets of this app.

        Args:
            extension: called at once as ``extension(request, response, ws)``.

        Raises:
            TypeError: it is not callable.
            ValueError: it adds a name that exists already.

        """
        if not callable(extension):
            message = f"an extension must be callable as extension(request, response, ws), not {extension!r}"
            raise TypeError(message)
        handlers = self.handlers
        extension(
            AppExtension(handlers.request_class, lambda req: req.exchange_.own_request_extras()),
            AppExtension(handlers.response_class, lambda res: res.exchange_.own_response_extras()),
            AppExtension(self.websocket_routes.pool.websocket_class, lambda ws: ws.session_.own_extras()),
        )
        return self
