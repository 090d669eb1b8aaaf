"""What programs of the published package are made of, in the ways that its users write it."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import os
import signal
from datetime import datetime, timedelta, timezone
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from socketify import App, AppListenOptions, CompressOptions, MiddlewareRouter, OpCode, middleware


def test_a_route_that_may_pass_on_after_it_answered(serve: Any) -> None:
    """The request is passed on in a ``finally``, also when it was answered."""

    def user(res: Any, req: Any) -> Any:
        try:
            if int(req.get_parameter(0)) == 1:
                return res.end("the first user")
        finally:
            req.set_yield(1)
        return None

    def routes(app: App) -> None:
        app.get("/user/agent", lambda res, req: res.end(req.get_header("user-agent")))
        app.get("/user/:id", user)
        app.any("/*", lambda res, req: res.write_status(404).end("nobody"))

    server = serve(routes)
    with httpx.Client(base_url=server.url, headers={"User-Agent": "a"}) as client:
        for _ in range(2):
            assert client.get("/user/1").text == "the first user"
            assert (client.get("/user/2").status_code, client.get("/user/2").text) == (404, "nobody")
            assert client.get("/user/agent").text == "a"


def test_a_handler_returns_what_the_next_one_returns(serve: Any) -> None:
    """A middleware by hand, which is a coroutine and ends with the response of a plain handler."""

    def guarded(route: Any) -> Any:
        async def check(res: Any, req: Any) -> Any:
            headers, parameters, queries = req.get_headers(), req.get_parameters(), req.get_queries()
            await asyncio.sleep(0)
            if "authorization" not in headers:
                return res.write_status(403).cork_end("no")
            return route(res, req, (parameters, queries))

        return check

    def show(res: Any, req: Any, known: Any) -> Any:
        return res.cork_end([req.get_query("color"), req.get_parameter(0), *known])

    server = serve(lambda app: app.get("/user/:id", guarded(show)))
    assert httpx.get(server.url + "/user/7").status_code == 403
    answer = httpx.get(server.url + "/user/7?color=dark", headers={"Authorization": "a"})
    assert answer.json() == ["dark", "7", ["7"], {"color": ["dark"]}]


def test_a_body_for_a_future_of_the_app(serve: Any) -> None:
    """Pieces go to a parser, and a future of ``res.app.loop`` is done at the end; whoever leaves sets ``aborted``."""

    def whole(res: Any) -> asyncio.Future[bytes]:
        done = res.app.loop.create_future()
        buffer = BytesIO()

        def on_aborted(res: Any) -> None:
            res.aborted = True
            done.set_result(None)

        def on_data(_res: Any, chunk: bytes, is_end: bool) -> None:
            buffer.write(chunk)
            if is_end:
                done.set_result(buffer.getvalue())

        res.on_aborted(on_aborted)
        res.on_data(on_data)
        return done  # type: ignore[no-any-return]

    async def upload(res: Any, _req: Any) -> None:
        res.cork_end(str(len(await whole(res))))

    def corked(res: Any, _req: Any) -> None:
        res.on_data(lambda res, chunk, is_end: res.cork(lambda res: res.end("thanks")) if is_end else None)

    server = serve(lambda app: app.post("/", upload).post("/corked", corked))
    assert httpx.post(server.url, content=b"x" * 300_000).text == "300000"
    assert httpx.post(server.url + "/corked", content=b"x").text == "thanks"


def test_an_error_of_a_parser_is_triggered_by_hand(serve: Any) -> None:
    def query(res: Any, req: Any) -> None:
        context = req.preserve()
        body = BytesIO()

        async def run(res: Any, found: Any) -> None:
            await asyncio.sleep(0)
            res.cork_send({"data": found["query"], "host": context.get_header("host")})

        def on_data(res: Any, chunk: bytes, is_end: bool) -> None:
            body.write(chunk)
            if is_end:
                try:
                    res.run_async(run(res, res.app._json_serializer.loads(body.getvalue().decode())))
                except ValueError as error:
                    res.app.trigger_error(error, res, None)

        res.grab_aborted_handler()
        res.on_data(on_data)

    seen: list[BaseException] = []

    def on_error(error: BaseException, res: Any, _req: Any) -> None:
        seen.append(error)
        if res is not None:
            res.write_status(500)
            res.end("sorry")

    server = serve(lambda app: (app.on_error(on_error), app.post("/", query)))
    answer = httpx.post(server.url, json={"query": "{ user }"}, headers={"Host": "a"})
    assert (answer.json(), answer.headers["content-type"]) == ({"data": "{ user }", "host": "a"}, "application/json")
    answer = httpx.post(server.url, content=b"{")
    assert (answer.status_code, answer.text) == (500, "sorry")
    assert [type(each) for each in seen] == [json.JSONDecodeError]


def test_a_file_in_pieces_by_hand(serve: Any, tmp_path: Path) -> None:
    data = os.urandom(300_000)
    (tmp_path / "file").write_bytes(data)

    async def send(res: Any, req: Any) -> None:
        begin = int((req.get_header("range") or "bytes=0-")[len("bytes=") :].split("-")[0])
        size = len(data) - begin
        res.write_header(b"Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT").write_status(206 if begin else 200)
        res.write_header(b"Content-Type", "application/octet-stream")
        with (tmp_path / "file").open("rb") as file:
            file.seek(begin)
            while not res.aborted:
                ok, done = await res.send_chunk(file.read(16384), size)
                if not ok or done:
                    break

    server = serve(lambda app: app.get("/", send))
    assert httpx.get(server.url).content == data
    answer = httpx.get(server.url, headers={"Range": "bytes=1000-"})
    assert (answer.status_code, answer.content) == (206, data[1000:])


def test_a_cookie_that_expires(serve: Any) -> None:
    def show(res: Any, req: Any) -> None:
        options = {"path": "/", "httponly": True, "samesite": "None", "secure": True}
        res.set_cookie("name", "1", {**options, "expires": datetime.now(timezone.utc) + timedelta(minutes=30)})
        res.end(f"it is {req.get_cookie('name')}")

    server = serve(lambda app: app.get("/", show))
    answer = httpx.get(server.url)
    assert answer.text == "it is None"
    assert {each.strip().partition("=")[0] for each in answer.headers["set-cookie"].split(";")} == {
        *("name", "expires", "Path", "HttpOnly", "SameSite", "Secure")
    }


def test_routers_and_middlewares_together(serve: Any) -> None:
    async def sign_in(res: Any, req: Any, _data: Any = None) -> Any:
        if not req.get_header("authorization"):
            res.write_status(403).end("no")
            return False
        return {"greeting": "Hello"}

    def add(_res: Any, _req: Any, data: Any = None) -> Any:
        data["greeting"] += "!"
        return data

    def show(res: Any, _req: Any, user: Any = None) -> None:
        res.cork_end(user.get("greeting"))

    def routes(app: App) -> None:
        router = MiddlewareRouter(app, sign_in)
        router.get("/", show).get("/two", middleware(add, show))
        MiddlewareRouter(app, sign_in, add).get("/three", middleware(add, add, show))

    server = serve(routes)
    asked = functools.partial(httpx.get, headers={"Authorization": "a"})
    assert [asked(server.url + path).text for path in ("/", "/two", "/three")] == ["Hello", "Hello!", "Hello!!!"]
    assert httpx.get(server.url).status_code == 403


def test_requests_are_logged_around_a_handler(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    def logged(handler: Any) -> Any:
        def call(res: Any, req: Any) -> None:
            logging.getLogger("program").warning("%s %s %s", req.get_method(), req.get_full_url(), req.get_headers()["x-a"])
            handler(res, req)

        return call

    server = serve(lambda app: app.get("/", logged(lambda res, req: res.end("x"))))
    httpx.get(server.url + "/?a=1", headers={"X-A": "b"})
    assert "GET /?a=1 b" in caplog.text


def test_websockets_that_greet_echo_and_leave(serve: Any) -> None:
    async def upgrade(res: Any, req: Any, context: Any) -> None:
        names = ("sec-websocket-key", "sec-websocket-protocol", "sec-websocket-extensions")
        fields = [req.get_header(name) for name in names]
        room = req.get_query("room")
        await asyncio.sleep(0)
        if room is None:
            return res.write_status(403).end("no room")
        return res.upgrade(*fields, context, {"room": room})

    def on_open(ws: Any) -> None:
        ws.subscribe(ws.get_user_data().get("room", "all"))
        ws.send(["history"], OpCode.TEXT)

    def on_message(ws: Any, message: Any, opcode: OpCode) -> None:
        if message == "close":
            ws.close()
        else:
            ws.publish(ws.get_user_data()["room"], {"said": message}, OpCode.TEXT)
            ws.send(message, opcode)

    seen: list[Any] = []
    behavior = {
        "compression": CompressOptions.SHARED_COMPRESSOR,
        "max_payload_length": 64 * 1024,
        "idle_timeout": 12,
        "upgrade": upgrade,
        "open": on_open,
        "message": on_message,
        "drain": lambda ws: ws.get_buffered_amount(),
        "close": lambda ws, code, message: seen.append((code, message)),
        "subscription": lambda ws, topic, subscriptions, before: seen.append((topic, subscriptions, before)),
    }
    server = serve(lambda app: app.ws("/*", behavior))
    with pytest.raises(Exception, match="403"):
        connect(server.ws_url + "/")
    with connect(server.ws_url + "/?room=a") as first, connect(server.ws_url + "/?room=a") as second:
        assert [each.recv(timeout=10) for each in (first, second)] == ['["history"]'] * 2
        first.send("x")
        assert [first.recv(timeout=10) for _ in range(2)] == ['{"said": "x"}', "x"]
        assert second.recv(timeout=10) == '{"said": "x"}'
        second.send("close")
        with pytest.raises(ConnectionClosed):
            second.recv(timeout=10)
    assert seen[:2] == [("a", 1, 0), ("a", 2, 1)]


def test_sending_until_it_is_enough(serve: Any) -> None:
    def fill(ws: Any) -> None:
        while ws.get_buffered_amount() < 1024:
            ws.send(f"message {fill.count}")  # type: ignore[attr-defined]
            fill.count += 1  # type: ignore[attr-defined]

    fill.count = 0  # type: ignore[attr-defined]
    server = serve(lambda app: app.ws("/", {"open": fill, "drain": fill}))
    with connect(server.ws_url) as client:
        assert [client.recv(timeout=10) for _ in range(500)] == [b"message %d" % each for each in range(500)]


def test_where_it_listens(run_program: Any, tmp_path: Path) -> None:
    """Printed by the handler of ``listen``; a handler closes the app, and the program goes on behind ``run``."""
    path = str(tmp_path / "socket")
    program = """
import sys
from socketify import App, AppListenOptions

app = App()

def bye(res, req):
    res.end("Good bye!")
    app.close()

app.get("/bye", bye)
app.listen(AppListenOptions(port=0, host="0.0.0.0"), lambda config: print("%s %d" % (config.host, config.port)))
app.listen(AppListenOptions(domain=sys.argv[1]), lambda config: print("%s" % config.domain, flush=True))
app.run()
print("App closed!")
"""
    process = run_program(program, path)
    host, port = process.stdout.readline().split()
    assert (host, process.stdout.readline()) == ("0.0.0.0", path + "\n")
    with httpx.Client(transport=httpx.HTTPTransport(uds=path)) as client:
        assert client.get("http://localhost/bye").text == "Good bye!"
    assert (process.communicate(timeout=20)[0], process.returncode) == ("App closed!\n", 0)
    assert int(port)
    assert AppListenOptions(port=3000, host="0.0.0.0").port == 3000


def test_forks_that_share_a_port(run_program: Any) -> None:
    program = """
import os, signal, socket, sys
from socketify import App

def serve(port):
    app = App()
    app.get("/", lambda res, req: res.end(str(os.getpid())))
    app.listen(port, lambda config: os.write(1, b"%d\\n" % config.port))
    app.run()

with socket.socket() as found:
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    found.bind(("127.0.0.1", 0))
    port = found.getsockname()[1]
    child = os.fork()
    if not child:
        serve(port)
    try:
        serve(port)
    finally:
        os.kill(child, signal.SIGINT)
        os.waitpid(child, 0)
"""
    process = run_program(program)
    ports = {int(process.stdout.readline()) for _ in range(2)}
    (port,) = ports
    seen: set[str] = set()
    while len(seen) < 2:
        seen.add(httpx.get(f"http://127.0.0.1:{port}").text)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT
