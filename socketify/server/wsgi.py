"""The WSGI server (PEP 3333)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional, Union

from ..app.app import App
from ..core.options import AppOptions
from ..wsgi.gateway import Gateway
from .base import InterfaceServer

_THREADS_MAX = 1024


class WSGI(InterfaceServer):
    """Serves a WSGI application.

    Args:
        app: called as ``app(environ, start_response)``.
        options: TLS files; None for plain HTTP.
        websocket: None for none, a dict as :meth:`socketify.App.ws` takes it, or an ASGI application that gets all
            websockets.
        websocket_options: options of :meth:`socketify.App.ws` for websockets that are not given as a dict.
        task_factory_max_items: as for :class:`socketify.App`.
        lifespan: of an ASGI application that gets the websockets.
        threads: 1 calls the application in the event loop's own thread, which is the fastest, and right for applications
            that do not wait for anything; more calls it in a pool of that many threads, so that one that waits stops no
            other.
        multiprocess: whether other processes serve the application too, which it is told as ``wsgi.multiprocess``.
        root_path: where the application is mounted (SCRIPT_NAME), as ``/api``. It is taken off the path, unless a proxy
            in front has done so.
        **app_options: keyword-only options of :class:`socketify.App`, such as ``server_header`` or ``limits``.

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
        threads: int = 1,
        multiprocess: bool = False,
        root_path: str = "",
        **app_options: Any,
    ) -> None:
        self._threads = checked_threads(threads)
        self._multiprocess = multiprocess
        super().__init__(
            app,
            options,
            websocket,
            websocket_options,
            task_factory_max_items,
            lifespan,
            root_path=root_path,
            **app_options,
        )

    def _serve_http(self, native: App) -> None:
        serve_http(native, self.app, self._options, self._root_path, self._threads, self._multiprocess)

    def run(self, workers: int = 1, block: bool = True) -> None:
        """Serve until SIGINT, SIGTERM or :meth:`close`; see :meth:`InterfaceServer.run`."""
        self._multiprocess = self._multiprocess or workers > 1
        super().run(workers, block)


def serve_http(
    native: App, app: Any, options: Optional[AppOptions], root_path: str, threads: int = 1, multiprocess: bool = False
) -> None:
    """Route all requests of a native app to a WSGI application."""
    scheme = "https" if options is not None and options.wants_tls else "http"
    Gateway(native, app, threads, scheme, root_path, multiprocess).route()


def checked_threads(threads: int) -> int:
    """Check a number of threads.

    Raises:
        ValueError: it is none.

    """
    if not isinstance(threads, int) or isinstance(threads, bool) or not 1 <= threads <= _THREADS_MAX:
        message = f"threads must be an int from 1 to {_THREADS_MAX}, not {threads!r}"
        raise ValueError(message)
    return threads
