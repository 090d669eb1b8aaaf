"""The client of tests: each test is one that a user might write."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tls_files import Files

from socketify import App, AppOptions, HTTPError, OpCode
from socketify.testing import AsyncTestClient, TestClient, WebSocketClosed, WebSocketRejected


def routes(app: App) -> None:
    def fail(_res: Any, _req: Any) -> None:
        message = "of the handler"
        raise LookupError(message)

    def refuse(_res: Any, _req: Any) -> None:
        raise HTTPError(403, "not yours")

    def cut(res: Any, _req: Any) -> None:
        res.write("a part")
        message = "in the middle"
        raise LookupError(message)

    def late(res: Any, _req: Any) -> None:
        res.end("answered")
        message = "after the answer"
        raise LookupError(message)

    async def echo(res: Any, _req: Any) -> None:
        res.send(await res.get_json())

    app.get("/", lambda res, req: res.end("Hello, World!"))
    app.post("/echo", echo)
    app.get("/fail", fail)
    app.get("/refuse", refuse)
    app.get("/cut", cut)
    app.get("/late", late)
    app.get("/host", lambda res, req: res.send([req.get_header("host"), req.get_scheme(), res.get_remote_address()]))
    app.get("/login", lambda res, req: res.set_cookie("who", "Ann", {"secure": True, "path": "/"}).redirect("/who"))
    app.get("/who", lambda res, req: res.end(req.get_cookie("who") or "nobody"))


def websockets(app: App) -> None:
    def upgrade(res: Any, req: Any, context: Any) -> None:
        if req.get_query("no"):
            res.send("no", status=403)
            return
        if req.get_query("fail"):
            message = "of the upgrade"
            raise LookupError(message)
        res.write_header("Set-Cookie", "seen=1; Path=/")
        res.upgrade(
            req.get_header("sec-websocket-key"),
            "chat" if req.get_header("sec-websocket-protocol") else None,
            req.get_header("sec-websocket-extensions"),
            context,
            req.get_cookie("who"),
        )

    def message(ws: Any, text: Any, opcode: Any) -> None:
        if text == "fail":
            failure = "of the message"
            raise LookupError(failure)
        if text == "close":
            ws.end(4001, "enough")
        elif text == "who":
            ws.send(ws.get_user_data() or "nobody", OpCode.TEXT)
        else:
            ws.send(text, opcode)

    app.ws("/ws", {"upgrade": upgrade, "message": message})


def everything(app: App) -> None:
    routes(app)
    websockets(app)


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(everything) as opened:
        yield opened


def test_requests(client: TestClient) -> None:
    assert client.get("/").text == "Hello, World!"
    assert client.post("/echo", json={"a": [1]}).json() == {"a": [1]}
    assert client.get("/missing").status_code == 404


def test_an_app_object_is_served_once() -> None:
    app = App()
    routes(app)
    with TestClient(app) as client:
        with pytest.raises(RuntimeError, match="is served already"), TestClient(app):
            pass
        assert client.get("/").text == "Hello, World!"
    with pytest.raises(RuntimeError, match="an App is served once"):
        TestClient(app)


def test_start_and_shutdown_handlers_run() -> None:
    seen = []

    def run(app: App) -> None:
        app.on_start(lambda: seen.append("start"))
        app.on_shutdown(lambda: seen.append("stop"))
        app.get("/", lambda res, req: res.end(",".join(seen)))

    with TestClient(run) as client:
        assert seen == ["start"]
        assert client.get("/").text == "start"
    assert seen == ["start", "stop"]
    with TestClient(run, lifespan=False) as client:
        assert client.get("/").text == "start,stop"


def test_what_a_start_handler_raises_is_raised() -> None:
    def run(app: App) -> None:
        @app.on_start
        async def fail() -> None:
            message = "no database"
            raise ConnectionError(message)

    with pytest.raises(ConnectionError, match="no database"), TestClient(run):
        pass


def test_what_building_raises_is_raised() -> None:
    def run(app: App) -> None:
        app.get("no-slash", print)

    with pytest.raises(ValueError, match="no-slash"), TestClient(run):
        pass
    with pytest.raises(TypeError, match="nonsense"):
        TestClient(routes, nonsense=1).get("/")


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            scope["state"]["started"] = True
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": scope["path"]})
        await send({"type": "websocket.close", "code": 4000})
        return
    if scope["path"] == "/fail":
        message = "of the application"
        raise LookupError(message)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(scope["state"].get("started")).encode()})


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    if environ["PATH_INFO"] == "/fail":
        message = "of the application"
        raise LookupError(message)
    start_response("200 OK", [])
    return [environ["PATH_INFO"].encode()]


def ssgi(kind: Any, address: Any, remote: Any, method: Any, path: Any, query: Any, get_header: Any, res: Any) -> None:
    res.send(f"{kind} {path}")


def test_other_interfaces() -> None:
    with TestClient(asgi) as client:
        assert client.get("/").text == "True"
        with pytest.raises(LookupError, match="of the application"):
            client.get("/fail")
        with client.websocket_connect("/here") as websocket:
            assert websocket.receive() == "/here"
            with pytest.raises(WebSocketClosed, match="4000"):
                websocket.receive()
    with TestClient(wsgi) as client:
        assert client.get("/a").text == "/a"
        with pytest.raises(LookupError, match="of the application"):
            client.get("/fail")
    with TestClient(ssgi) as client:
        assert client.get("/a").text == "http /a"


@pytest.mark.parametrize("path", ["/fail", "/cut"])
def test_errors_of_handlers_are_raised(client: TestClient, path: str) -> None:
    with pytest.raises(LookupError) as caught:
        client.get(path)
    assert caught.traceback[-1].name in ("fail", "cut")
    assert client.get("/").text == "Hello, World!"


def test_errors_are_raised_while_a_body_is_read(client: TestClient) -> None:
    with client.stream("GET", "/cut") as response, pytest.raises(LookupError):
        response.read()


def test_errors_after_the_answer_are_raised_at_the_end() -> None:
    with pytest.raises(LookupError, match="after the answer"), TestClient(routes) as client:
        assert client.get("/late").text == "answered"


def test_what_the_test_raises_is_not_hidden() -> None:
    def test() -> None:
        with TestClient(routes) as client:
            client.get("/late")
            raise KeyError("of the test")

    with pytest.raises(KeyError, match="of the test"):
        test()


def test_an_http_error_is_an_answer(client: TestClient) -> None:
    assert client.get("/refuse").status_code == 403


def test_errors_are_answers_if_asked_for() -> None:
    with TestClient(everything, raise_server_exceptions=False) as client:
        assert client.get("/fail").status_code == 500
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/cut")
        with client.websocket_connect("/ws") as websocket:
            websocket.send("fail")
            with pytest.raises(WebSocketClosed, match="1011"):
                websocket.receive()


def test_an_error_that_the_error_handler_answers_is_not_raised() -> None:
    def run(app: App) -> None:
        routes(app)
        app.on_error(lambda error, res, req: res.send({"error": str(error)}, status=500))

    with TestClient(run) as client:
        assert client.get("/fail").json() == {"error": "of the handler"}


def test_what_would_end_the_tests_is_wrapped() -> None:
    def leave(_res: Any, _req: Any) -> None:
        raise KeyboardInterrupt

    with TestClient(lambda app: app.get("/", leave)) as client, pytest.raises(RuntimeError, match="KeyboardInterrupt"):
        client.get("/")


def test_secure_cookies_and_redirections(client: TestClient) -> None:
    assert client.get("/login").text == "nobody"
    client.base_url = httpx.URL("https://testserver")
    assert client.get("/login").text == "Ann"
    assert client.get("/login", follow_redirects=False).status_code == 302


def test_hosts(client: TestClient) -> None:
    assert client.get("/host").json() == ["testserver", "http", "127.0.0.1"]
    assert client.get("http://a.example:81/host").json()[0] == "a.example:81"


def test_domains() -> None:
    def run(app: App) -> None:
        app.get("/", lambda res, req: res.end("any"))
        app.domain("a.example").get("/", lambda res, req: res.end("a"))

    with TestClient(run) as client:
        assert [client.get(f"http://{host}.example/").text for host in "ab"] == ["a", "any"]


def test_tls(tmp_path: Path) -> None:
    options: AppOptions = Files(tmp_path).options()
    with TestClient(everything, options=options) as client:
        assert client.get("/host").json() == ["testserver", "https", "127.0.0.1"]
        with client.websocket_connect("/ws") as websocket:
            websocket.send("over TLS")
            assert websocket.receive() == "over TLS"


def test_http_2() -> None:
    with TestClient(routes, http2=True) as client:
        assert client.get("/").http_version == "HTTP/2"


def test_websockets(client: TestClient) -> None:
    client.cookies.set("who", "Ann")
    with client.websocket_connect("/ws", ["chat"], params={"a": "b"}) as websocket:
        assert websocket.subprotocol == "chat"
        assert websocket.response is not None
        assert websocket.response.status_code == 101
        websocket.send("text")
        websocket.send(b"bytes")
        websocket.send_json({"a": 1})
        websocket.send("who")
        assert websocket.receive() == "text"
        assert websocket.receive() == b"bytes"
        assert websocket.receive_json() == {"a": 1}
        assert websocket.receive() == "Ann"
        with pytest.raises(TimeoutError):
            websocket.receive(timeout=0.01)
        websocket.send("close")
        with pytest.raises(WebSocketClosed) as closed:
            websocket.receive()
        assert (closed.value.code, closed.value.reason) == (4001, "enough")
    assert client.cookies["seen"] == "1"


def test_websockets_that_are_refused_or_fail(client: TestClient) -> None:
    with pytest.raises(WebSocketRejected) as refused, client.websocket_connect("/ws?no=1"):
        pass
    assert (refused.value.response.status_code, refused.value.response.text) == (403, "no")
    with pytest.raises(LookupError, match="of the upgrade"), client.websocket_connect("/ws?fail=1"):
        pass
    with client.websocket_connect("ws://testserver/ws") as websocket:
        websocket.send("fail")
        with pytest.raises(LookupError, match="of the message"):
            websocket.receive()
    with pytest.raises(RuntimeError, match="not connected"):
        client.websocket_connect("/ws").send("a")


def test_from_many_threads(client: TestClient) -> None:
    answers = []

    def ask() -> None:
        answers.append(client.get("/").text)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert answers == ["Hello, World!"] * 8


def test_inside_a_running_loop() -> None:
    async def main() -> None:
        with TestClient(routes) as client:
            assert client.get("/").text == "Hello, World!"

    asyncio.run(main())


def test_without_with() -> None:
    client = TestClient(routes)
    assert client.get("/").text == "Hello, World!"
    assert httpx.get(f"http://127.0.0.1:{client.port}/").text == "Hello, World!"
    client.close()
    client.close()
    with pytest.raises(RuntimeError):
        client.get("/")


def test_async() -> None:
    async def main() -> None:
        entered = asyncio.Event()

        def run(app: App) -> None:
            everything(app)

            async def wait(res: Any, _req: Any) -> None:
                await entered.wait()
                res.end("entered")

            app.get("/wait", wait)

        async with AsyncTestClient(run) as client:
            waiting = asyncio.ensure_future(client.get("/wait"))
            assert (await client.get("/")).text == "Hello, World!"
            entered.set()
            assert (await waiting).text == "entered"
            with pytest.raises(LookupError):
                await client.get("/fail")
            with pytest.raises(LookupError):
                await client.get("/cut")
            async with client.websocket_connect("/ws") as websocket:
                await websocket.send_json([1])
                assert await websocket.receive_json() == [1]
                with pytest.raises(TimeoutError):
                    await websocket.receive(timeout=0.01)
                await websocket.send("fail")
                with pytest.raises(LookupError):
                    await websocket.receive()
            with pytest.raises(WebSocketRejected):
                async with client.websocket_connect("/ws", params={"no": 1}):
                    pass

    asyncio.run(main())


def test_async_without_with() -> None:
    async def main() -> None:
        client = AsyncTestClient(routes)
        both = await asyncio.gather(client.get("/"), client.get("/"))
        assert [each.text for each in both] == ["Hello, World!"] * 2
        await client.aclose()
        with pytest.raises(RuntimeError):
            await client.get("/")
        client = AsyncTestClient(routes)
        entered = asyncio.ensure_future(client.__aenter__())
        await asyncio.sleep(0)
        await client.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await entered
        assert client.port == 0, "it never listened"

    asyncio.run(main())


def test_async_start_that_fails() -> None:
    async def main() -> None:
        app = App()

        @app.on_start
        async def fail() -> None:
            message = "no database"
            raise ConnectionError(message)

        with pytest.raises(ConnectionError, match="no database"):
            async with AsyncTestClient(app):
                pass

    asyncio.run(main())


def test_async_app_made_elsewhere() -> None:
    app = App()
    routes(app)

    async def main() -> None:
        async with AsyncTestClient(app) as client:
            assert (await client.get("/")).text == "Hello, World!"

    asyncio.run(main())
