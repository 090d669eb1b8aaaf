"""Calls every method inside every callback, and prints what became of each pair: run by test_reentrancy.py.

Arguments: ``served`` or ``unserved`` (then the app lives on the loop of another one), and the number of pooled objects. A
pair is printed when it begins and when it ended, so that a crash is known by the last one.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import logging
import queue
import socket
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Callable, Optional

import client
import life
from methods import APP, ENDING, REQUEST, RESPONSE, WEBSOCKET, Call

from socketify import App, AppListenOptions

LOCAL = AppListenOptions(port=0, host="127.0.0.1")
#: More than the kernel takes at once while a client reads.
BIG = b"x" * 8_000_000


class Attempt:
    """The call that is tried, and what it said."""

    def __init__(self) -> None:
        self.call: Optional[Callable[[Any, Any, Any, Any], Any]] = None
        self.said = "not called"

    def __call__(self, app: Any, res: Any = None, req: Any = None, ws: Any = None) -> None:
        call, self.call = self.call, None
        if call is None:
            return
        try:
            call(app, res, req, ws)
        except BaseException as error:
            self.said = type(error).__name__
        else:
            self.said = "returned"


attempt = Attempt()


class Finalized:
    """Tries when it is collected."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __del__(self) -> None:
        attempt(*self.arguments)


def finish(res: Any) -> None:
    if not res.has_responded():
        res.end("done")


# ---- callbacks of requests: each is a handler that calls something which tries


def handler(app: App) -> Callable[..., Any]:
    def handle(res: Any, req: Any) -> None:
        attempt(app, res, req)
        finish(res)

    return handle


def async_first(app: App) -> Callable[..., Any]:
    async def handle(res: Any, req: Any) -> None:
        attempt(app, res, req)
        await asyncio.sleep(0)
        finish(res)

    return handle


def async_later(app: App) -> Callable[..., Any]:
    async def handle(res: Any, req: Any) -> None:
        await asyncio.sleep(0)
        attempt(app, res, req)
        finish(res)

    return handle


def cork(app: App) -> Callable[..., Any]:
    def handle(res: Any, req: Any) -> None:
        res.cork(lambda res: attempt(app, res, req))
        finish(res)

    return handle


def on_data(app: App) -> Callable[..., Any]:
    def handle(res: Any, req: Any) -> None:
        def data(res: Any, _chunk: bytes, last: bool) -> None:
            if last:
                attempt(app, res, req)
                finish(res)

        req.preserve()
        res.on_data(data)

    return handle


def on_writable(app: App) -> Callable[..., Any]:
    def handle(res: Any, req: Any) -> None:
        def writable(res: Any, _offset: int) -> None:
            attempt(app, res, req)
            finish(res)

        req.preserve()
        res.on_writable(writable)
        res.write(BIG)

    return handle


def on_aborted(app: App) -> Callable[..., Any]:
    def handle(res: Any, req: Any) -> None:
        req.preserve()
        res.on_aborted(lambda res: attempt(app, res, req))
        res.close()

    return handle


def finalizer(app: App) -> Callable[..., Any]:
    def handle(res: Any, req: Any) -> None:
        Finalized(app, res, req)
        finish(res)

    return handle


def weak_reference(app: App) -> Callable[..., Any]:
    def handle(res: Any, req: Any) -> None:
        dying = Attempt()
        reference = weakref.ref(dying, lambda _: attempt(app, res, req))
        del dying
        finish(res)
        del reference

    return handle


def collection(app: App) -> Callable[..., Any]:
    def handle(res: Any, req: Any) -> None:
        def collecting(phase: str, _info: Any) -> None:
            if phase == "start":
                attempt(app, res, req)

        gc.callbacks.append(collecting)
        try:
            gc.collect(0)
        finally:
            gc.callbacks.remove(collecting)
        finish(res)

    return handle


def error_handler(_app: App) -> Callable[..., Any]:
    def handle(_res: Any, _req: Any) -> None:
        raise LookupError

    return handle


def extension(_app: App) -> Callable[..., Any]:
    def handle(res: Any, req: Any) -> None:
        res.attempt(req)
        finish(res)

    return handle


def yielding(app: App) -> Callable[..., Any]:
    def handle(res: Any, req: Any) -> None:
        req.set_yield(1)
        attempt(app, res, req)
        if res.has_responded():
            req.set_yield(0)

    return handle


def foreign(app: App) -> Callable[..., Any]:
    def handle(res: Any, req: Any) -> None:
        def work() -> None:
            attempt(app, res, req)
            # After what was forwarded.
            loop.call_soon_threadsafe(finish, res)

        loop = asyncio.get_running_loop()
        threading.Thread(target=work).start()

    return handle


HTTP = {
    each.__name__: each
    for each in (
        handler, async_first, async_later, cork, on_data, on_writable, on_aborted, finalizer, weak_reference, collection,
        error_handler, extension, yielding, foreign,
    )
}  # fmt: skip


# ---- callbacks of websockets


def echo(ws: Any, message: Any, opcode: Any) -> None:
    ws.send(message, opcode)


def join(ws: Any) -> None:
    ws.subscribe("topic")


def subscribes(ws: Any, message: Any, opcode: Any) -> None:
    ws.subscribe("new")
    echo(ws, message, opcode)


def floods(ws: Any, message: Any, opcode: Any) -> None:
    ws.send(BIG)
    echo(ws, message, opcode)


def websocket_messages(app: App) -> dict[str, Callable[..., Any]]:
    """Give message handlers that try, and echo."""

    def message(ws: Any, message: Any, opcode: Any) -> None:
        attempt(app, ws=ws)
        echo(ws, message, opcode)

    async def later(ws: Any, message: Any, opcode: Any) -> None:
        await asyncio.sleep(0)
        attempt(app, ws=ws)
        echo(ws, message, opcode)

    def elsewhere(ws: Any, message: Any, opcode: Any) -> None:
        def work() -> None:
            attempt(app, ws=ws)
            loop.call_soon_threadsafe(echo, ws, message, opcode)

        loop = asyncio.get_running_loop()
        threading.Thread(target=work).start()

    def corks(ws: Any, message: Any, opcode: Any) -> None:
        ws.cork(lambda ws: attempt(app, ws=ws))
        echo(ws, message, opcode)

    return {"ws message": message, "ws message later": later, "ws foreign": elsewhere, "ws cork": corks}


def websocket_routes(app: App) -> dict[str, dict[str, Any]]:
    def tries(ws: Any, *_: Any) -> None:
        attempt(app, ws=ws)

    def upgrade(res: Any, req: Any, context: Any) -> None:
        attempt(app, res, req)
        if not res.has_responded():
            res.upgrade(req.get_header("sec-websocket-key"), None, None, context)

    def tries_when_fewer(ws: Any, _topic: str, now: int, before: int) -> None:
        if now < before:
            tries(ws)

    def describes(ws: Any) -> str:
        tries(ws)
        return "somebody"

    both = {"open": join, "message": echo, "max_backpressure": 64 << 20}
    return {
        **{name: {**both, "message": message} for name, message in websocket_messages(app).items()},
        "ws upgrade": {**both, "upgrade": upgrade},
        "ws open": {**both, "open": lambda ws: (join(ws), tries(ws))},
        "ws ping": {**both, "ping": tries},
        "ws pong": {**both, "pong": tries},
        "ws subscription": {**both, "message": subscribes, "subscription": tries},
        "ws presence": {**both, "message": subscribes, "presence": describes},
        "ws drain": {**both, "message": floods, "drain": tries},
        "ws close": {**both, "close": tries},
        "ws unsubscribed": {**both, "subscription": tries_when_fewer},
    }


def build(app: App) -> None:
    """Give an app all routes."""
    for name, make in HTTP.items():
        app.any(f"/{name}/:parameter", make(app))
    app.any("/yielding/:parameter", lambda res, _req: finish(res))
    app.domain("own.example").get("/nothing", lambda res, _req: res.end("own"))
    app.get("/ok", lambda res, _req: res.end("ok"))
    for name, behavior in websocket_routes(app).items():
        app.ws(f"/{name.replace(' ', '-')}", behavior)

    def on_error(error: BaseException, res: Any, req: Any) -> None:
        if isinstance(error, LookupError):
            attempt(app, res, req)
            finish(res)

    app.on_error(on_error)

    def register(_request: Any, response: Any, _ws: Any) -> None:
        @response.method
        def attempt(res: Any, req: Any) -> None:
            globals()["attempt"](app, res, req)

    app.register(register)


# ---- the server's thread


class Target:
    """An app with all routes, served or on another app's loop; it is made anew once a call has ended it."""

    def __init__(self, served: bool, pool_items: int) -> None:
        self._served = served
        self._pool_items = pool_items
        self._commands: queue.Queue[Optional[threading.Event]] = queue.Queue()
        self.loop: Optional[asyncio.AbstractEventLoop] = None
        self.app: Optional[App] = None
        self.port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))
        self._thread.start()
        self._ready.wait()
        self.renew()

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._host = App()
        self._host.on_start(self._ready.set)
        await self._host.serve()

    async def _renew(self) -> None:
        items = self._pool_items
        app = self.app = App(request_response_factory_max_items=items, websocket_factory_max_items=items, shutdown_timeout=0.2)
        build(app)
        app.listen(LOCAL, lambda config: setattr(self, "port", config.port))
        if self._served:
            started = asyncio.get_running_loop().create_future()
            app.on_start(lambda: started.set_result(None))
            self.serving = asyncio.create_task(app.serve())
            await started

    def renew(self) -> None:
        if self.app is not None:
            self.app.close()
        assert self.loop is not None
        asyncio.run_coroutine_threadsafe(self._renew(), self.loop).result()

    def live(self, callback: str) -> tuple[str, str]:
        """Serve an app of its own from start to end; see :class:`life.Life`."""
        assert self.loop is not None
        return life.Life(self.loop, callback, attempt, build, self._pool_items).live()

    def stop(self) -> None:
        assert self.app is not None
        self.app.close()
        self._host.close()
        self._thread.join()


# ---- pairs


def pairs() -> Iterator[tuple[str, str, Callable[[Any, Any, Any, Any], Any]]]:
    def of_app(call: Call) -> Callable[..., Any]:
        return lambda app, _res, _req, _ws: call(app)

    def of_request(call: Call) -> Callable[..., Any]:
        return lambda _app, _res, req, _ws: call(req)

    def of_response(call: Call) -> Callable[..., Any]:
        return lambda _app, res, _req, _ws: call(res)

    def of_websocket(call: Call) -> Callable[..., Any]:
        return lambda _app, _res, _req, ws: call(ws)

    for callback in (*HTTP, *websocket_routes(App())):
        for group, wrap, calls in (("app", of_app, APP), ("ending", of_app, ENDING)):
            for name, call in calls.items():
                yield callback, f"{group} {name}", wrap(call)
        if callback in HTTP or callback == "ws upgrade":
            for name, call in REQUEST.items():
                yield callback, f"req {name}", of_request(call)
            for name, call in RESPONSE.items():
                yield callback, f"res {name}", of_response(call)
        else:
            for name, call in WEBSOCKET.items():
                yield callback, f"ws {name}", of_websocket(call)


def exchange(speaks: ModuleType, port: int, callback: str) -> str:
    if callback.startswith("ws "):
        return str(speaks.websocket(port, callback.replace(" ", "-"), callback))
    return str(speaks.request(port, callback))


def main(served: bool, pool_items: int, http2: bool) -> None:
    speaks = importlib.import_module("client_http2" if http2 else "client")
    logging.disable()
    warnings.simplefilter("ignore")
    target = Target(served, pool_items)
    for callback, method, call in pairs():
        if http2 and callback not in OVER_HTTP2:
            continue
        if not served and callback in _COROUTINES:
            # Coroutines need the loop that serves an app.
            continue
        if "foreign" in callback and method == "app run" and not served:
            # The thread that is waited for would wait for ever.
            continue
        print(json.dumps(["begins", callback, method]), flush=True)
        attempt.call, attempt.said = call, "not called"
        answer = exchange(speaks, target.port, callback)
        deadline = time.monotonic() + 2
        while "foreign" in callback and attempt.said == "not called" and time.monotonic() < deadline:
            # The client may have its answer before the thread is done.
            time.sleep(0.001)
        ending = method.startswith("ending ")
        after = client.refused(target.port) if ending else client.ok(target.port)
        print(json.dumps(["ended", callback, method, attempt.said, answer, after]), flush=True)
        attempt.call = None
        if ending or after != "served" or method in _LASTING:
            target.renew()
    if served and not http2:
        for callback, method, call in life.pairs():
            print(json.dumps(["begins", callback, method]), flush=True)
            attempt.call, attempt.said = (lambda app, *_, call=call: call(app)), "not called"
            answer, after = target.live(callback)
            print(json.dumps(["ended", callback, method, attempt.said, answer, after]), flush=True)
    target.stop()
    print(json.dumps(["done"]), flush=True)


#: Where it matters that what is closed is a stream.
OVER_HTTP2 = ("handler", "async_later", "on_data", "on_aborted", "ws upgrade", "ws open", "ws message", "ws close")
_COROUTINES = ("async_first", "async_later", "ws message later")
#: What changes how the app answers from now on.
_LASTING = ("app json_serializer", "app template", "app on_error", "app same route", "app remove own name")

if __name__ == "__main__":
    socket.setdefaulttimeout(5)
    main(sys.argv[1] == "served", int(sys.argv[2]), sys.argv[3:] == ["http2"])
