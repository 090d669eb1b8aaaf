"""Apps that live from their start to their end, with a handler of one of these that calls a method."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Callable

import client
from methods import APP, ENDING, Call

from socketify import ASGI, App, AppListenOptions

LOCAL = AppListenOptions(port=0, host="127.0.0.1")
Attempt = Callable[[App], None]
#: Callbacks, each with the event in whose handler it tries.
LIFE = {
    f"{event} {kind}".strip(): event for event in ("start", "shutdown") for kind in ("", "async", "async later", "lifespan")
}


def _handler(app: App, callback: str, attempt: Attempt) -> Callable[[], Any]:
    async def tries() -> None:
        if callback.endswith("later"):
            await asyncio.sleep(0)
        attempt(app)
        await asyncio.sleep(0)

    return tries if "async" in callback else lambda: attempt(app)


def _lifespan(callback: str, attempt: Attempt, pool_items: int) -> App:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        while scope["type"] == "lifespan":
            kind = (await receive())["type"]
            if kind.startswith(f"lifespan.{LIFE[callback]}"):
                attempt(app)
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    app: App = ASGI(application, request_response_factory_max_items=pool_items, shutdown_timeout=0.2).native_app
    return app


class Life:
    """One app, from its start to its end.

    Args:
        loop: where it is served, in another thread than this is called in.
        callback: one of :data:`LIFE`.
        attempt: what it calls there.
        build: adds the routes.
        pool_items: of the app.

    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        callback: str,
        attempt: Attempt,
        build: Callable[[App], None],
        pool_items: int,
    ) -> None:
        self._loop = loop
        self._callback = callback
        self._attempt = attempt
        self._build = build
        self._pool_items = pool_items
        self._port = 0

    def live(self) -> tuple[str, str]:
        """Give what became of a request after the start, and whether anybody listens after the end."""
        self._call(self._begin())
        answer = client.ok(self._port)
        failure = self._call(self._end())
        after = client.refused(self._port)
        return (answer, after) if failure is None else (answer, f"{after}, and {failure!r} is raised")

    def _call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _begin(self) -> None:
        if "lifespan" in self._callback:
            self._app = _lifespan(self._callback, self._attempt, self._pool_items)
        else:
            self._app = App(request_response_factory_max_items=self._pool_items, shutdown_timeout=0.2)
            self._build(self._app)
            handler = _handler(self._app, self._callback, self._attempt)
            (self._app.on_start if LIFE[self._callback] == "start" else self._app.on_shutdown)(handler)
        started = self._loop.create_future()
        self._app.on_start(lambda: started.set_result(None))
        self._app.listen(LOCAL, lambda config: setattr(self, "_port", config.port))
        self._serving = self._loop.create_task(self._app.serve())
        await asyncio.wait({started, self._serving}, return_when=asyncio.FIRST_COMPLETED)

    async def _end(self) -> Any:
        self._app.close()
        (failure,) = await asyncio.gather(self._serving, return_exceptions=True)
        return failure


def pairs() -> Iterator[tuple[str, str, Call]]:
    """Give callback, method, and the call of it: those of apps, for there is no request."""
    for callback in LIFE:
        for group, calls in (("app", APP), ("ending", ENDING)):
            for name, call in calls.items():
                yield callback, f"{group} {name}", call
