"""Applications that are served for a test, in a thread of their own or in the loop that runs."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import Any, Callable, Optional

from ..app.app import App
from ..core.options import AppListenOptions
from ..loop.event_loop import new_event_loop
from ..server.serve import make_server
from .failures import Failures

#: Seconds that requests in flight get when the test ends; then they are cut.
_GRACE_SECONDS = 5.0
_ENDED = "the client is closed"


class ServedApplication:
    """An application and how it is served: once, from :meth:`begin` on.

    Args:
        application: an App, a function ``run(app)``, an ASGI, WSGI or SSGI application.
        interface: which of them it is.
        options: of the server, as :func:`socketify.serve` takes them.
        failures: gets what handlers raise.

    """

    def __init__(self, application: Any, interface: str, options: dict[str, Any], failures: Failures) -> None:
        if isinstance(application, App) and not application.core.native:
            message = (
                "the App is closed: an App is served once; make a new one for each client, or give a function run(app) that "
                "adds the routes"
            )
            raise RuntimeError(message)
        self._make = partial(make_server, application, interface, **options)
        self._failures = failures
        self._app: Optional[App] = None
        #: Where it listens, once it is served.
        self.port = 0
        #: Whether it speaks TLS.
        self.is_secure = application.is_secure if isinstance(application, App) else options.get("options") is not None

    def _listen(self) -> App:
        server = self._make()
        app = server if isinstance(server, App) else server.native_app
        if app.core.loop is not None:
            message = "the App is served already: an App is served once; close the client that serves it, or make another App"
            raise RuntimeError(message)
        self._app = app
        try:
            app.core.outcome.on_unhandled = self._failures.add

            def bound(config: AppListenOptions) -> None:
                self.port = config.port

            app.listen(AppListenOptions(port=0, host="127.0.0.1"), bound)
        except BaseException:
            app.close()
            raise
        return app

    @staticmethod
    def _notify_served(app: App, function: Callable[[], object]) -> None:
        before = app.lifecycle.on_served

        def on_served() -> None:
            before()
            function()

        app.lifecycle.on_served = on_served


class ThreadedApplication(ServedApplication):
    """An application that a thread of its own serves."""

    def __init__(self, application: Any, interface: str, options: dict[str, Any], failures: Failures) -> None:
        super().__init__(application, interface, options, failures)
        self._beginning = threading.Lock()
        self._thread: Optional[threading.Thread] = None
        self._failure: Optional[BaseException] = None
        self._is_over = False

    def begin(self) -> int:
        """Serve it, unless it is served already; return its port.

        Raises:
            RuntimeError: it was stopped.
            BaseException: what the application raised when it was made or started.

        """
        with self._beginning:
            if self._is_over:
                raise RuntimeError(_ENDED)
            if self._thread is None:
                served = threading.Event()
                # Where the interpreter ends before the client is closed, it does not wait for the thread.
                self._thread = threading.Thread(target=self._main, args=(served,), name="socketify-test", daemon=True)
                self._thread.start()
                served.wait()
                if self._failure is not None:
                    self._is_over = True
                    self._thread.join()
                    self._raise_failure()
        return self.port

    def _main(self, served: threading.Event) -> None:
        app: Optional[App] = None
        try:
            app = self._listen()
            self._notify_served(app, served.set)
            app.lifecycle.run(new_event_loop)
        except BaseException as error:
            self._failure = error
        finally:
            if app is not None:
                app.close()
            served.set()

    def end(self) -> None:
        """Stop it, and wait until it has ended.

        Raises:
            BaseException: what the application raised when it was stopped.

        """
        self._is_over = True
        thread, self._thread = self._thread, None
        if thread is None or self._app is None:
            return
        self._app.close()
        if thread is threading.current_thread():
            # Where the client was forgotten, its own thread may be the one that collects it.
            return
        thread.join(_GRACE_SECONDS)
        if thread.is_alive():
            # The second call does not wait for requests in flight.
            self._app.close()
            thread.join()
        self._raise_failure()

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            try:
                raise failure
            finally:
                failure = None


class LoopApplication(ServedApplication):
    """An application that the running event loop serves."""

    _beginning: Optional[asyncio.Task[int]] = None
    _serving: Optional[asyncio.Task[None]] = None
    _is_over = False

    async def begin(self) -> int:
        """Serve it, unless it is served already; return its port.

        Raises:
            RuntimeError: it was stopped.
            BaseException: what the application raised when it was made or started.

        """
        if self._is_over:
            raise RuntimeError(_ENDED)
        if self._beginning is None:
            self._beginning = asyncio.ensure_future(self._begin())
        # Several may wait: one that is cancelled must not cancel the others.
        return await asyncio.shield(self._beginning)

    async def _begin(self) -> int:
        if self._is_over:
            # It was closed before this task began.
            raise RuntimeError(_ENDED)
        app = self._listen()
        served: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._notify_served(app, lambda: served.set_result(None))
        serving = self._serving = asyncio.ensure_future(app.serve())
        await asyncio.wait({serving, served}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            self._serving = None
            self._is_over = True
            await serving
        return self.port

    async def end(self) -> None:
        """Stop it, and wait until it has ended.

        Raises:
            BaseException: what the application raised when it was stopped.

        """
        self._is_over = True
        serving, self._serving = self._serving, None
        if serving is None or self._app is None or serving.cancelled():
            return
        self._app.close()
        done, _ = await asyncio.wait({serving}, timeout=_GRACE_SECONDS)
        if not done:
            # The second call does not wait for requests in flight.
            self._app.close()
        await serving
