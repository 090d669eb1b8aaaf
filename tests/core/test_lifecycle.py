"""The life of an app: made, listening, served, draining, closed. Whoever ends it, and from wherever."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
import time
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import httpx
import pytest
from app_servers import connected, read_all
from tls_files import Files
from waiting import wait_until
from websockets.asyncio.client import connect as connect_websocket

from socketify import ASGI, WSGI, App, AppListenOptions, Request, Response

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
GET_AND_CLOSE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


class Host:
    """A thread in which one app is served, and others live beside it."""

    def __init__(self, build: Callable[[App], Any]) -> None:
        self.app: Optional[App] = None
        self.loop: Optional[asyncio.AbstractEventLoop] = None
        self._build = build
        self._ready = threading.Event()
        self.thread = threading.Thread(target=self._main)
        self.thread.start()
        assert self._ready.wait(10)

    def _main(self) -> None:
        async def main() -> None:
            self.loop = asyncio.get_running_loop()
            self.app = App()
            self.app.on_start(self._ready.set)
            self._build(self.app)
            await self.app.serve()

        asyncio.run(main())

    def call(self, function: Callable[[], Any]) -> Any:
        """Call a function in the thread, when no handler runs."""

        async def called() -> Any:
            return function()

        assert self.loop is not None
        return asyncio.run_coroutine_threadsafe(called(), self.loop).result(10)

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.app is not None
        self.app.close()
        self.thread.join(20)
        assert not self.thread.is_alive()


def listening(ports: list[int], build: Callable[[App], Any]) -> App:
    app = App()
    build(app)
    return app.listen(AppListenOptions(port=0, host="127.0.0.1"), lambda config: ports.append(config.port))


# ---- dropped without close()


@pytest.fixture
def collected_when_told() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("collected_when_told")
def test_an_app_that_was_dropped_cleans_up() -> None:
    ports: list[int] = []

    def main(app: App) -> None:
        app.get("/", lambda res, _req: res.end("served"))
        app.listen(AppListenOptions(port=0, host="127.0.0.1"), lambda config: ports.append(config.port))

    def drop() -> None:
        app = listening(ports, lambda app: app.get("/", lambda res, _req: res.end("dropped")))
        dropped.append(weakref.ref(app))

    dropped: list[weakref.ref[App]] = []
    with Host(main) as host:
        host.call(drop)
        assert httpx.get(f"http://127.0.0.1:{ports[1]}").text == "dropped"
        with connected(ports[1]) as kept, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            host.call(gc.collect)
            wait_until(lambda: refuses(ports[1]))
            assert read_all(kept) == b""
        assert [each.category for each in caught] == [ResourceWarning]
        assert f"127.0.0.1:{ports[1]}" in str(caught[0].message)
        assert httpx.get(f"http://127.0.0.1:{ports[0]}").text == "served"
        host.call(gc.collect)
        assert dropped[0]() is None


@pytest.mark.usefixtures("collected_when_told")
def test_an_app_may_be_collected_in_another_thread() -> None:
    ports: list[int] = []

    def main(app: App) -> None:
        app.get("/", lambda res, _req: res.end("served"))
        app.listen(AppListenOptions(port=0, host="127.0.0.1"), lambda config: ports.append(config.port))

    with Host(main) as host:
        host.call(lambda: listening(ports, lambda app: app.get("/", lambda res, _req: res.end("dropped"))) and None)
        assert httpx.get(f"http://127.0.0.1:{ports[1]}").text == "dropped"
        with pytest.warns(ResourceWarning, match="dropped without close"):
            gc.collect()
        wait_until(lambda: refuses(ports[1]))
        assert httpx.get(f"http://127.0.0.1:{ports[0]}").text == "served"


def test_an_app_that_never_listened_is_dropped_in_silence() -> None:
    def make() -> weakref.ref[App]:
        app = App()
        app.get("/", lambda res, _req: res.end(app.get_native_handle()))
        return weakref.ref(app)

    dropped = make()
    gc.collect()
    assert dropped() is None


@pytest.mark.usefixtures("collected_when_told")
def test_an_app_that_nobody_served_is_dropped() -> None:
    ports: list[int] = []
    listening(ports, lambda app: app.get("/", lambda res, _req: res.end(app.get_native_handle())))
    assert not refuses(ports[0])
    with pytest.warns(ResourceWarning, match=f":{ports[0]}"):
        gc.collect()
    assert refuses(ports[0])


# ---- an app that the loop of another one serves


def test_an_app_is_closed_in_its_own_handler() -> None:
    ports: list[int] = []
    kept: list[App] = []
    calls: list[Any] = []

    def main(app: App) -> None:
        def close(res: Response, _req: Request) -> None:
            res.on_aborted(lambda _res: calls.append(other.close()))
            other.close()
            with pytest.raises(RuntimeError, match="closed"):
                other.get("/late", lambda *_: None)
            res.end("closed")

        def abort(res: Response, _req: Request) -> None:
            res.on_aborted(lambda _res: calls.append(other.close()))
            other.close().close()

        other = listening(ports, lambda app: app.get("/", close).get("/abort", abort))
        kept.append(other)
        another = listening(ports, lambda app: app.get("/abort", lambda *_: None))
        another.close()

    with Host(main) as host:
        with connected(ports[0]) as waiting, connected(ports[0]) as closing:
            closing.sendall(GET)
            assert read_all(closing).endswith(b"closed")
            assert read_all(waiting) == b""
        wait_until(lambda: refuses(ports[0]))
        assert calls == []
        assert refuses(ports[1])
        del host


@pytest.mark.parametrize("where", ["handler", "cork", "on_aborted", "body", "websocket", "websocket_close"])
def test_an_unserved_app_is_closed_everywhere(where: str) -> None:
    ports: list[int] = []
    ended: list[str] = []
    held: list[Response] = []

    def main(_app: App) -> None:
        def close(*_: Any) -> None:
            ended.append(where)
            other.close().dispose()

        def handler(res: Response, _req: Request) -> None:
            if where == "cork":
                res.cork(lambda res: (res.write("part"), close()))
            elif where == "handler":
                close()
            elif where == "body":
                res.on_data(lambda _res, _chunk, _last: close())
            # Else the response would be dropped.
            held.append(res.on_aborted(close))

        def build(app: App) -> None:
            app.post("/", handler)
            app.ws("/", {"message": lambda ws, _message, _opcode: (close(), ws.send("bye")), "close": close})

        other = listening(ports, build)
        kept.append(other)

    kept: list[App] = []
    with Host(main):
        if where.startswith("websocket"):

            async def talk() -> None:
                async with connect_websocket(f"ws://127.0.0.1:{ports[0]}/") as client:
                    if where == "websocket":
                        await client.send("close")
                        assert await client.recv() == b"bye"
                    else:
                        client.transport.abort()
                    await client.wait_closed()

            asyncio.run(talk())
        else:
            with connected(ports[0]) as client:
                client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
                if where == "on_aborted":
                    time.sleep(0.05)
                    client.close()
                else:
                    read_all(client)
        wait_until(lambda: refuses(ports[0]))
        assert ended
        assert set(ended) == {where}


def test_an_unserved_app_is_closed_from_another_thread() -> None:
    ports: list[int] = []
    apps: list[App] = []

    def main(_app: App) -> None:
        for _ in range(20):
            app = listening(ports, lambda app: app.ws("/", {"open": lambda ws: ws.subscribe("topic")}))
            apps.append(app)

    with Host(main):

        async def talk() -> None:
            clients = [await connect_websocket(f"ws://127.0.0.1:{port}/") for port in ports]
            for app in apps:
                assert app.publish("topic", "x" * 100)
                app.close()
            for client in clients:
                await client.wait_closed()

        asyncio.run(talk())
        for port in ports:
            wait_until(lambda port=port: refuses(port))
        apps.clear()


def test_what_is_closed_says_so() -> None:
    app = App()
    assert app.close() is app
    assert app.close().dispose() is app
    for call in (
        lambda: app.get("/", lambda *_: None),
        lambda: app.ws("/", {}),
        lambda: app.listen(0),
        app.run,
        lambda: app.domain("a.example").get("/", lambda *_: None),
        lambda: app.remove_server_name("a.example"),
    ):
        with pytest.raises(RuntimeError, match="closed"):
            call()
    assert not app.publish("topic", "data")
    assert app.num_subscribers("topic") == 0


def test_a_stopping_app_listens_no_more(serve: Any) -> None:
    seen: list[BaseException] = []

    def build(app: App) -> None:
        async def handler(res: Response, _req: Request) -> None:
            app.close()
            await asyncio.sleep(0)
            try:
                app.listen(0)
            except RuntimeError as error:
                seen.append(error)
            res.end("last")

        app.get("/", handler)

    server = serve(build)
    assert server.exchange(GET).endswith(b"last")
    assert "stops" in str(seen[0])


# ---- made in one thread, run in another


def run_in_thread(run: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize("pool_items", [0, 8])
def test_an_app_runs_in_another_thread_than_it_was_made_in(pool_items: int, tmp_path: Path) -> None:
    ports: list[int] = []
    path = str(tmp_path / "s.sock")
    app = App(request_response_factory_max_items=pool_items, websocket_factory_max_items=pool_items, access_log=None)
    app.get("/:name", lambda res, req: res.end(f"{req.get_parameter('name')} {req.get_header('host')}"))
    app.domain("b.example").get("/:x", lambda res, req: res.end(f"b {req.get_parameter(0)}"))
    app.domain("c.example").get("/:x", lambda res, _req: res.end("c"))
    app.remove_server_name("c.example")

    async def later(res: Response, req: Request) -> None:
        await asyncio.sleep(0.001)
        res.end(f"{await res.get_text()} {req.get_url()} {res.get_remote_address()}")

    app.post("/later", later)
    app.ws("/ws", {
        "open": lambda ws: ws.subscribe("topic"),
        "message": lambda ws, message, _opcode: app.publish("topic", message),
        "ping": lambda ws, message: ws.send(message),
    })  # fmt: skip
    app.listen(AppListenOptions(port=0, host="127.0.0.1"), lambda config: ports.append(config.port))
    app.listen(AppListenOptions(domain=path))
    thread = run_in_thread(app.run)
    url = f"http://127.0.0.1:{ports[0]}"
    try:
        with httpx.Client(base_url=url) as client:
            for _ in range(3):
                assert client.get("/x", headers={"Host": "a"}).text == "x a"
                assert client.get("/x", headers={"Host": "b.example"}).text == "b x"
                assert client.get("/x", headers={"Host": "c.example"}).text == "x c.example"
                assert client.post("/later", content="body").text == "body /later 127.0.0.1"
        with httpx.Client(transport=httpx.HTTPTransport(uds=path)) as client:
            assert client.get("http://unix/x").text == "x unix"

        async def talk() -> None:
            async with connect_websocket(f"ws://127.0.0.1:{ports[0]}/ws") as client:
                await client.send("hello")
                assert await client.recv() == b"hello"
                await client.ping("ping")
                assert await client.recv() == b"ping"

        asyncio.run(talk())
    finally:
        app.close()
        thread.join(20)
    assert refuses(ports[0])
    assert not Path(path).exists()


def test_several_apps_run_in_threads_of_their_own(tmp_path: Path) -> None:
    ports: list[int] = []
    tls_files = Files(tmp_path)
    apps = [App(tls_files.options() if number % 2 else None) for number in range(4)]
    for number, app in enumerate(apps):
        app.get("/", lambda res, _req, number=number: res.end(f"{number} {threading.current_thread().name}"))
        app.listen(AppListenOptions(port=0, host="127.0.0.1"), lambda config: ports.append(config.port))
        if number == 3:
            app.add_server_name("localhost", tls_files.options())
    threads = [threading.Thread(target=app.run, name=f"t{number}") for number, app in enumerate(apps)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2):
            for number, port in enumerate(ports):
                scheme = "https" if number % 2 else "http"
                answer = httpx.get(f"{scheme}://localhost:{port}", verify=tls_files.client())
                assert answer.text == f"{number} t{number}"
    finally:
        for app, thread in zip(apps, threads):
            app.close()
            thread.join(20)


@pytest.mark.parametrize("threads", [1, 2])
def test_interfaces_run_in_another_thread_than_they_were_made_in(threads: int) -> None:
    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode() + body})

    def wsgi(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [environ["PATH_INFO"].encode() + environ["wsgi.input"].read()]

    for server in (ASGI(asgi, lifespan=False), WSGI(wsgi, threads=threads)):
        ports: list[int] = []
        server.listen(AppListenOptions(port=0, host="127.0.0.1"), lambda config, ports=ports: ports.append(config.port))
        thread = run_in_thread(server.run)
        try:
            for _ in range(2):
                assert httpx.post(f"http://127.0.0.1:{ports[0]}/path", content="body").text == "/pathbody"
                assert httpx.get(f"http://127.0.0.1:{ports[0]}/path").text == "/path"
        finally:
            server.close()
            thread.join(20)


def test_an_app_moves_away_from_a_loop_that_took_it() -> None:
    ports: list[int] = []
    made: list[App] = []

    def main(app: App) -> None:
        app.get("/", lambda res, _req: res.end("first"))
        app.listen(AppListenOptions(port=0, host="127.0.0.1"), lambda config: ports.append(config.port))
        made.append(listening(ports, lambda app: app.get("/", lambda res, _req: res.end(threading.current_thread().name))))

    with Host(main) as host:
        url = f"http://127.0.0.1:{ports[1]}"
        assert httpx.get(url).text == host.thread.name
        mine = threading.Thread(target=made[0].run, name="mine")
        mine.start()
        wait_until(lambda: httpx.get(url).text == "mine")
        assert httpx.get(f"http://127.0.0.1:{ports[0]}").text == "first"
        made[0].close()
        mine.join(20)
        assert refuses(ports[1])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_an_app_runs_in_the_child_of_a_fork() -> None:
    ports: list[int] = []
    app = listening(ports, lambda app: app.get("/", lambda res, _req: res.end(str(os.getpid()))))
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(app.serve())
        finally:
            os._exit(0)
    try:
        for _ in range(3):
            assert httpx.get(f"http://127.0.0.1:{ports[0]}").text == str(child)
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        app.close()


def test_an_app_that_another_thread_serves_is_set_up_from_here(serve: Any) -> None:
    server = serve(lambda app: app.get("/", lambda res, _req: res.end("served")))
    server.app.get("/more", lambda res, _req: res.end(threading.current_thread().name))
    server.app.domain("a.example").get("/", lambda res, _req: res.end("a"))
    server.app.ws("/", {})
    assert httpx.get(server.url + "/more").text == server._thread.name
    assert httpx.get(server.url, headers={"Host": "a.example"}).text == "a"
    server.app.remove_server_name("a.example")
    assert httpx.get(server.url, headers={"Host": "a.example"}).text == "served"
    assert server.app.num_subscribers("topic") == server.app.get_failed_handshakes() == 0
