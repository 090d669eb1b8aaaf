"""Messages that the native side gives to handlers by itself, and every state in which it must not."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import weakref
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from socketify import App, OpCode, SendStatus, WebSocket


def talk(server: Any, path: str = "/") -> ClientConnection:
    return connect(f"{server.ws_url}{path}", compression=None)


def close_code(client: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(timeout=10)
    return closed.value.rcvd.code if closed.value.rcvd is not None else 1006


def test_handlers_of_every_kind_get_the_members_of_opcode(serve: Any) -> None:
    class Room:
        def on_message(self, ws: WebSocket, message: Any, opcode: OpCode) -> None:
            ws.send(f"{type(message).__name__} {opcode!r}", OpCode.TEXT)

        __call__ = on_message

    room = Room()
    server = serve(
        lambda app: [app.ws(path, {"message": each}) for path, each in (("/bound", room.on_message), ("/object", room))]
    )
    for path in ("/bound", "/object"):
        with talk(server, path) as client:
            client.send("é")
            assert client.recv(timeout=10) == "str <OpCode.TEXT: 1>"
            client.send(b"\xff")
            assert client.recv(timeout=10) == "bytes <OpCode.BINARY: 2>"


@pytest.mark.parametrize("result", [SendStatus.SUCCESS, True, 0, "text", [1], object()])
def test_what_a_handler_returns_means_nothing(serve: Any, result: Any) -> None:
    def on_message(ws: WebSocket, message: Any, opcode: OpCode) -> Any:
        ws.send(message, opcode)
        return result

    server = serve(lambda app: app.ws("/", {"message": on_message}))
    with talk(server) as client:
        for each in ("a", "b"):
            client.send(each)
            assert client.recv(timeout=10) == each


def test_an_error_is_reported_with_its_traceback_and_closes_with_1011(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[BaseException] = []

    def raising(ws: WebSocket, message: str, opcode: OpCode) -> None:
        if message == "end":
            ws.end(1000)
        if message == "cut":
            ws.close()
        raise {"error": ValueError, "end": ValueError, "cut": ValueError, "exit": SystemExit}[message](message)

    def build(app: App) -> None:
        app.on_error(lambda error, res, req: seen.append(error))
        app.ws("/", {"message": raising})

    server = serve(build)
    for message, code in (("error", 1011), ("end", 1000), ("cut", 1006), ("exit", 1011)):
        with talk(server) as client:
            client.send(message)
            assert close_code(client) == code
    assert [str(each) for each in seen] == ["error", "end", "cut", "exit"]
    frames = inspect.getinnerframes(seen[0].__traceback__) if seen[0].__traceback__ is not None else []
    assert frames[-1].function == "raising"


def test_a_handler_that_takes_other_arguments_is_an_error_each_time(serve: Any) -> None:
    seen: list[BaseException] = []

    def build(app: App) -> None:
        app.on_error(lambda error, res, req: seen.append(error))

        def takes_one(ws: Any) -> None:
            """What is around it does not tell what it takes."""

        app.ws("/", {"message": lambda *arguments: takes_one(*arguments)})  # noqa: PLW0108 - that is what it is for

    server = serve(build)
    for _ in range(2):
        with talk(server) as client:
            client.send("x")
            assert close_code(client) == 1011
    assert [type(each) for each in seen] == [TypeError, TypeError]


def test_nothing_reaches_a_handler_after_it_closed(serve: Any) -> None:
    seen: list[str] = []

    def on_message(ws: WebSocket, message: str, opcode: OpCode) -> None:
        seen.append(message)
        ws.end(1000) if message == "end" else ws.close()
        assert ws.send("late") == SendStatus.DROPPED

    server = serve(lambda app: app.ws("/", {"message": on_message}))
    for first in ("end", "close"):
        with talk(server) as client:
            # Both frames in one packet.
            client.socket.sendall(b"".join(frame(each.encode()) for each in (first, "late")))
            close_code(client)
    assert seen == ["end", "close"]


def frame(payload: bytes) -> bytes:
    return bytes((0x81, 0x80 | len(payload), 0, 0, 0, 0)) + payload


def test_messages_behind_a_coroutine_wait_and_those_after_it_do_not(serve: Any) -> None:
    def build(app: App) -> None:
        async def later(ws: WebSocket, message: str) -> None:
            await asyncio.sleep(0.05)
            ws.send(message, OpCode.TEXT)

        def either(ws: WebSocket, message: str, opcode: OpCode) -> Any:
            return later(ws, message) if message.startswith("later") else ws.send(message, opcode)

        app.ws("/", {"message": either})

    server = serve(build)
    with talk(server) as client:
        for _ in range(2):
            sent = ["now", "later", "behind", "later too", "last"]
            client.socket.sendall(b"".join(frame(each.encode()) for each in sent))
            assert [client.recv(timeout=10) for _ in sent] == sent


def test_iteration_that_a_handler_begins_gets_what_comes_after(serve: Any) -> None:
    def build(app: App) -> None:
        async def iterate(ws: WebSocket) -> None:
            async for message in ws:
                ws.send(f"iterated {message}", OpCode.TEXT)

        def on_message(ws: WebSocket, message: str, opcode: OpCode) -> None:
            ws.send(f"handled {message}", opcode)
            if message == "b":
                app.loop.loop.create_task(iterate(ws))
                ws.__aiter__()

        app.ws("/", {"message": on_message})

    server = serve(build)
    with talk(server) as client:
        client.socket.sendall(b"".join(frame(each) for each in (b"a", b"b", b"c")))
        assert [client.recv(timeout=10) for _ in range(3)] == ["handled a", "handled b", "iterated c"]


def test_send_takes_what_the_python_function_takes(serve: Any) -> None:
    class Text(str):
        __slots__ = ()

    def on_message(ws: Any, message: Any, opcode: OpCode) -> None:
        ws.send(message="keyword", opcode=OpCode.TEXT)
        ws.send("positional", OpCode.TEXT, False, True)
        ws.send("number", 1)
        ws.send(Text("derived"), OpCode.TEXT)
        ws.send({"a": 1}, OpCode.TEXT)
        ws.send(bytearray(b"array"))
        ws.send(None)
        bound = ws.send
        bound("bound €", OpCode.TEXT)
        type(ws).send(ws, "unbound", OpCode.TEXT)
        for arguments, names in (((), {}), (("x",) * 6, {}), (("x",), {"unknown": 1}), (("x",), {"message": "x"})):
            with pytest.raises(TypeError):
                ws.send(*arguments, **names)
        with pytest.raises(UnicodeEncodeError):
            ws.send("\ud800", OpCode.TEXT)
        with pytest.raises(UnicodeEncodeError):
            ws.publish("t", "\ud800", OpCode.TEXT)
        ws.send_first_fragment("a")
        with pytest.raises(ValueError, match="opcode"):
            ws.send("between")
        ws.send_last_fragment("b")

    server = serve(lambda app: app.ws("/", {"message": on_message}))
    with talk(server) as client:
        client.send("go")
        texts = ["keyword", "positional", "number", "derived", '{"a": 1}']
        expected = [*texts, b"array", b"", "bound €", "unbound", b"ab"]
        assert [client.recv(timeout=10) for _ in expected] == expected


def test_send_is_described_as_it_was() -> None:
    assert WebSocket.send.__name__ == "send"
    assert (WebSocket.send.__doc__ or "").startswith("Send a message.")
    assert list(inspect.signature(WebSocket.send).parameters) == ["self", "message", "opcode", "compress", "fin"]
    for wrong in (object(), None, App):
        with pytest.raises((TypeError, AttributeError)):
            WebSocket.send(wrong, "x")  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        WebSocket.__new__(WebSocket).send("x")


def test_publishing_tells_whether_there_was_anybody(serve: Any) -> None:
    told: list[Any] = []

    def build(app: App) -> None:
        def on_message(ws: WebSocket, message: Any, opcode: OpCode) -> None:
            told.append([app.publish("nobody", message), ws.publish("nobody", message)])
            ws.subscribe("é")
            told.append([app.publish("é", message, opcode), ws.publish("é", message, opcode), app.publish("é", [1], 1)])
            told.append([ws.publish("é", message * size, opcode, exclude_self=True) for size in (1, 100_000)])
            told.append([ws.publish("é", [2], opcode, exclude_self=exclude_self) for exclude_self in (True, False)])
            for wrong, error in (
                ((5, "x"), TypeError),
                (("é", "x", OpCode.PING), ValueError),
                (("x" * 65536, "x"), ValueError),
            ):
                for publish in (app.publish, ws.publish):
                    with pytest.raises(error):
                        publish(*wrong)

        app.ws("/", {"message": on_message})

    server = serve(build)
    with talk(server) as client:
        client.send("hi")
        assert [client.recv(timeout=10) for _ in range(4)] == ["hi", "hi", "[1]", "[2]"]
    assert told == [[False, False], [True, True, True], [False, False], [False, True]]


@pytest.mark.skipif(not hasattr(sys, "getrefcount"), reason="needs reference counts")
def test_no_object_outlives_many_connections(serve: Any) -> None:
    held: weakref.WeakSet[WebSocket] = weakref.WeakSet()
    payload, topic = b"p" * 2000, "a topic of some length"
    counted = (None, OpCode.TEXT, OpCode.BINARY, SendStatus.SUCCESS, payload, topic)

    def build(app: App) -> None:
        def on_message(ws: WebSocket, message: Any, opcode: OpCode) -> Any:
            held.add(ws)
            ws.send(payload)
            app.publish(topic, payload)
            if message == "raise":
                raise ValueError(message)
            return ws.end() if message == "end" else ws.close() if message == "cut" else ws.send(message, opcode)

        app.on_error(lambda error, res, req: None)
        app.ws("/", {"message": on_message, "open": lambda ws: ws.subscribe(topic)})

    server = serve(build)

    def visit() -> None:
        for last in ("raise", "end", "cut", "leave"):
            with talk(server) as client:
                for _ in range(20):
                    client.send("x")
                for _ in range(60):
                    client.recv(timeout=10)
                client.send(last)

    visit()
    gc.collect()
    before = [sys.getrefcount(each) for each in counted]
    for _ in range(5):
        visit()
    gc.collect()
    after = [sys.getrefcount(each) for each in counted]
    # 400 messages and 20 connections later.
    assert all(b - a < 40 for a, b in zip(before[1:], after[1:])), (before, after)
    assert after[0] - before[0] < 400
    assert not server.app.websocket_routes.live
    assert len(held) <= len(server.app.websocket_routes.pool) + 1
