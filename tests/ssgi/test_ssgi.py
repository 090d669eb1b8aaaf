"""The SSGI server over a real socket."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from app_servers import http_1_only
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from wsgi_server import served

from socketify import SSGI, SendStatus


def test_what_the_application_is_told() -> None:
    def app(kind: str, server: str, remote: str, method: str, path: str, query: str, get_header: Any, res: Any) -> None:
        headers = get_header()
        told = [kind, server, remote.rpartition(":")[0], method, path, query]
        told += [get_header("x-a"), get_header("X-A"), get_header("none"), headers["x-a"], sorted(headers)]
        res.send_status(201).send_headers([("X-B", "2")]).send(json.dumps(told))

    with served(app, SSGI) as one:
        got = one.ask("/a%20b?c=d", "PUT", headers={"X-A": "1"})
        host = f"127.0.0.1:{one.own_port}"
    assert (got.status, got.headers["x-b"]) == (201, "2")
    told = json.loads(got.body)
    assert told[:6] == ["http", host, "127.0.0.1", "PUT", "/a%20b", "c=d"]
    assert told[6:10] == ["1", "1", None, "1"]
    assert {"host", "x-a"} <= set(told[10])


def test_async_application_and_its_body() -> None:
    async def app(*arguments: Any) -> None:
        get_header, res = arguments[-2:]
        await asyncio.sleep(0.001)
        if arguments[4] == "/data":
            data = (await res.get_data()).getvalue()
        else:
            parts = []
            while (part := await res.get_chunk()) is not None:
                parts.append(part)
            assert await res.get_chunk() is None
            data = b"".join(parts)
        res.send(f"{len(data)} {get_header('x-a')} ", has_more=True)
        res.send(data)

    with served(app, SSGI) as one:
        for target in ("/data", "/chunks"):
            for size in (0, 1, 100_000, 3_000_000):
                got = one.ask(target, "POST", b"x" * size, {"X-A": "1"})
                assert got.body == b"%d 1 " % size + b"x" * size
            assert one.ask(target).body == b"0 1 ".replace(b"1", b"None")


def test_chunks_with_backpressure() -> None:
    block = b"x" * 1_000_000

    async def app(*arguments: Any) -> None:
        res = arguments[-1]
        for number in range(20):
            ok, done = await res.send_chunk(block, 20_000_000)
            assert ok
            assert done == (number == 19)

    with served(app, SSGI) as one:
        assert one.ask().body == block * 20


def test_run_async_from_a_sync_application() -> None:
    async def answer(res: Any, text: str) -> None:
        await asyncio.sleep(0.001)
        if text == "/fail":
            raise LookupError(text)
        res.send(text)

    def app(*arguments: Any) -> None:
        path, res = arguments[4], arguments[-1]
        res.run_async(answer, res, path)

    with served(app, SSGI) as one:
        assert one.ask("/x").body == b"/x"
        assert one.ask("/fail").status == 500


def test_abort() -> None:
    left = threading.Event()
    seen: list[Any] = []

    async def told(*arguments: Any) -> None:
        seen.extend(arguments)

    def app(*arguments: Any) -> None:
        res = arguments[-1]
        res.extensions["kept"] = True
        res.on_aborted(told, 1, 2)
        res.on_aborted(lambda: seen.append(res.aborted))
        res.on_aborted(left.set)

    with served(app, SSGI) as one:
        with one.connect() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            threading.Event().wait(0.1)
        assert left.wait(10)
    assert sorted(map(int, seen)) == [1, 1, 2]


def test_client_that_leaves_while_chunks_are_awaited() -> None:
    done = threading.Event()

    async def app(*arguments: Any) -> None:
        res = arguments[-1]
        while await res.get_chunk() is not None:
            pass
        assert res.aborted
        done.set()

    with served(app, SSGI) as one:
        with one.connect() as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
            threading.Event().wait(0.05)
        assert done.wait(10)


def test_errors_and_forgotten_responses() -> None:
    def app(*arguments: Any) -> None:
        if arguments[4] == "/raise":
            raise LookupError

    with served(app, SSGI) as one:
        assert one.ask("/raise").status == 500
        assert one.ask("/forget").status == 500


# ---- websockets


@http_1_only("Upgrade")
def test_websocket() -> None:
    events: list[Any] = []
    closed = threading.Event()

    async def on_receive(ws: Any, message: Any, prefix: str) -> None:
        await asyncio.sleep(0)
        assert ws.status == 3
        if message == "close":
            assert ws.close(4000)
            return
        ws.send(prefix + message if isinstance(message, str) else message)

    def on_close(ws: Any, code: int, reason: str, extra: str) -> None:
        events.extend([ws.status, code, extra, ws.send("late"), ws.close()])
        closed.set()

    async def app(kind: str, *arguments: Any) -> None:
        get_header, res = arguments[-2:]
        if kind == "http":
            res.send(b"http")
            return
        assert res.status == 0
        assert get_header("upgrade") == "websocket"
        assert await res.accept()
        assert not await res.accept()
        assert not await res.reject()
        res.send("welcome")
        await asyncio.sleep(0.02)
        res.on_receive(on_receive, "> ").on_close(on_close, "extra")

    with served(app, SSGI) as one:
        assert one.ask().body == b"http"
        with connect(f"ws://127.0.0.1:{one.port}/x", subprotocols=["a", "b"]) as ws:  # type: ignore[list-item]
            assert ws.subprotocol == "a"
            ws.send("early")
            ws.send(b"binary")
            assert [ws.recv() for _ in range(3)] == ["welcome", "> early", b"binary"]
            ws.send("close")
            with pytest.raises(ConnectionClosed):
                ws.recv()
            assert ws.close_code == 4000
        assert closed.wait(10)
    assert events == [2, 4000, "extra", SendStatus.DROPPED, False]


def test_websocket_from_a_sync_application() -> None:
    def app(_kind: str, *arguments: Any) -> None:
        path, res = arguments[3], arguments[-1]
        if path == "/accept":
            res.accept("b")
            res.on_receive(lambda ws, message: ws.send(message))
        elif path == "/later":
            res.run_async(later, res)
        elif path == "/reject":
            res.reject(401, b"who are you?", [("X-Why", "1")])
            assert res.status == 1
            assert not res.accept()

    async def later(res: Any) -> None:
        await asyncio.sleep(0.01)
        res.accept()
        res.send("later")

    with served(app, SSGI) as one:
        url = f"ws://127.0.0.1:{one.port}"
        with connect(url + "/accept", subprotocols=["a", "b"]) as ws:  # type: ignore[list-item]
            assert ws.subprotocol == "b"
            ws.send("x")
            assert ws.recv() == "x"
        with connect(url + "/later") as ws:
            assert ws.recv() == "later"
        with pytest.raises(InvalidStatus) as refused:
            connect(url + "/reject")
        assert refused.value.response.status_code == 401
        assert refused.value.response.body == b"who are you?"
        assert refused.value.response.headers["X-Why"] == "1"
        with pytest.raises(InvalidStatus) as refused:
            connect(url + "/forget")
        assert refused.value.response.status_code == 500


def test_many_messages_before_anybody_receives() -> None:
    async def app(kind: str, *arguments: Any) -> None:
        res = arguments[-1]
        assert kind == "websocket"
        await res.accept()
        await asyncio.sleep(0.2)
        res.on_receive(lambda ws, message: ws.send(message))

    with served(app, SSGI) as one, connect(f"ws://127.0.0.1:{one.port}/") as ws:
        for number in range(300):
            ws.send(str(number))
        assert [ws.recv() for _ in range(300)] == [str(number) for number in range(300)]


def test_topics() -> None:
    results: list[bool] = []
    closed = threading.Event()

    def on_receive(ws: Any, message: Any) -> None:
        if message == "leave":
            results.extend([ws.unsubscribe("room"), ws.unsubscribe("room")])
        ws.publish("room", message)

    def on_close(ws: Any, code: int, reason: str) -> None:
        results.extend([ws.subscribe("room"), ws.unsubscribe("room"), ws.publish("room", "gone")])
        closed.set()

    def app(_kind: str, *arguments: Any) -> None:
        res = arguments[-1]
        results.append(res.subscribe("room"))
        res.accept()
        results.append(res.subscribe("room"))
        res.on_receive(on_receive)
        res.on_close(on_close)

    with served(app, SSGI) as one:
        url = f"ws://127.0.0.1:{one.port}"
        with connect(url) as first:
            with connect(url) as second:
                for message in ("text é", b"\xff"):
                    second.send(message)
                    assert [each.recv(timeout=10) for each in (first, second)] == [message, message]
                second.send("leave")
                assert first.recv(timeout=10) == "leave"
            assert first.recv(timeout=10) == "gone"
            assert closed.wait(10)
            assert results == [False, True] * 2 + [True, False] + [False, False, True]


@http_1_only("an Upgrade that is ignored; an extended CONNECT gets 501")
def test_without_websockets() -> None:
    def app(kind: str, *arguments: Any) -> None:
        arguments[-1].send(kind)

    with served(app, SSGI, websocket=False) as one, pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{one.port}/")
    assert refused.value.response.status_code == 200


# ---- frameworks


class Framework:
    def __init__(self, offer: Any) -> None:
        self.offer = offer
        self.supported: dict[str, str] = {}

    def get_supported(self, supported_interfaces: dict[str, str]) -> Any:
        self.supported = supported_interfaces
        return self.offer


def ssgi(*arguments: Any) -> None:
    arguments[-1].send("ssgi") if arguments[0] == "http" else arguments[-1].accept()


def wsgi(_environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"wsgi"]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        message = await receive()
        scope["state"]["started"] = message["type"]
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"asgi " + scope["state"]["started"].encode()})
    else:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "asgi " + scope["state"]["started"]})


@pytest.mark.parametrize(
    ("offer", "body"),
    [
        ({"http": ("ssgi", ssgi)}, b"ssgi"),
        ({"http": ("wsgi", wsgi), "websockets": ("ssgi", ssgi)}, b"wsgi"),
        ({"http": ("asgi", asgi), "websockets": ("asgi", asgi)}, b"asgi lifespan.startup"),
        ({"http": ("wsgi", wsgi), "websocket": ("asgi", asgi)}, b"wsgi"),
        ({"http": (None, ssgi)}, None),
        ({}, None),
    ],
)
def test_frameworks(offer: Any, body: Any) -> None:
    framework = Framework(offer)
    with served(framework, SSGI) as one:
        got = one.ask()
        assert (got.status, got.body) == ((200, body) if body else (404, b"Not Found"))
        websockets = offer.get("websockets", offer.get("websocket"))
        if websockets is None:
            with pytest.raises(InvalidStatus):
                connect(f"ws://127.0.0.1:{one.port}/")
        else:
            with connect(f"ws://127.0.0.1:{one.port}/") as ws:
                if websockets[0] == "asgi":
                    assert ws.recv() == "asgi lifespan.startup"
    assert set(framework.supported) == {"ssgi", "wsgi", "asgi"}


@pytest.mark.parametrize(
    ("app", "error", "match"),
    [
        (None, TypeError, "app must be callable"),
        (Framework(None), TypeError, "must give a dict"),
        (Framework({"http": ssgi}), TypeError, "'http' must be a pair"),
        (Framework({"http": ("rsgi", ssgi)}), ValueError, "'http' must be one of"),
        (Framework({"websockets": ("wsgi", wsgi)}), ValueError, "'websockets' must be one of"),
        (Framework({"http": ("ssgi", 1)}), TypeError, "must be callable"),
    ],
)
def test_misuse(app: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        SSGI(app)


def test_websocket_options() -> None:
    with pytest.raises(ValueError, match="message"):
        SSGI(ssgi, websocket_options={"message": print})
    small = {"max_payload_length": 10}
    with served(ssgi, SSGI, websocket_options=small) as one, connect(f"ws://127.0.0.1:{one.port}/") as ws:
        ws.send("x" * 11)
        with pytest.raises(ConnectionClosed):
            ws.recv()


def test_unix_socket(tmp_path: Path) -> None:
    seen: list[Any] = []

    def app(*arguments: Any) -> None:
        seen.extend(arguments[1:3])
        arguments[-1].send("ok")

    path = str(tmp_path / "s")
    with served(app, SSGI, unix=path) as one:
        assert one.ask().body == b"ok"
    assert seen == [path, ""]
