"""Apps in threads of one process, whose handlers share what they send with threads that change it; run by stress.py.

Usage: python served.py THREADS SECONDS [CERTIFICATE KEY]

Writes one line with the ports, serves for so long, and exits with 0 unless memory grew or something was reported.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import queue
import sys
import threading
import time
from typing import Any, Callable

from socketify import ASGI, WSGI, App, AppOptions, OpCode, Request, Response, WebSocket
from socketify.server.serve import NativeServer
from socketify.system.processes import resident_bytes

THREADS, SECONDS = int(sys.argv[1]), float(sys.argv[2])
TLS = AppOptions(cert_file_name=sys.argv[3], key_file_name=sys.argv[4]) if sys.argv[3:] else None
MOST_GROWTH = 64 << 20

TEXT, LARGE = "shared " * 10, b"L" * 100_000
OK = "200 OK"
#: Lists and messages that other threads change all the time, each of whose states is right.
pairs: list[tuple[str, str]] = [("X-A", "1")]
byte_pairs: list[Any] = [[b"x-a", b"1"]]
result: list[bytes] = [b"whole"]
start: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": byte_pairs}
body: dict[str, Any] = {"type": "http.response.body", "body": b"first"}

later: queue.SimpleQueue[Any] = queue.SimpleQueue()
sockets: set[WebSocket] = set()
apps: list[App] = []
over = threading.Event()
reported: list[str] = []


class Reports(logging.Handler):
    """What is logged as an error: nothing should be."""

    def emit(self, record: logging.LogRecord) -> None:
        reported.append(record.getMessage())


def build(app: App, publishing: list[App]) -> None:
    async def waits(res: Response, _req: Request) -> None:
        await asyncio.sleep(0)
        res.end(TEXT)

    def opened(ws: WebSocket) -> None:
        ws.subscribe("all")
        sockets.add(ws)

    def on_message(ws: WebSocket, message: Any, opcode: OpCode) -> None:
        if message == "publish":
            publishing[len(sockets) % len(publishing)].publish("all", "published", OpCode.TEXT)
        ws.send(message, opcode)

    app.get("/hello", lambda res, _req: res.end("Hello, World!"))
    app.get("/shared", lambda res, _req: res.end(TEXT))
    app.get("/large", lambda res, _req: res.end(LARGE))
    app.get("/fields", lambda res, _req: res.send(b"fields", headers=pairs))
    app.get("/later", lambda res, _req: later.put(res))
    app.get("/waits", waits)
    app.ws("/", {"open": opened, "message": on_message, "close": lambda ws, _code, _reason: sockets.discard(ws)})


def build_of_group(app: App) -> None:
    """Build one of several apps that share a port, their topics and what they count."""
    build(app, [app])
    app.metrics("/metrics")


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["path"] == "/later":
        await receive()
        await asyncio.sleep(0)
    await send(start)
    if scope["path"] == "/large":
        await send({"type": "http.response.body", "body": LARGE})
    else:
        await send(body)


def wsgi(environ: dict[str, Any], start_response: Any) -> Any:
    write = start_response(OK, pairs)
    if environ["PATH_INFO"] == "/large":
        return [LARGE]
    if environ["PATH_INFO"] == "/written":
        write(b"whole")
        return ()
    return result if environ["PATH_INFO"] == "/shared" else [b"whole"]


def change() -> None:
    """Change what is shared, into what is right as well."""
    while not over.is_set():
        for _ in range(100):
            pairs.append(("X-B", str(len(pairs))))
            pairs[:] = [("X-A", "".join(["1", "2"]))]
            byte_pairs[0] = [b"x-a", b"%d" % len(pairs)]
            byte_pairs.insert(0, (b"x-b", b"2"))
            del byte_pairs[0]
            result[:] = [b"wh", b"ole"]
            result[:] = [b"whole"]
            body["body"] = b"".join([b"sec", b"ond"])
            body["body"] = b"".join([b"fir", b"st"])
            start["headers"] = [(b"x-c", b"%d" % len(pairs))]
            start["headers"] = byte_pairs
        time.sleep(0.001)


def answer() -> None:
    """End responses of other threads, and look at what they are made of."""
    while (res := later.get()) is not None:
        _ = res.exchange_.handle, res.exchange_.dirty, res.aborted
        res.end(TEXT)


def tell() -> None:
    """Send and publish from here to websockets of other threads."""
    while not over.is_set():
        # Of a set that others change a tuple is not made at once there.
        for ws in sockets.copy():
            with contextlib.suppress(RuntimeError):
                ws.send("told", OpCode.TEXT)
        for app in apps:
            app.publish("all", "published", OpCode.TEXT)
        gc.collect()
        time.sleep(0.005)


def serve_app(ports: dict[str, list[int]], kind: str, ready: threading.Event, **options: Any) -> None:
    app = App(**options)
    build(app, apps)
    app.listen(0, lambda config: ports[kind].append(config.port))
    app.on_start(ready.set)
    apps.append(app)
    app.run()


def main() -> None:
    root = logging.getLogger()
    root.addHandler(Reports(logging.ERROR))
    sys.unraisablehook = threading.excepthook = lambda about: reported.append(repr(about))
    kinds = ["app", "asgi", "wsgi", "group", *(["tls"] if TLS else [])]
    ports: dict[str, list[int]] = {kind: [] for kind in kinds}
    threads: list[threading.Thread] = []
    servers: list[Any] = []
    # At once, so that what is made once is made by several threads.
    readiness = []
    for _ in range(THREADS):
        for kind in {"app", "tls"} & set(kinds):
            readiness.append(threading.Event())
            options = {"options": TLS} if kind == "tls" else {}
            threads.append(threading.Thread(target=serve_app, args=(ports, kind, readiness[-1]), kwargs=options))
            threads[-1].start()
        for kind, server in ("asgi", ASGI(asgi)), ("wsgi", WSGI(wsgi)):
            server.listen(0, lambda config, kind=kind: ports[kind].append(config.port))
            server.run(block=False)
            servers.append(server)
    group = NativeServer(build_of_group).listen(0, lambda config: ports["group"].append(config.port))
    group.run(block=False, threads=THREADS)
    servers.append(group)
    for each in readiness:
        assert each.wait(60)
    helpers: list[Callable[[], None]] = [change, answer, tell]
    others = [threading.Thread(target=each) for each in helpers]
    for each in others:
        each.start()
    print(json.dumps(ports), flush=True)
    time.sleep(SECONDS / 2)
    warm = resident_bytes(os.getpid()) or 0
    # Until the clients are gone.
    sys.stdin.read()
    growth = (resident_bytes(os.getpid()) or 0) - warm
    over.set()
    later.put(None)
    for app in apps:
        app.close()
    for server in servers:
        server.close()
    for each in (*threads, *others):
        each.join(60)
        assert not each.is_alive()
    has_lock = getattr(sys, "_is_gil_enabled", lambda: True)()
    print(json.dumps({"growth_kib": growth >> 10, "has_lock": has_lock, "reported": reported[:10]}), flush=True)
    sys.exit(1 if reported or growth > MOST_GROWTH else 0)


if __name__ == "__main__":
    main()
