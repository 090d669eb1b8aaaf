"""The WSGI server (PEP 3333)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional, Union

from ..app.app import App
from ..core.blocking import BlockingWatch
from ..core.options import AppOptions
from ..process.worker_options import WorkerOptions
from ..wsgi import mount
from ..wsgi.thread_pool import checked_threads
from .base import InterfaceServer, ListenHandler


class WSGI(InterfaceServer):
    """Serves a WSGI application.

    Args:
        app: called as ``app(environ, start_response)``.
        options: as for all servers, see :class:`.InterfaceServer`, and so are those that are not described here.
        websocket: None for none, a dict as :meth:`socketify.App.ws` takes it, or an ASGI application that gets all
            websockets.
        websocket_options: of the websockets.
        task_factory_max_items: of the app.
        lifespan: of an ASGI application that gets the websockets.
        threads: 1 calls the application in the event loop's own thread, which is the fastest, and right for applications
            that do not wait for anything; more calls it in a pool of that many threads, so that one that waits stops no
            other.
        multiprocess: whether other processes serve the application too, which it sees as ``wsgi.multiprocess``.
        **keywords: see :class:`.InterfaceServer`; ``root_path`` is SCRIPT_NAME.

    Raises:
        TypeError, ValueError: an argument is wrong; the message names it.

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
        **keywords: Any,
    ) -> None:
        self._threads = checked_threads(threads)
        self._multiprocess = multiprocess
        super().__init__(app, options, websocket, websocket_options, task_factory_max_items, lifespan, **keywords)

    def _serve_http(self, app: App) -> None:
        # Its applications are made to block: threads and workers are for that.
        app.lifecycle.services[:] = [each for each in app.lifecycle.services if not isinstance(each, BlockingWatch)]
        mount.serve_http(app, self.app, self._root_path, self._threads, self._multiprocess)

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
        """Serve until SIGINT, SIGTERM or :meth:`close`; see :meth:`.InterfaceServer.run`.

        These threads have event loops: each has a pool of its own where the application is called in one.
        """
        # A supervisor may add workers, and replaces them: two serve then for a while.
        self._multiprocess = self._multiprocess or workers > 1 or worker_options is not None or metrics is not None
        super().run(workers, block, worker_options=worker_options, metrics=metrics, on_metrics=on_metrics, threads=threads)
