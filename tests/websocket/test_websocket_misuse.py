"""Wrong or late use of websockets: an exception that names the argument, or nothing; never a crash."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from socketify import App, OpCode, SendStatus, WebSocket


def talk(server: Any, path: str = "/") -> Any:
    return connect(f"{server.ws_url}{path}", compression=None)


def test_everything_after_the_end_is_inert(serve: Any) -> None:
    kept: list[WebSocket] = []
    server = serve(lambda app: app.ws("/", {"open": kept.append, "message": lambda ws, m, o: ws.send(m)}))
    with talk(server):
        pass
    with talk(server) as other:
        dead = kept[0]
        time.sleep(0.1)
        assert dead.is_closed

        def use() -> None:
            assert dead.send("x") == SendStatus.DROPPED
            assert dead.send_first_fragment("x") == SendStatus.DROPPED
            assert not dead.subscribe("t")
            assert not dead.unsubscribe("t")
            assert not dead.is_subscribed("t")
            assert not dead.publish("t", "x")
            assert dead.get_topics() == []
            assert dead.get_buffered_amount() == 0
            assert dead.get_remote_address() == ""
            assert dead.cork(lambda ws: ws.send("x")) is dead
            assert dead.end(1000).close() is dead

        server.app.loop.loop.call_soon_threadsafe(use)
        other.send("alive")
        assert other.recv(timeout=10) == b"alive"


@pytest.mark.parametrize(
    ("use", "error", "named"),
    [
        (lambda ws: ws.send("x", 3), ValueError, "opcode"),
        (lambda ws: ws.send("x", "TEXT"), ValueError, "opcode"),
        (lambda ws: ws.send("x", OpCode.CLOSE), ValueError, "opcode"),
        (lambda ws: ws.send("x" * 126, OpCode.PING), ValueError, "opcode"),
        (lambda ws: ws.send_fragment("x"), ValueError, "opcode"),
        (lambda ws: ws.send(b"\xff", OpCode.TEXT), ValueError, "message must be UTF-8"),
        (lambda ws: ws.send(bytearray(b"\xc3"), 1, compress=True), ValueError, "message must be UTF-8"),
        (lambda ws: ws.publish("t", b"\xed\xa0\x80", OpCode.TEXT), ValueError, "message must be UTF-8"),
        (lambda ws: ws.publish("t", b"\xff", OpCode.TEXT, exclude_self=True), ValueError, "message must be UTF-8"),
        (lambda ws: ws.end(1005), ValueError, "code"),
        (lambda ws: ws.end("1000"), TypeError, "code"),
        (lambda ws: ws.end(1000, {1}), TypeError, "JSON"),
        (lambda ws: ws.end(1000, b"\xff"), ValueError, "message"),
        (lambda ws: ws.subscribe(5), TypeError, "topic"),
        (lambda ws: ws.subscribe("x" * 70000), ValueError, "topic"),
        (lambda ws: ws.publish("t", "x", OpCode.PING), ValueError, "opcode"),
    ],
)
def test_wrong_arguments_are_named(serve: Any, use: Any, error: Any, named: str) -> None:
    def on_message(ws: WebSocket, message: Any, opcode: OpCode) -> None:
        with pytest.raises(error, match=named):
            use(ws)
        ws.send("checked", OpCode.TEXT)

    server = serve(lambda app: app.ws("/", {"message": on_message}))
    with talk(server) as client:
        client.send("go")
        assert client.recv(timeout=10) == "checked"


def test_text_is_utf8_whoever_sends_it(serve: Any) -> None:
    def on_message(ws: WebSocket, message: Any, _: OpCode) -> None:
        # One that would fail the connection of every subscriber.
        with pytest.raises(ValueError, match="message must be UTF-8"):
            server.app.publish("t", message, OpCode.TEXT)
        with pytest.raises(ValueError, match="message must be UTF-8"):
            server.app.publish_here("t", message, OpCode.TEXT)
        assert server.app.publish("t", message, OpCode.BINARY)
        assert server.app.publish("t", "ü".encode(), OpCode.TEXT)
        ws.send_first_fragment(b"\xc3", OpCode.TEXT)
        ws.send_last_fragment(b"\xbc")

    server = serve(lambda app: app.ws("/", {"open": lambda ws: ws.subscribe("t"), "message": on_message}))
    with talk(server) as client:
        client.send(b"\xff")
        assert [client.recv(timeout=10) for _ in range(3)] == [b"\xff", "ü", "ü"]


def test_handlers_that_close_and_unsubscribe_wherever_they_can(serve: Any) -> None:
    def build(app: App) -> None:
        def leave_all(ws: WebSocket) -> None:
            for number in range(50):
                ws.subscribe(f"t{number}")
            ws.for_each_topic(ws.unsubscribe)
            ws.send(str(len(ws.get_topics())), OpCode.TEXT)

        app.ws("/leave", {"open": leave_all})
        app.ws("/close", {"open": lambda ws: ws.close()})
        app.ws("/end", {"open": lambda ws: ws.end(1000)})
        app.ws("/cork", {"message": lambda ws, m, o: ws.cork(lambda ws: (ws.send("a"), ws.close(), ws.send("b")))})

        async def later(ws: WebSocket, message: Any, opcode: OpCode) -> None:
            await asyncio.sleep(0.01)
            ws.cork(lambda ws: (ws.send("a"), ws.end(1000), ws.send("b")))

        app.ws("/later", {"message": later})
        app.ws("/joined", {"open": lambda ws: ws.subscribe("t"), "subscription": lambda ws, *_: ws.close()})
        last = {"open": lambda ws: ws.subscribe("t"), "close": lambda ws, code, message: app.publish("t", "gone", OpCode.TEXT)}
        app.ws("/last", last)

    server = serve(build)
    with talk(server, "/leave") as client:
        assert client.recv(timeout=10) == "0"
    for path, code in (("/close", 1006), ("/end", 1000), ("/cork", 1006), ("/later", 1000), ("/joined", 1006)):
        with talk(server, path) as client:
            with contextlib.suppress(ConnectionClosed):
                client.send("go")
                list(client)
            assert client.close_code == code, path
    with talk(server, "/last") as stays:
        with talk(server, "/last"):
            pass
        assert stays.recv(timeout=10) == "gone"


def test_wrong_upgrades(serve: Any) -> None:
    problems: list[str] = []

    def build(app: App) -> None:
        def upgrade(res: Any, req: Any, context: Any) -> None:
            key = req.get_header("sec-websocket-key")
            for arguments in (
                (key, "", "", None),
                (5, "", "", context),
                ("short", "", "", context),
                (key, "a\r\nb", "", context),
            ):
                with pytest.raises((TypeError, ValueError)) as caught:
                    res.upgrade(*arguments)
                problems.append(str(caught.value))
            res.upgrade(key, "", "", context)
            with pytest.raises(RuntimeError):
                res.upgrade(key, "", "", context)
            with pytest.raises(RuntimeError):
                res.end("too late")

        app.ws("/", {"upgrade": upgrade, "message": lambda ws, m, o: ws.send(m, o)})

    server = serve(build)
    with talk(server) as client:
        client.send("x")
        assert client.recv(timeout=10) == "x"
    assert [problem.split()[0] for problem in problems] == ["socket_context", "sec_web_socket_key", "upgrade:", "upgrade:"]
