"""HTTP over ASGI: scopes, whole responses, arguments. The applications are bare functions."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import socket
from pathlib import Path
from typing import Any, Callable

import httpx
import pytest
from app_servers import HTTP_2, http_1_only
from asgi_apps import BODY, START, answering, body_of, capturing, nothing
from tls_files import Files
from websockets.sync.client import connect

from socketify import ASGI, AppListenOptions

# ---- scopes


@http_1_only("the version, and the addresses")
def test_scope(serve_asgi: Callable[..., Any]) -> None:
    scopes: list[dict[str, Any]] = []
    server = serve_asgi(capturing(scopes))
    with server.connect() as connection:
        connection.sendall(b"GET /caf%C3%A9%20x?q=%20a&b HTTP/1.1\r\nHost: h:1\r\nX-One: 1\r\nx-one: Two\r\n\r\n")
        answer = connection.recv(65536)
        port = connection.getsockname()[1]
    assert answer.startswith(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nDate: ")
    assert answer.endswith(b"\r\nServer: socketify\r\nContent-Length: 2\r\n\r\nok")
    scope = scopes[0]
    assert scope.pop("extensions") == {"http.response.early_hint": {}, "http.response.trailers": {}}
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/café x",
        "raw_path": b"/caf%C3%A9%20x",
        "query_string": b"q=%20a&b",
        "root_path": "",
        "headers": [(b"host", b"h:1"), (b"x-one", b"1"), (b"x-one", b"Two")],
        "client": ("127.0.0.1", port),
        "server": ("127.0.0.1", server.port),
        "state": {},
    }


def test_extensions_for_files_are_announced_when_asked_for(serve_asgi: Callable[..., Any]) -> None:
    scopes: list[dict[str, Any]] = []
    serve_asgi(capturing(scopes), pathsend=True).request("GET / HTTP/1.1")
    names = ("early_hint", "trailers", "pathsend", "zerocopysend")
    assert scopes[0]["extensions"] == {f"http.response.{name}": {} for name in names}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "X-OWN"])
def test_every_method_and_version_arrives(serve_asgi: Callable[..., Any], method: str) -> None:
    scopes: list[dict[str, Any]] = []
    server = serve_asgi(capturing(scopes))
    server.request(f"{method} / HTTP/1.0", "Content-Length: 0")
    assert scopes[0]["method"] == method
    assert scopes[0]["http_version"] == ("2" if HTTP_2 else "1.0")


def test_broken_escapes_do_not_break_the_path(serve_asgi: Callable[..., Any]) -> None:
    scopes: list[dict[str, Any]] = []
    server = serve_asgi(capturing(scopes))
    server.request("GET /%ff%zz%2 HTTP/1.1")
    assert scopes[0]["path"] == "/\ufffd%zz%2"
    assert scopes[0]["raw_path"] == b"/%ff%zz%2"


def test_root_path_is_a_prefix(serve_asgi: Callable[..., Any]) -> None:
    scopes: list[dict[str, Any]] = []
    server = serve_asgi(capturing(scopes), root_path="/api/")
    server.request("GET /x%20y HTTP/1.1")
    assert (scopes[0]["root_path"], scopes[0]["path"], scopes[0]["raw_path"]) == ("/api", "/api/x y", b"/api/x%20y")


@pytest.mark.parametrize("name", ["s", "with space", "ünïcode\n", b"\xff\xfe".decode("utf-8", "surrogateescape"), "x" * 40])
def test_unix_socket_is_a_server_with_a_path(tmp_path: Path, monkeypatch: Any, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    scopes: list[dict[str, Any]] = []
    # Relative, as tmp_path may be longer than such a path can be.
    server = ASGI(capturing(scopes), trusted_proxies="*").listen(AppListenOptions(domain=name))
    server.run(block=False)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(name)
        for field in (b"", b"", b"X-Forwarded-For: 192.0.2.7:4711\r\n"):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + field + b"\r\n")
            assert connection.recv(65536).endswith(b"ok")
    server.close()
    assert [scope["server"] for scope in scopes] == [(name, None)] * 3
    assert [scope["client"] for scope in scopes] == [None, None, ("192.0.2.7", 4711)]


def test_scopes_are_not_shared(serve_asgi: Callable[..., Any]) -> None:
    scopes: list[dict[str, Any]] = []

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scopes.append(copy.deepcopy(scope))
        for each in (scope, scope["asgi"], scope["extensions"], scope["state"]):
            each["mine"] = 1
        scope["headers"].append((b"mine", b"1"))
        await send(START)
        await send({"type": "http.response.body"})

    server = serve_asgi(answering(answer))
    for _ in range(2):
        server.request("GET / HTTP/1.1")
    assert not any("mine" in each for each in (scopes[1], scopes[1]["asgi"], scopes[1]["extensions"], scopes[1]["state"]))
    assert all(name != b"mine" for name, _ in scopes[1]["headers"])


# ---- whole responses


@pytest.mark.parametrize(
    "headers", [[[b"x-a", b"1"], (b"x-a", b"2")], ((b"x-a", b"1"), (b"x-a", b"2")), iter([(b"x-a", b"1"), (b"x-a", b"2")])]
)
def test_headers_are_any_iterable_of_pairs(serve_asgi: Callable[..., Any], headers: Any) -> None:
    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 418, "headers": headers})
        await send({"type": "http.response.body", "body": b"teapot"})

    answer_text = serve_asgi(answering(answer)).request("GET / HTTP/1.1")
    assert answer_text.startswith(b"HTTP/1.1 418 I'm a Teapot\r\nx-a: 1\r\nx-a: 2\r\n")


def test_minimal_messages(serve_asgi: Callable[..., Any]) -> None:
    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    assert serve_asgi(answering(answer)).request("GET / HTTP/1.1").startswith(b"HTTP/1.1 204 No Content\r\nDate")


@pytest.mark.parametrize("body", [bytearray(b"abc"), memoryview(b"abc")])
def test_other_buffers_are_taken(serve_asgi: Callable[..., Any], body: Any) -> None:
    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": body})

    assert serve_asgi(answering(answer)).request("GET / HTTP/1.1").endswith(b"\r\n\r\nabc")


@pytest.mark.parametrize("body", [b"hello", b""])
@pytest.mark.parametrize("pieces", [1, 2])
def test_head_keeps_the_length_and_sends_no_body(serve_asgi: Callable[..., Any], body: bytes, pieces: int) -> None:
    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        if pieces == 2:
            await send({"type": "http.response.body", "body": body, "more_body": True})
            body_left = b""
        else:
            body_left = body
        await send({"type": "http.response.body", "body": body_left})

    server = serve_asgi(answering(answer))
    answer_text = server.request("HEAD / HTTP/1.1")
    assert answer_text.lower().count(b"content-length: 5\r\n") == 1
    assert answer_text.endswith(b"\r\n\r\n")


def test_server_and_date_of_the_application_win(serve_asgi: Callable[..., Any]) -> None:
    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"server", b"mine"), (b"date", b"today")]})
        await send({"type": "http.response.body"})

    text = serve_asgi(answering(answer)).request("GET / HTTP/1.1").lower()
    assert text.count(b"server:") == text.count(b"date:") == 1
    assert b"server: mine\r\n" in text
    assert b"date: today\r\n" in text


def test_server_and_date_can_be_turned_off(serve_asgi: Callable[..., Any]) -> None:
    text = serve_asgi(capturing([]), server_header=None, date_header=False).request("GET / HTTP/1.1").lower()
    assert b"server:" not in text
    assert b"date:" not in text
    assert b"server: other\r\n" in serve_asgi(capturing([]), server_header="other").request("GET / HTTP/1.1").lower()


def test_keep_alive_and_pipelining(serve_asgi: Callable[..., Any]) -> None:
    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["path"] == "/slow":
            await asyncio.sleep(0.05)
        body = await body_of(receive)
        await send(START)
        await send({"type": "http.response.body", "body": scope["path"].encode() + body})

    requests = b"".join(
        b"POST /%b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n%02d" % (b"slow" if i % 3 == 0 else b"fast", i)
        for i in range(9)
    )
    server = serve_asgi(answering(answer))
    answer_text = server.exchange(requests + b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    bodies = [part.rpartition(b"\r\n\r\n")[2] for part in answer_text.split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [b"/%b%02d" % (b"slow" if i % 3 == 0 else b"fast", i) for i in range(9)] + [b"/last"]


def test_tasks_and_context_variables(serve_asgi: Callable[..., Any]) -> None:
    variable = contextvars.ContextVar("variable", default="")

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        assert variable.get() == ""
        variable.set(scope["path"])
        if scope["path"] == "/wait":
            await asyncio.wait_for(asyncio.sleep(0.01), 5)
        assert asyncio.current_task() is task
        assert variable.get() == scope["path"]
        # Both can be tasks of their own.
        assert (await asyncio.create_task(receive()))["type"] == "http.request"
        await asyncio.create_task(send(START))
        await asyncio.create_task(send({"type": "http.response.body", "body": b"fine"}))

    server = serve_asgi(answering(answer))
    for path in ("now", "wait", "now"):
        assert server.request(f"GET /{path} HTTP/1.1").endswith(b"fine")


def test_background_work_after_the_response(serve_asgi: Callable[..., Any]) -> None:
    done: list[str] = []

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await body_of(receive)
        await send(START)
        await send({"type": "http.response.body", "body": b"ok"})
        assert (await receive())["type"] == "http.disconnect"
        await asyncio.sleep(0.3)
        done.append("done")

    server = serve_asgi(answering(answer))
    assert server.request("GET / HTTP/1.1").endswith(b"ok")
    assert not done
    # Stopping waits for it.
    server.server.close()
    assert done == ["done"]


def test_application_may_be_any_callable_that_gives_an_awaitable(serve_asgi: Callable[..., Any]) -> None:
    class Application:
        def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> Any:
            return asyncio.get_running_loop().create_task(capturing([])(scope, receive, send))

    assert serve_asgi(Application(), lifespan=False).request("GET / HTTP/1.1").endswith(b"ok")


# ---- arguments


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"app": 3}, TypeError, "app must be callable"),
        ({"websocket": 3}, TypeError, "websocket must be"),
        ({"lifespan": "maybe"}, ValueError, "lifespan must be"),
        ({"root_path": "api"}, ValueError, "root_path must be empty or begin with '/'"),
        ({"websocket_options": {"idle": 3}}, ValueError, "idle"),
        ({"websocket_options": {"open": print}}, ValueError, "open"),
        ({"nonsense": 3}, TypeError, "nonsense"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        ASGI(**{"app": nothing, **arguments})


def test_run_refuses_nonsense() -> None:
    server = ASGI(nothing)
    for workers in (0, -1, True, "2"):
        with pytest.raises(ValueError, match="workers"):
            server.run(workers)  # type: ignore[arg-type]
    server.close()


def test_setup_adds_native_routes(serve_asgi: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="setup must be callable"):
        ASGI(nothing, setup=3)  # type: ignore[arg-type]
    server = serve_asgi(capturing([]), setup=lambda app: app.get("/native", lambda res, req: res.end("native")))
    assert server.request("GET /native HTTP/1.1").endswith(b"native")
    assert server.request("POST /native HTTP/1.1", "Content-Length: 0").endswith(b"ok")
    assert server.request("GET / HTTP/1.1").endswith(b"ok")


def test_it_is_served_once() -> None:
    server = ASGI(nothing, lifespan=False).listen(0)
    server.run(block=False)
    with pytest.raises(RuntimeError, match="served already"):
        server.run(block=False)
    server.close()
    server.close()


# ---- TLS


def test_tls(tmp_path: Path) -> None:
    files = Files(tmp_path)
    large = tmp_path / "large"
    large.write_bytes(bytes(range(256)) * 20_000)
    schemes: list[str] = []

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        schemes.append(scope["scheme"])
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({**await receive(), "type": "websocket.send"})
        elif scope["path"] == "/file":
            await send(START)
            await send({"type": "http.response.pathsend", "path": str(large)})
        else:
            body = await body_of(receive)
            await send(START)
            await send({**BODY, "body": body})

    ports: list[int] = []
    server = ASGI(app, files.options(), lifespan=False)
    server.listen(AppListenOptions(host="127.0.0.1"), lambda config: ports.append(config.port)).run(block=False)
    context = files.client()
    with httpx.Client(verify=context, base_url=f"https://localhost:{ports[0]}") as client:
        assert client.post("/", content=b"z" * 500_000).content == b"z" * 500_000
        assert client.get("/file").content == large.read_bytes()
    with connect(f"wss://localhost:{ports[0]}", ssl=files.threaded_client()) as ws:
        ws.send("secret")
        assert ws.recv(timeout=10) == "secret"
    server.close()
    assert schemes == ["https", "https", "wss"]
