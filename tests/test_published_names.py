"""Names, arguments and results of methods as programs of the published package use them."""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

import socketify
from socketify import (
    WSGI,
    App,
    AppListenOptions,
    MiddlewareRouter,
    OpCode,
    Request,
    RequestTask,
    Response,
    TaskFactory,
    WebSocket,
    create_task,
    middleware,
    sendfile,
)
from socketify.helpers import in_directory, static_route
from socketify.status_codes import status_codes

#: Of methods that are not in ``test_keywords.py`` by these names: what comes behind ``self``.
SIGNATURES = {
    Request.get_header: "lower_case_header",
    Request.get_query: "key",
    Response.write_header: "key value",
    Response.write_status: "status_or_status_text",
    Response.try_end: "data total_size end_connection",
    Response.send_chunk: "buffer total_size",
    Response.end: "message end_connection",
    WebSocket.send: "message opcode compress fin",
    WebSocket.cork_send: "message opcode compress fin",
    WebSocket.send_first_fragment: "message opcode compress",
    WebSocket.send_fragment: "message compress",
    WebSocket.send_last_fragment: "message compress",
    WebSocket.publish: "topic message opcode compress exclude_self",
    WebSocket.end: "code message",
    App.publish: "topic message opcode compress",
}


@pytest.mark.parametrize("method", SIGNATURES, ids=lambda each: each.__qualname__)
def test_arguments(method: Any) -> None:
    assert list(inspect.signature(method).parameters)[1:] == SIGNATURES[method].split()


def test_queries_are_lists_and_fields_have_names_as_bytes(serve: Any) -> None:
    def show(res: Response, req: Request) -> None:
        res.end([req.get_queries(), req.get_header(b"x-a"), req.preserve().get_header(b"X-A"), req.get_header(b"x-b")])

    server = serve(lambda app: app.get("/", show))
    got = httpx.get(server.url + "/?a=1&b=2&a=%C3%A9", headers={"X-A": "a"}).json()
    assert got == [{"a": ["1", "é"], "b": ["2"]}, "a", "a", None]


@pytest.mark.parametrize("broker", [None, "none"])
def test_topics_as_bytes_and_any_message_at_the_end(serve: Any, broker: Any) -> None:
    def on_message(ws: WebSocket, _message: Any, _opcode: OpCode) -> None:
        topic = "é".encode()
        assert ws.subscribe(topic)
        assert ws.is_subscribed("é")
        assert ws.get_topics() == ["é"]
        assert server.app.num_subscribers(topic) == 1
        assert ws.publish(topic, "one", OpCode.TEXT)
        assert server.app.publish(topic, "two", OpCode.TEXT)
        assert not server.app.publish(b"other", "three", OpCode.TEXT)
        with pytest.raises(ValueError, match="topic must be UTF-8"):
            ws.subscribe(b"\xff")
        assert ws.unsubscribe(topic)
        ws.end(4000, {"reason": "é"})

    server = serve(lambda app: app.ws("/", {"message": on_message}), broker=broker)
    with connect(server.ws_url + "/") as client:
        client.send("x")
        assert [client.recv(timeout=10) for _ in range(2)] == ["one", "two"]
        with pytest.raises(Exception, match=r'4000.*"reason"'):
            client.recv(timeout=10)


def test_any_attribute_can_be_set_and_is_gone_with_the_request(serve: Any) -> None:
    seen: list[Any] = []

    def sign_in(res: Response, req: Request) -> None:
        names: Any = (res, req)
        for each in names:
            seen.append(hasattr(each, "user"))
            each.user = {"id": len(seen)}
            with pytest.raises(AttributeError):
                each.get_remote_address = each.get_header = None
        req.set_yield(1)

    def show(res: Response, req: Request) -> None:
        # The next route has objects of its own.
        opened: Any = req
        seen.append(hasattr(req, "user"))
        opened.first = opened.second = 1
        del opened.first
        for missing in ("first", "third"):
            with pytest.raises(AttributeError, match=f"'Request' object has no attribute '{missing}'"):
                delattr(opened, missing)
            with pytest.raises(AttributeError, match=f"'Request' object has no attribute '{missing}'"):
                getattr(opened, missing)
        assert opened.second == 1
        assert res.app is req.app is server.app
        res.end("x")

    server = serve(lambda app: app.get("/", sign_in).get("/*", show))
    with httpx.Client() as client:
        for _ in range(3):
            assert client.get(server.url + "/").text == "x"
    assert seen == [False, False, False] * 3


def test_an_attribute_of_a_middleware_is_there_after_a_wait(serve: Any) -> None:
    async def sign_in(res: Any, req: Any) -> str:
        req.user, res.began = "é", 1
        await asyncio.sleep(0)
        return "go on"

    async def show(res: Any, req: Any) -> None:
        await asyncio.sleep(0)
        res.end([req.user, res.began])

    server = serve(lambda app: app.get("/", middleware(sign_in, show)))
    assert [httpx.get(server.url).json() for _ in range(2)] == [["é", 1]] * 2


def test_attributes_of_websockets(serve: Any) -> None:
    def on_open(ws: Any) -> None:
        assert not hasattr(ws, "count")
        ws.count = 0

    def on_message(ws: Any, _message: Any, _opcode: OpCode) -> None:
        assert ws.app is server.app
        ws.count += 1
        ws.send(str(ws.count), OpCode.TEXT)

    server = serve(lambda app: app.ws("/", {"open": on_open, "message": on_message}))
    for _ in range(3):
        with connect(server.ws_url + "/") as client:
            for count in (1, 2):
                client.send("x")
                assert client.recv(timeout=10) == str(count)


def test_chains_of_middlewares_are_parts_of_others(serve: Any) -> None:
    async def add_async(_res: Response, _req: Request, data: Any = None) -> Any:
        await asyncio.sleep(0)
        return [*(data or []), "async"]

    def add(_res: Response, _req: Request, data: Any = None) -> Any:
        return [*(data or []), "sync"]

    def stop(res: Response, req: Request, data: Any) -> Any:
        return None if req.get_query("stop") else data

    def show(res: Response, _req: Request, data: Any = None) -> None:
        res.end(data)

    async def by_hand(res: Response, req: Request) -> None:
        assert middleware(add, add)(res, req, ["data"]) == ["data", "sync", "sync"]
        res.end(await middleware(add, add_async)(res, req))

    def routes(app: App) -> None:
        nested = middleware(add, middleware(add_async, stop), middleware(add))
        app.get("/", middleware(nested, show)).get("/hand", by_hand)
        MiddlewareRouter(app, nested).get("/router", middleware(add, show))
        app.router("/decorated", nested).get("/")(show)
        app.on_error(lambda _error, res, _req: res.end("error"))

    server = serve(routes)
    expected = {
        "/": "sync async sync",
        "/hand": "sync async",
        "/router": "sync async sync sync",
        "/decorated/": "sync async sync",
    }
    assert {path: " ".join(httpx.get(server.url + path).json()) for path in expected} == expected
    # The chain ended, so nobody answered.
    assert httpx.get(server.url + "/?stop=1").text == "error"


def test_the_first_step_of_what_is_run_is_made_at_once(serve: Any, tmp_path: Path) -> None:
    (tmp_path / "robots.txt").write_text("User-agent: *")
    seen: list[Any] = []

    async def at_once() -> str:
        seen.append("began")
        return "result"

    async def waits() -> str:
        seen.append(asyncio.current_task())
        # It cancels the task that it was begun in, if it has to.
        await asyncio.wait_for(asyncio.sleep(0.01), 10)
        return "waited"

    async def cancelled() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            seen.append("cancelled")

    async def run(res: Response, _req: Request) -> None:
        done = res.run_async(at_once())
        assert (seen, done.done()) == (["began"], True)
        task = server.app.run_async(waits())
        assert seen[1:] == [task]
        assert task is not asyncio.current_task()
        ended = server.app.loop.run_async(cancelled())
        ended.cancel()
        await asyncio.wait([ended])
        assert ended.cancelled()
        res.end([await done, await task, seen[2:]])

    async def later(res: Response, req: Request) -> None:
        await asyncio.sleep(0)
        res.end(req.get_url())

    def routes(app: App) -> None:
        app.get("/", run)
        app.get("/file", lambda res, req: res.run_async(sendfile(res, req, str(tmp_path / "robots.txt"))) and None)
        app.get("/later", lambda res, req: res.run_async(later(res, req)) and None)

    server = serve(routes)
    assert httpx.get(server.url).json() == ["result", "waited", ["cancelled"]]
    assert httpx.get(server.url + "/file").text == "User-agent: *"
    assert httpx.get(server.url + "/later").text == "/later"


#: What programs import from the modules of the published package.
MODULES = {
    "socketify": "App AppExtension AppListenOptions AppOptions ASGI CompressOptions Loop MiddlewareRouter OpCode Request"
    " RequestTask Response SendStatus SSGI TaskFactory WebSocket WSGI create_task middleware sendfile",
    "socketify.asgi": "ASGI",
    "socketify.dataclasses": "AppListenOptions AppOptions",
    "socketify.helpers": "DecoratorRouter MiddlewareRouter async_middleware in_directory middleware sendfile static_route"
    " sync_middleware",
    "socketify.loop": "Loop",
    "socketify.socketify": "App AppExtension AppRequest AppResponse CompressOptions OpCode SendStatus WebSocket",
    "socketify.ssgi": "SSGI SSGIHttpResponse SSGIWebSocket",
    "socketify.status_codes": "status_codes",
    "socketify.tasks": "RequestTask TaskFactory create_task",
    "socketify.wsgi": "WSGI",
}


@pytest.mark.parametrize("module", MODULES)
def test_modules(module: str) -> None:
    found = importlib.import_module(module)
    for name in MODULES[module].split():
        known = vars(socketify)[name] if name in socketify.__all__ else None
        assert known is None or getattr(found, name) is known, name
        assert name in found.__all__


def test_lines_of_statuses() -> None:
    assert [status_codes[code] for code in (100, 200, 404)] == [b"100 Continue", b"200 OK", b"404 Not Found"]


def test_helpers(serve: Any, tmp_path: Path) -> None:
    public = tmp_path / "public"
    public.mkdir()
    (public / "robots.txt").write_text("User-agent: *")
    (tmp_path / "secret").touch()
    (public / "link").symlink_to(tmp_path / "secret")
    inside = [in_directory(public / name, public) for name in ("robots.txt", "../secret", "link")]
    assert inside == [True, False, False]
    server = serve(lambda app: static_route(app, "/public/", public))
    assert httpx.get(server.url + "/public/robots.txt").text == "User-agent: *"


def test_tasks() -> None:
    number = contextvars.ContextVar("number", default=0)
    context = contextvars.copy_context()
    context.run(number.set, 1)
    done: list[Any] = []

    async def which() -> int:
        await asyncio.sleep(0)
        return number.get()

    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        first = create_task(loop, which(), done.append, context)
        assert isinstance(first, RequestTask)
        return [await first, await create_task(loop, which()), await TaskFactory(10)(loop, which())]

    assert asyncio.run(main()) == [1, 0, 0]
    assert [each.result() for each in done] == [1]


def test_options_that_have_nothing_to_do() -> None:
    App(None, 0, 0, 10, False, 0.5).close()
    with pytest.raises(ValueError, match="idle_relaxation_time must be seconds, 0 or more, not -1"):
        App(idle_relaxation_time=-1)


def test_a_router_takes_its_middlewares_as_a_list(serve: Any) -> None:
    def routes(app: App) -> None:
        def count(_res: Response, _req: Request, data: Any = 0) -> Any:
            return (data or 0) + 1

        router = app.router("/a", [count, count])
        router.get("/list")(lambda res, _req, data: res.end(data))
        router.router("/b", count, [count]).get("/mixed")(lambda res, _req, data: res.end(data))
        with pytest.raises(TypeError, match="iterable"):
            app.router("/b", 1)  # type: ignore[arg-type]

    server = serve(routes)
    assert [httpx.get(server.url + path).text for path in ("/a/list", "/a/b/mixed")] == ["2", "4"]


def test_the_serializer_of_an_app(serve: Any) -> None:
    def read(res: Response, _req: Request) -> None:
        res.on_data(lambda res, chunk, is_end: res.end(res.app._json_serializer.loads(chunk)) if is_end else None)

    class Upper:
        dumps = staticmethod(json.dumps)

        @staticmethod
        def loads(data: bytes) -> Any:
            return json.loads(data.decode().upper())

    own = serve(lambda app: app.json_serializer(Upper).post("/", read))
    assert httpx.post(own.url, content=b'["a"]').json() == ["A"]
    usual = serve(lambda app: app.post("/", read))
    assert httpx.post(usual.url, content=b'["a"]').json() == ["a"]


def test_a_dict_says_where_to_listen() -> None:
    place = {"port": 0, "host": "127.0.0.1"}
    bound: list[AppListenOptions] = []
    app = App()
    try:
        with pytest.raises(TypeError, match="unexpected keyword argument 'prot'"):
            app.listen({"prot": 0})
        app.listen(place, bound.append).listen({}, bound.append)
    finally:
        app.close()

    def application(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"served"]

    server = WSGI(application).listen(place, bound.append)
    server.run(block=False)
    assert [each.host for each in bound] == ["127.0.0.1", None, "127.0.0.1"]
    assert httpx.get(f"http://127.0.0.1:{bound[2].port}/").text == "served"
    server.close()
