"""One call that serves any application."""

from __future__ import annotations

from typing import Any, Optional, Union

from ..app.app import App
from ..asgi.mount import serve_websockets
from ..core.options import AppListenOptions, AppOptions
from ..process.thread_group import checked_serving_threads
from ..process.worker_options import WorkerOptions
from .asgi import ASGI
from .base import InterfaceServer, ListenHandler
from .detection import check_interface, detect_interface
from .ssgi import SSGI
from .wsgi import WSGI

INTERFACES = ("auto", "asgi", "asgi3", "wsgi", "ssgi", "socketify")

_SERVERS: dict[str, type[InterfaceServer]] = {"asgi": ASGI, "asgi3": ASGI, "wsgi": WSGI, "ssgi": SSGI}


def make_server(app: Any, interface: str = "auto", *, websocket: Any = "auto", **options: Any) -> Union[InterfaceServer, App]:
    """Make the server of an application, which does not listen yet.

    Args:
        app: the application; for the native interface an :class:`.App`, or a function ``run(app)`` that adds its routes.
        interface: one of ``auto``, ``asgi``, ``asgi3``, ``wsgi``, ``ssgi``, ``socketify``.
        websocket: ``"auto"`` for the application's own websockets where its interface has them; else as the servers take it.
        **options: of :class:`.ASGI`, :class:`.WSGI` or :class:`.SSGI`, or of :class:`.App` for the native interface.

    Raises:
        TypeError, ValueError: an argument is wrong; the message names it.

    """
    if interface not in INTERFACES:
        message = f"interface must be one of {', '.join(INTERFACES)}, not {interface!r}"
        raise ValueError(message)
    name = detect_interface(app) if interface == "auto" else interface
    check_interface(app, name)
    if name == "socketify":
        return _native_server(app, websocket, options)
    if websocket == "auto":
        websocket = None if name == "wsgi" else True
    if name in ("asgi", "asgi3"):
        options.pop("threads", None)
    else:
        options.pop("pathsend", None)
    if name != "wsgi":
        options.pop("multiprocess", None)
    return _SERVERS[name](app, websocket=websocket, **options)


class NativeServer(InterfaceServer):
    """Serves what a function ``run(app)`` adds to an :class:`socketify.App`, in every worker to the worker's own."""

    def _build(self) -> App:
        self._app_options["lifespan"] = self._lifespan_mode != "off"
        return super()._build()

    def _serve_http(self, app: App) -> None:
        self.app(app)


def _native_server(app: Any, websocket: Any, options: dict[str, Any]) -> Union[InterfaceServer, App]:
    for name in ("threads", "multiprocess", "root_path", "pathsend"):
        options.pop(name, None)
    websocket_options = options.pop("websocket_options", None)
    websocket = None if websocket == "auto" else websocket
    if not isinstance(app, App):
        return NativeServer(app, websocket=websocket, websocket_options=websocket_options, **options)
    if options:
        message = f"{', '.join(sorted(options))}: an App has its options already"
        raise TypeError(message)
    if isinstance(websocket, dict):
        app.ws("/*", {**(websocket_options or {}), **websocket})
    elif websocket is not None:
        serve_websockets(app, websocket, websocket_options or {}, "", "auto")
    return app


def serve(
    app: Any,
    interface: str = "auto",
    *,
    host: Optional[str] = "127.0.0.1",
    port: int = 8000,
    uds: Optional[str] = None,
    workers: int = 1,
    on_listen: Optional[ListenHandler] = None,
    options: Optional[AppOptions] = None,
    worker_options: Optional[WorkerOptions] = None,
    metrics: Union[int, str, None] = None,
    on_metrics: Optional[ListenHandler] = None,
    threads_per_worker: int = 1,
    **more: Any,
) -> None:
    """Serve an application until SIGINT or SIGTERM.

    Args:
        app: an ASGI, WSGI or SSGI application, an :class:`.App`, or a function ``run(app)`` that adds routes to one.
        interface: which of them it is: ``auto``, ``asgi``, ``asgi3``, ``wsgi``, ``ssgi``, ``socketify``.
        host: name or address to listen on; None for every interface.
        port: 0 lets the system pick one.
        uds: path of a Unix-domain socket, instead of host and port.
        workers: processes that share the port; an :class:`.App` object has one, and a function one for each.
        on_listen: called with the bound :class:`AppListenOptions`, when clients can connect.
        options: TLS files.
        worker_options: how workers are watched, and when they are replaced; see :meth:`.InterfaceServer.run`.
        metrics: where metrics, health and a status page are answered, as ``"127.0.0.1:9100"``; see
            :meth:`.InterfaceServer.run`. An :class:`.App` object has :meth:`.App.metrics` instead.
        on_metrics: called with the bound :class:`AppListenOptions` of that port, as ``on_listen``.
        threads_per_worker: of each process, with an event loop and an app of its own in each; see ``threads`` of
            :meth:`.InterfaceServer.run`.
        **more: options of the interface's server; see :func:`.make_server`. Its ``threads`` are those that call a WSGI
            application.

    Raises:
        OSError: the address is taken, or unknown.
        TypeError, ValueError: an argument is wrong; the message names it.

    """
    checked_serving_threads("threads_per_worker", threads_per_worker)
    given = {
        "workers": workers != 1,
        "worker_options": worker_options is not None,
        "metrics": metrics is not None,
        "on_metrics": on_metrics is not None,
        "threads_per_worker": threads_per_worker != 1,
    }
    for name, is_given in given.items():
        if isinstance(app, App) and is_given:
            what = "thread" if name == "threads_per_worker" else "process"
            message = f"{name}: an App serves with one {what}; a function run(app) can be served with several"
            raise ValueError(message)
    if not (isinstance(app, App) and options is None):
        more["options"] = options
    server = make_server(app, interface, **more)
    place = AppListenOptions(domain=uds) if uds is not None else AppListenOptions(port=port, host=host)
    if isinstance(server, App):
        server.listen(place, on_listen)
        server.run()
        return
    try:
        if any(given.values()):
            server.listen_for_workers(place, on_listen)
        else:
            server.listen(place, on_listen)
        server.run(workers, worker_options=worker_options, metrics=metrics, on_metrics=on_metrics, threads=threads_per_worker)
    finally:
        # Nobody else has it: where a handler or an argument ends this, nothing is to listen, and no file to be left.
        server.close()
