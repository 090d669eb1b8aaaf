"""WebSockets over real connections, with the websockets package as the client."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from capabilities import counts_references
from waiting import wait_until
from websocket_client import HANDSHAKE, KEY, open_
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from socketify import App, OpCode, SendStatus, WebSocket


def echo(ws: WebSocket, message: Any, opcode: OpCode) -> None:
    ws.send(message, opcode)


def close_code(client: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed):
        client.recv(timeout=10)
    return client.close_code or 0


def test_text_and_binary_come_back(serve: Any) -> None:
    server = serve(lambda app: app.ws("/", {"message": echo}))
    with open_(server) as client:
        for message in ("", "hello", "späße ✓ 🎉", b"", b"\x00\xff", "x" * 70000, b"y" * 1_000_000):
            client.send(message)
            assert client.recv(timeout=10) == message


def test_async_handlers_are_called_in_order(serve: Any) -> None:
    seen: list[Any] = []

    def build(app: App) -> None:
        async def on_open(ws: WebSocket) -> None:
            seen.append("opening")
            await asyncio.sleep(0.02)
            seen.append("open")

        async def on_message(ws: WebSocket, message: str, opcode: OpCode) -> None:
            await asyncio.sleep(0.02 if message == "0" else 0)
            seen.append(message)
            ws.send(message, opcode)

        async def on_close(ws: WebSocket, code: int, message: str) -> None:
            await asyncio.sleep(0)
            seen.append(code)

        app.ws("/", {"open": on_open, "message": on_message, "close": on_close})

    server = serve(build)
    with open_(server) as client:
        for number in range(200):
            client.send(str(number))
        for number in range(200):
            assert client.recv(timeout=10) == str(number)
    wait_until(lambda: seen[-1] == 1000)
    assert seen == ["opening", "open", *map(str, range(200)), 1000]


def test_fragments(serve: Any) -> None:
    def build(app: App) -> None:
        def on_message(ws: WebSocket, message: Any, opcode: OpCode) -> None:
            ws.subscribe("t")
            assert ws.send_first_fragment("a", opcode) == SendStatus.SUCCESS
            with pytest.raises(ValueError, match="opcode"):
                ws.send("interleaved", opcode)
            app.publish("t", "published between", OpCode.TEXT)
            ws.send(b"", OpCode.PING)
            ws.send_fragment("b")
            ws.send_last_fragment("c")
            ws.send(message, opcode)

        app.ws("/", {"message": on_message})

    server = serve(build)
    with open_(server) as client:
        client.send(["x", "y", "z"])
        assert [client.recv(timeout=10) for _ in range(3)] == ["abc", "published between", "xyz"]


def test_closing(serve: Any) -> None:
    closed: list[Any] = []

    def build(app: App) -> None:
        def on_message(ws: WebSocket, message: str, opcode: OpCode) -> None:
            if message == "end":
                ws.end(4001, "enough")
                assert ws.send("late") == SendStatus.DROPPED
            elif message == "close":
                ws.close()
                assert ws.send("late") == SendStatus.DROPPED
            elif message == "raise":
                raise RuntimeError("broken")

        def on_close(ws: WebSocket, code: int, message: str) -> None:
            closed.append((code, message, ws.send("x"), ws.get_remote_address()))

        app.ws("/", {"message": on_message, "close": on_close})

    server = serve(build)
    for message, code in (("end", 4001), ("close", 1006), ("raise", 1011)):
        with open_(server) as client:
            client.send(message)
            assert close_code(client) == code
    with open_(server) as client:
        client.close(3000, "bye")
    wait_until(lambda: len(closed) == 4)
    assert [each[:2] for each in closed] == [(4001, "enough"), (1006, ""), (1011, ""), (3000, "bye")]
    assert all(each[2:] == (SendStatus.DROPPED, "127.0.0.1") for each in closed)


def test_stopping_says_1001(serve: Any) -> None:
    server = serve(lambda app: app.ws("/", {"message": echo}))
    with open_(server) as client:
        client.send("x")
        client.recv(timeout=10)
        server.app.close()
        assert close_code(client) == 1001


def test_stopping_tells_the_close_handler_though_another_waits(serve: Any) -> None:
    events: list[Any] = []

    def build(app: App) -> None:
        async def on_message(ws: WebSocket, message: Any, opcode: OpCode) -> None:
            events.append(message)
            await asyncio.sleep(1000)

        app.ws("/", {"message": on_message, "close": lambda ws, code, message: events.append(code)})

    server = serve(build, shutdown_timeout=1)
    with open_(server) as client:
        client.send("one")
        client.send("two")
        wait_until(lambda: events)
        server.app.close()
        assert close_code(client) == 1001
    wait_until(lambda: len(events) == 2)
    assert events == ["one", 1001]


def test_iteration_and_waiting_for_the_end(serve: Any) -> None:
    ended: list[Any] = []

    def build(app: App) -> None:
        async def on_open(ws: WebSocket) -> None:
            await asyncio.sleep(0.02)
            async for message in ws:
                await asyncio.sleep(0)
                ws.send(message, OpCode.TEXT)
            ended.append(await ws.closed())

        app.ws("/", {"open": on_open})

    server = serve(build)
    with open_(server) as client:
        for number in range(300):
            client.send(str(number))
        for number in range(300):
            assert client.recv(timeout=10) == str(number)
    wait_until(lambda: ended)
    assert ended == [1000]


def test_ping_and_pong(serve: Any) -> None:
    seen: list[Any] = []
    behavior = {
        "ping": lambda ws, data: seen.append(("ping", data)),
        "pong": lambda ws, data: seen.append(("pong", data)),
        "open": lambda ws: ws.send(b"hello", OpCode.PING),
    }
    server = serve(lambda app: app.ws("/", behavior))
    with open_(server) as client:
        assert client.ping("abc").wait(10)
    wait_until(lambda: len(seen) == 2)
    assert sorted(seen) == [("ping", b"abc"), ("pong", b"hello")]


def test_a_slow_reader_harms_nobody(serve: Any) -> None:
    drained = threading.Event()
    statuses: list[SendStatus] = []

    def build(app: App) -> None:
        def on_message(ws: WebSocket, message: Any, opcode: OpCode) -> None:
            if message == "flood":
                while (status := ws.send(b"x" * 65536)) != SendStatus.DROPPED:
                    statuses.append(status)
                assert ws.get_buffered_amount() > 100_000
            else:
                ws.send(message, opcode)

        app.ws("/", {"message": on_message, "drain": lambda ws: drained.set(), "max_backpressure": 100_000})

    server = serve(build)
    with open_(server) as slow, open_(server) as other:
        slow.send("flood")
        time.sleep(0.2)
        other.send("alive")
        assert other.recv(timeout=10) == "alive"
        for _ in statuses:
            assert len(slow.recv(timeout=10)) == 65536
    assert SendStatus.BACKPRESSURE in statuses
    assert drained.wait(10)


def test_a_close_frame_is_never_dropped(serve: Any) -> None:
    def build(app: App) -> None:
        def on_message(ws: WebSocket, message: Any, opcode: OpCode) -> None:
            while ws.send(b"x" * 65536) != SendStatus.DROPPED:
                pass
            ws.end(1000, "flooded")

        app.ws("/", {"message": on_message, "max_backpressure": 100_000})

    server = serve(build)
    with open_(server) as client:
        client.send("flood")
        assert all(len(message) == 65536 for message in client)
        assert client.close_code == 1000


@pytest.mark.parametrize(
    ("behavior", "named"),
    [
        ({"idle_timeout": 5}, "idle_timeout"),
        ({"idle_timeout": 961}, "idle_timeout"),
        ({"max_lifetime": 241}, "max_lifetime"),
        ({"max_payload_length": "1"}, "max_payload_length"),
        ({"max_backpressure": -1}, "max_backpressure"),
        ({"compression": 7}, "compression"),
        ({"send_pings_automatically": "yes"}, "send_pings_automatically"),
        ({"messages": echo}, "messages"),
        ({"open": 1}, "open"),
    ],
)
def test_wrong_behaviors_name_the_key(behavior: dict[str, Any], named: str) -> None:
    app = App()
    with pytest.raises(ValueError, match=named):
        app.ws("/", behavior)
    app.close()


@counts_references
def test_pool_objects_are_new_for_every_connection(serve: Any) -> None:
    def build(app: App) -> None:
        def extension(request: Any, response: Any, ws: Any) -> None:
            ws.property("cart", [])

            @ws.method
            def buy(self: Any, item: str) -> str:
                self.cart.append(item)
                return ",".join(self.cart)

        app.register(extension)
        app.ws("/", {"message": lambda ws, message, opcode: ws.send(ws.buy(message), OpCode.TEXT)})

    server = serve(build, websocket_factory_max_items=2)
    for _ in range(5):
        with open_(server) as client:
            client.send("a")
            assert client.recv(timeout=10) == "a"
            client.send("b")
            assert client.recv(timeout=10) == "a,b"
    assert len(server.app.websocket_routes.pool) >= 2


def test_idle_connections_are_pinged_and_then_closed(serve: Any) -> None:
    closed: list[Any] = []
    behavior = {"idle_timeout": 8, "close": lambda ws, code, message: closed.append((code, message))}
    server = serve(lambda app: app.ws("/", behavior))
    with server.connect() as connection:
        connection.settimeout(20)
        connection.sendall(HANDSHAKE % (b"websocket", b"Upgrade", KEY, b"13"))
        connection.recv(4096)
        assert connection.recv(4096) == b"\x89\x00"
        assert connection.recv(4096) == b""
    assert closed == [(1006, "the connection was silent for too long")]
