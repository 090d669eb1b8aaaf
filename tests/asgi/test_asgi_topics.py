"""Topics of ASGI applications: the extensions, and the functions for websockets of frameworks."""

from __future__ import annotations

import asyncio
from typing import Any, Callable

import pytest
from asgi_websocket_apps import ACCEPT, Result, raw
from waiting import wait_until
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from socketify import CompressOptions
from socketify.asgi import topics
from socketify.interfaces import ClientDisconnectedError

SUBSCRIBE, UNSUBSCRIBE, PUBLISH = "websocket.subscribe", "websocket.unsubscribe", "websocket.publish"


async def commanded(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Do what the client says, and say when it is done."""
    assert {SUBSCRIBE, UNSUBSCRIBE, PUBLISH} <= set(scope["extensions"])
    await receive()
    await send(ACCEPT)
    while (message := await receive())["type"] == "websocket.receive":
        if "bytes" in message:
            await send({"type": PUBLISH, "topic": "room", "bytes": message["bytes"]})
            continue
        verb, _, topic = message["text"].partition(" ")
        if verb == "say":
            await send({"type": PUBLISH, "topic": "room", "text": topic})
            continue
        await send({"type": f"websocket.{verb}", "topic": topic})
        await send({"type": "websocket.send", "text": "done"})
    await send({"type": PUBLISH, "topic": "room", "text": "gone"})


def tell(client: ClientConnection, *commands: str) -> None:
    for command in commands:
        client.send(command)
        assert client.recv(timeout=10) == "done"


@pytest.mark.parametrize("compress", [True, False])
def test_messages_reach_all_subscribers(serve_asgi: Callable[..., Any], compress: bool) -> None:
    options = {"compression": CompressOptions.SHARED_COMPRESSOR} if compress else None
    url = serve_asgi(raw(commanded), lifespan=False, websocket_options=options).websocket_url
    with connect(url) as one, connect(url) as two, connect(url) as three:
        tell(one, "subscribe room", "subscribe other")
        tell(two, "subscribe room", "subscribe room")
        for message in ("say hello é", "say " + "x" * 100_000, b"\x00\xff", b"", "say "):
            # It needs no subscription, and the sender gets it if it has one.
            for sender in (one, three):
                sender.send(message)
                expected = message[4:] if isinstance(message, str) else message
                assert [each.recv(timeout=10) for each in (one, two)] == [expected, expected]
        tell(one, "unsubscribe room", "unsubscribe never")
        three.send("say again")
        assert two.recv(timeout=10) == "again"
        # That somebody left can be published when the connection is closed.
        three.close()
        assert two.recv(timeout=10) == "gone"
        tell(one, "unsubscribe other")


def test_order_with_what_is_sent(serve_asgi: Callable[..., Any]) -> None:
    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await send({"type": SUBSCRIBE, "topic": "t"})
        for number in range(1000):
            await send({"type": PUBLISH, "topic": "t", "text": str(number)})
        await receive()

    with connect(serve_asgi(raw(handle), lifespan=False).websocket_url) as client:
        assert [client.recv(timeout=10) for _ in range(1000)] == [str(number) for number in range(1000)]


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"type": SUBSCRIBE}, TypeError, "'websocket.subscribe' needs 'topic'"),
    ({"type": UNSUBSCRIBE}, TypeError, "'websocket.unsubscribe' needs 'topic'"),
    ({"type": PUBLISH, "text": "x"}, TypeError, "'websocket.publish' needs 'topic'"),
    ({"type": SUBSCRIBE, "topic": None}, TypeError, "topic must be str or bytes, not NoneType"),
    ({"type": UNSUBSCRIBE, "topic": 1}, TypeError, "topic must be str or bytes, not int"),
    ({"type": PUBLISH, "topic": [], "text": "x"}, TypeError, "topic must be str or bytes, not list"),
    ({"type": SUBSCRIBE, "topic": "x" * 70_000}, ValueError, "at most 65535 bytes"),
    ({"type": PUBLISH, "topic": "t"}, TypeError, "needs 'bytes' or 'text' of its type, not None"),
    ({"type": PUBLISH, "topic": "t", "text": b"x"}, TypeError, "needs 'bytes' or 'text' of its type, not b'x'"),
    ({"type": PUBLISH, "topic": "t", "bytes": "x"}, TypeError, "needs 'bytes' or 'text' of its type, not 'x'"),
]


def test_wrong_messages(serve_asgi: Callable[..., Any]) -> None:
    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        for kind in (SUBSCRIBE, UNSUBSCRIBE, PUBLISH):
            with pytest.raises(RuntimeError, match=f"expected the ASGI message 'websocket.accept'.*{kind}"):
                await send({"type": kind, "topic": "t", "text": "x"})
        await send(ACCEPT)
        for message, error, text in WRONG:
            with pytest.raises(error, match=text):
                await send(message)
        await send({"type": SUBSCRIBE, "topic": ""})
        await send({"type": PUBLISH, "topic": "", "text": "still here"})
        await receive()

    with connect(serve_asgi(raw(handle), lifespan=False).websocket_url) as client:
        assert client.recv(timeout=10) == "still here"


def test_after_the_end(serve_asgi: Callable[..., Any]) -> None:
    results: list[Any] = []
    done = Result()

    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        if scope["path"] == "/server":
            await send({"type": "websocket.close"})
        assert (await receive())["type"] == "websocket.disconnect"
        for kind in (UNSUBSCRIBE, PUBLISH):
            await send({"type": kind, "topic": "t", "text": "x"})
        with pytest.raises(ClientDisconnectedError):
            await send({"type": SUBSCRIBE, "topic": "t"})
        results.append((topics.subscribe(scope, "t"), topics.unsubscribe(scope, "t"), topics.publish(scope, "t", "x")))
        done.tell(results)

    server = serve_asgi(raw(handle), lifespan=False)
    for path in ("/client", "/server"):
        done = Result()
        with connect(server.websocket_url + path):
            pass
        assert done.get().pop() == (False, False, False)


def test_denied_websockets_have_no_topics(serve_asgi: Callable[..., Any]) -> None:
    done = Result()

    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        with pytest.raises(RuntimeError, match="the websocket is not accepted yet"):
            topics.subscribe(scope, "t")
        await send({"type": "websocket.http.response.start", "status": 404})
        with pytest.raises(RuntimeError, match=r"expected the ASGI message 'websocket.http.response.body'"):
            await send({"type": SUBSCRIBE, "topic": "t"})
        done.tell(topics.subscribe(scope, "t"))
        await send({"type": "websocket.http.response.body"})

    url = serve_asgi(raw(handle), lifespan=False).websocket_url
    with pytest.raises(InvalidStatus, match="404"), connect(url):
        pass
    assert done.get() is False


# ---- websockets of frameworks


async def chat(websocket: Any) -> None:
    await websocket.accept()
    name = websocket.query_params["name"]
    topics.subscribe(websocket, "room")
    topics.publish(websocket, "room", f"{name} is here")
    try:
        async for text in websocket.iter_text():
            if text == "leave":
                topics.unsubscribe(websocket, "room")
            topics.publish(websocket, "room", f"{name}: {text}")
    finally:
        topics.publish(websocket, "room", f"{name} is gone")


def starlette_app() -> Any:
    from starlette.applications import Starlette  # noqa: PLC0415
    from starlette.routing import Mount, WebSocketRoute  # noqa: PLC0415

    return Starlette(routes=[Mount("/api", routes=[WebSocketRoute("/chat", chat)])])


def fastapi_app() -> Any:
    from fastapi import APIRouter, FastAPI, WebSocket  # noqa: PLC0415

    app, router = FastAPI(), APIRouter(prefix="/api")

    async def typed(websocket: Any) -> None:
        await chat(websocket)

    typed.__annotations__["websocket"] = WebSocket
    router.websocket("/chat")(typed)
    app.include_router(router)
    # Middlewares pass copies of scopes on.
    app.add_middleware(Copying)
    return app


class Copying:
    """A middleware that copies scopes, and lets nothing but functions of its own reach the server."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            await send(message)

        await self.app(dict(scope), receive, sending)


@pytest.fixture(params=["starlette", "fastapi"])
def framework(request: Any) -> Any:
    pytest.importorskip(request.param)
    return starlette_app() if request.param == "starlette" else fastapi_app()


def test_websockets_of_frameworks(serve_asgi: Callable[..., Any], framework: Any) -> None:
    url = serve_asgi(framework).websocket_url + "/api/chat?name="
    with connect(url + "ann") as ann:
        assert ann.recv(timeout=10) == "ann is here"
        with connect(url + "bob") as bob:
            assert [each.recv(timeout=10) for each in (ann, bob)] == ["bob is here"] * 2
            ann.send("hello é")
            assert [each.recv(timeout=10) for each in (ann, bob)] == ["ann: hello é"] * 2
            bob.send("leave")
            assert ann.recv(timeout=10) == "bob: leave"
        assert ann.recv(timeout=10) == "bob is gone"


def test_another_server(framework: Any) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        assert message["type"] == "websocket.accept"

    scope = {
        "type": "websocket",
        "path": "/api/chat",
        "root_path": "",
        "query_string": b"name=x",
        "headers": [],
        "scheme": "ws",
    }
    with pytest.raises(RuntimeError, match="topics need a websocket that socketify serves"):
        asyncio.run(framework(scope, receive, send))


@pytest.mark.parametrize("other", [None, 1, "websocket", {"type": "http"}, {}])
def test_what_is_no_websocket(other: Any) -> None:
    with pytest.raises(TypeError, match="websocket must be that of an ASGI framework, or its scope"):
        topics.subscribe(other, "t")
    with pytest.raises(TypeError, match="websocket must be that of an ASGI framework, or its scope"):
        topics.publish(other, "t", "x")


@pytest.mark.parametrize("message", [None, 1, ["x"]])
def test_what_is_no_message(message: Any) -> None:
    with pytest.raises(TypeError, match="message must be str or bytes, not"):
        topics.publish({"type": "websocket"}, "t", message)


def test_other_threads(serve_asgi: Callable[..., Any]) -> None:
    scopes: list[Any] = []

    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        topics.subscribe(scope, "t")
        scopes.append(scope)
        await send({"type": "websocket.send", "text": "ready"})
        await receive()

    with connect(serve_asgi(raw(handle), lifespan=False).websocket_url) as client:
        assert client.recv(timeout=10) == "ready"
        assert topics.publish(scopes[0], "t", "from a thread")
        assert client.recv(timeout=10) == "from a thread"
        for each in (topics.subscribe, topics.unsubscribe):
            with pytest.raises(RuntimeError, match="another thread"):
                each(scopes[0], "t")


def test_the_sender_can_be_left_out(serve_asgi: Callable[..., Any]) -> None:
    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await send({"type": SUBSCRIBE, "topic": "t"})
        await send({"type": "websocket.send", "text": "ready"})
        await receive()
        await send({"type": PUBLISH, "topic": "t", "text": "to others", "exclude_self": True})
        assert topics.publish(scope, "t", b"also", exclude_self=True)
        assert await asyncio.get_running_loop().run_in_executor(
            None, lambda: topics.publish(scope, "t", "from a thread", exclude_self=True)
        )
        assert topics.publish(scope, "t", "to all", exclude_self=False)
        await receive()

    url = serve_asgi(raw(handle), lifespan=False).websocket_url
    with connect(url) as one, connect(url) as two:
        assert [each.recv(timeout=10) for each in (one, two)] == ["ready"] * 2
        one.send("go")
        assert one.recv(timeout=10) == "to all"
        assert sorted((two.recv(timeout=10) for _ in range(4)), key=str) == [b"also", "from a thread", "to all", "to others"]


def test_presence(serve_asgi: Callable[..., Any]) -> None:
    events: list[Any] = []

    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        name = scope["path"][1:]
        await receive()
        await send(ACCEPT)
        if name == "ann":
            await send({"type": SUBSCRIBE, "topic": "room", "presence": {"name": name}})
        elif name == "bob":
            assert topics.subscribe(scope, "room", presence={"name": "for a moment"})
            assert topics.subscribe(scope, "room", presence={"name": name})
            topics.subscribe(scope, "other", presence=name)
        else:
            with pytest.raises(TypeError, match="what presence says of a websocket must be JSON"):
                topics.subscribe(scope, "room", presence=object())
            await send({"type": SUBSCRIBE, "topic": "other"})
        await send({"type": "websocket.send", "text": "ready"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": UNSUBSCRIBE, "topic": message["text"]})
            await send({"type": "websocket.send", "text": "done"})

    server = serve_asgi(raw(handle), lifespan=False, setup=lambda app: app.on_presence(lambda *event: events.append(event)))
    app = server.server.native_app

    def there(topic: str) -> Any:
        found = asyncio.run_coroutine_threadsafe(app.presence(topic), app.loop.loop).result(10)
        return sorted(found, key=str)

    with connect(server.websocket_url + "/ann") as ann, connect(server.websocket_url + "/cid") as cid:
        with connect(server.websocket_url + "/bob") as bob:
            assert [each.recv(timeout=10) for each in (ann, bob, cid)] == ["ready"] * 3
            assert (there("room"), there("other")) == ([{"name": "ann"}, {"name": "bob"}], ["bob"])
            ann.send("room")
            assert ann.recv(timeout=10) == "done"
            assert there("room") == [{"name": "bob"}]
        wait_until(lambda: len(events) == 6)
    assert (there("room"), there("other")) == ([], [])
    assert sorted(events, key=str) == [
        ("other", ["bob"], []),
        ("other", [], ["bob"]),
        ("room", [], [{"name": "ann"}]),
        ("room", [], [{"name": "bob"}]),
        ("room", [{"name": "ann"}], []),
        ("room", [{"name": "bob"}], []),
    ]
