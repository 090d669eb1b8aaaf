"""The app: its options, its routes, and what is added to it."""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Iterable, Iterator
from typing import Any, Callable, Optional, Union

from ..core.access_log import AccessLog
from ..core.exchange import Handler
from ..core.limits import Limits
from ..core.options import AppOptions
from ..core.outcome import ErrorHandler
from ..core.server_names import ServerNames
from ..core.waiting_clients import WaitingClients
from ..http.request import Request
from ..http.response import Response
from ..http.static import StaticFiles
from ..loop.backend import open_loop
from ..native import abi, capabilities, lib, request_handler
from ..system.standard_streams import fill_standard_descriptors
from ..topics.topics import checked_path
from ..wire.networks import packed_networks
from .extensions import AppExtension
from .middleware import Middleware
from .routers import DecoratorRouter, Verbs

_METHODS = frozenset(("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"))


class App(Verbs, ServerNames):
    """A web server and its routes.

    Args:
        options: TLS files; None for plain HTTP.
        request_response_factory_max_items: requests and responses made in advance and kept for reuse; 0 makes none in
            advance and keeps a few.
        websocket_factory_max_items: likewise for websockets.
        task_factory_max_items: accepted for compatibility: tasks are made when a handler first waits.
        lifespan: whether start and shutdown handlers run.
        limits: what clients may send, and how long they may take; see :class:`Limits` for the defaults.
        shutdown_timeout: seconds that a stop may take: requests in flight, tasks, and shutdown handlers.
        server_header: value of the Server field, at most 128 bytes; None to send none.
        date_header: whether Date is sent (RFC 9110 section 6.6.1).
        accept_proxy_protocol: whether connections may begin with a PROXY protocol v2 header. Only for listeners that
            nobody but a trusted proxy can reach.
        trusted_proxies: addresses and networks, as a list or with commas between, or ``"*"`` for all, of the proxies whose
            X-Forwarded-For and X-Forwarded-Proto are believed: then these say who the client is, for
            ``get_remote_address`` and ``get_scheme``, and for the applications of other interfaces. None to believe nobody.
            Whoever can reach a Unix-domain socket is believed where anybody is.
        access_log: ``"common"`` or ``"json"`` to write a line to standard output for every response; None for none.
        debug: whether the 500 page shows the error; never in production.

    Raises:
        OSError: a TLS file cannot be read; or the system refuses what an event loop needs, mostly because descriptors are
            exhausted.
        RuntimeError: TLS is asked for, and OpenSSL 3 is not installed; or SOCKETIFY_BACKEND cannot be had.
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
        *,
        limits: Optional[Limits] = None,
        shutdown_timeout: float = 30.0,
        server_header: Optional[str] = "socketify",
        date_header: bool = True,
        accept_proxy_protocol: bool = False,
        trusted_proxies: Union[str, Iterable[str], None] = None,
        access_log: Optional[str] = None,
        debug: bool = False,
    ) -> None:
        if options is not None and not isinstance(options, AppOptions):
            message = f"options must be AppOptions, not {type(options).__name__}"
            raise TypeError(message)
        for name, value in (
            ("request_response_factory_max_items", request_response_factory_max_items),
            ("websocket_factory_max_items", websocket_factory_max_items),
            ("task_factory_max_items", task_factory_max_items),
        ):
            if not isinstance(value, int) or value < 0:
                message = f"{name} must be an int of 0 or more, not {value!r}"
                raise ValueError(message)
        if limits is not None and not isinstance(limits, Limits):
            message = f"limits must be a Limits, not {type(limits).__name__}"
            raise TypeError(message)
        fill_standard_descriptors()
        networks = None if trusted_proxies is None else packed_networks(trusted_proxies)
        log = None if access_log is None else AccessLog(access_log)
        super().__init__(request_response_factory_max_items, debug, lifespan, shutdown_timeout)
        self._init_websockets(websocket_factory_max_items)
        self._dumps: Callable[[Any], Union[str, bytes]] = json.dumps
        self._loads: Callable[[bytes], Any] = json.loads
        self._template: Any = None
        # Everything that native code calls must live as long as the native app.
        self._callbacks: list[object] = []
        self._native_options = self._options_struct(limits or Limits(), server_header, date_header, accept_proxy_protocol)
        self._native = self._make_native()
        self._trusts_proxies = networks is not None
        if networks is not None:
            self._configure(lambda native: lib.sk_app_trust(native, networks, len(networks)))
        if log is not None:
            callback = abi.LogCallback(log)
            self._callbacks.append(callback)
            self._configure(lambda native: lib.sk_app_log(native, callback))
        try:
            self._init_server_names(options)
        except BaseException:
            self.close()
            raise

    def _options_struct(self, limits: Limits, server: Optional[str], date: bool, proxy: bool) -> abi.AppOptionsStruct:
        self._backlog = limits.backlog
        self._waiting_clients = WaitingClients(limits.max_connections)
        server_header = None if server is None else server.encode("latin-1")
        missing = self._make_callback(_no_route, ())
        on_missing, on_missing_object = request_handler(missing)
        self._callbacks.append(missing)
        return abi.AppOptionsStruct(
            **limits.native(),
            date_header=1 if date else 0,
            accept_proxy_protocol=1 if proxy else 0,
            server_header=server_header,
            server_header_length=len(server_header or b""),
            on_missing=on_missing,
            on_missing_object=on_missing_object,
            on_abort=abi.AbortCallback(self._on_abort),
            on_body=abi.BodyCallback(self._on_body),
            on_writable=abi.WritableCallback(self._on_writable),
            on_timeout=abi.TimeoutCallback(self._on_timeout),
            on_drained=abi.DrainedCallback(self._on_drained),
            on_waiting=abi.WaitingCallback(self._on_waiting),
        )

    def _make_native(self) -> int:
        open_loop()
        native = lib.sk_app_create(ctypes.byref(self._native_options))
        if not native:
            message = "cannot create the native app: server_header is longer than 128 bytes, or memory is exhausted"
            raise RuntimeError(message)
        return int(native)

    def _on_waiting(self, reason: int, waiting: int) -> None:
        try:
            self._waiting_clients(reason, waiting)
        except BaseException as error:  # native code is the caller
            self._fail(error, None, None)

    def close_after(self, requests: int) -> App:
        """Stop gracefully after so many more requests.

        Raises:
            ValueError: it is no int of 1 or more.

        """
        if not isinstance(requests, int) or isinstance(requests, bool) or requests < 1:
            message = f"close_after takes an int of 1 or more, not {requests!r}"
            raise ValueError(message)
        callback = abi.DrainedCallback(self.close)
        self._callbacks.append(callback)
        self._configure(lambda native: lib.sk_app_limit_requests(native, requests, callback))
        return self

    # ---- routes

    def _route(self, method: str, path: str, handler: Handler) -> App:
        self._add_route("", method, path, handler)
        return self

    def _add_route(self, hostname: str, method: str, path: str, handler: Handler) -> None:
        names = checked_path(path)
        if not callable(handler):
            message = f"handler must be callable as handler(res, req), not {handler!r}"
            raise TypeError(message)
        if capabilities.members:
            native_handler = self._make_handler(handler, names)
            self._callbacks.append(native_handler)
            place = tuple(_place(hostname, method, path))
            self._configure(lambda native: lib.sk_app_route_exchange(native, *place, native_handler))
            return
        self._route_native(method, path, self._make_callback(handler, names), hostname)

    def _route_native(self, method: str, path: str, callback: Callable[[int], int], hostname: str = "") -> None:
        """Route to a function that gets the handle of the response, and returns 1 to pass the request on."""
        function, address = request_handler(callback)
        self._callbacks += (callback, function)
        place = tuple(_place(hostname, method, path))
        self._configure(lambda native: lib.sk_app_route(native, *place, function, address))

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
            precompressed: whether ``name.br`` or ``name.gz`` is sent instead of ``name`` to clients that accept it.
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

    def router(self, prefix: str = "", *middlewares: Middleware) -> DecoratorRouter:
        """Make a router whose methods are decorators, for routes under a prefix, behind middlewares.

        Raises:
            ValueError: the prefix does not begin with a slash.

        """
        return DecoratorRouter(self, prefix, *middlewares)

    # ---- what handlers use

    def json_serializer(self, module: Any) -> App:
        """Use another serializer than :mod:`json`, such as ujson or orjson.

        Args:
            module: any object with ``dumps`` (giving str or bytes) and ``loads``.

        Raises:
            TypeError: it lacks one of them.

        """
        for name in ("dumps", "loads"):
            if not callable(getattr(module, name, None)):
                message = f"a JSON serializer needs functions dumps and loads: {module!r} has no {name}"
                raise TypeError(message)
        self._dumps, self._loads = module.dumps, module.loads
        return self

    def template(self, engine: Any) -> App:
        """Use a template engine for ``res.render``.

        Args:
            engine: any object with ``render(name, **kwargs)``, which gives str or bytes.

        Raises:
            TypeError: it has no render.

        """
        if not callable(getattr(engine, "render", None)):
            message = f"a template engine needs a method render(name, **kwargs): {engine!r} has none"
            raise TypeError(message)
        self._template = engine
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
        extension(AppExtension(self._request_class), AppExtension(self._response_class), AppExtension(self._websocket_class))
        return self

    def set_error_handler(self, handler: ErrorHandler) -> App:
        """Do the same as :meth:`on_error`."""
        self.on_error(handler)
        return self


def _place(*texts: str) -> Iterator[Union[bytes, int]]:
    """Give each text as the native side takes it: its bytes, and how many."""
    for text in texts:
        encoded = text.encode()
        yield encoded
        yield len(encoded)


def _no_route(res: Response, req: Request) -> None:
    """Tell why no route took the request (RFC 9110 sections 15.5.5, 15.5.6 and 15.6.2)."""
    allowed = req.allowed_methods()
    method = req.get_method()
    if not allowed or method in allowed:
        res.write_status(404).end(b"Not Found")
    elif method in _METHODS:
        res.write_status(405).write_header("Allow", ", ".join(allowed)).end(b"Method Not Allowed")
    else:
        res.write_status(501).end(b"Not Implemented")
