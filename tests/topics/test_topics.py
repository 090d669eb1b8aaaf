"""Topics: who is subscribed, what is published to them, and from where."""

from __future__ import annotations

import asyncio
from typing import Any

from waiting import wait_until
from websocket_client import open_
from websockets.sync.client import ClientConnection

from socketify import App, OpCode, WebSocket


def test_topics(serve: Any) -> None:
    events: list[Any] = []

    def build(app: App) -> None:
        def on_message(ws: WebSocket, message: str, opcode: OpCode) -> None:
            verb, _, topic = message.partition(" ")
            if verb == "join":
                ws.subscribe(topic)
            elif verb == "leave":
                ws.unsubscribe(topic)
            elif verb == "app":
                app.publish(topic, "to all", OpCode.TEXT)
            elif verb == "others":
                ws.publish(topic, "to others", OpCode.TEXT, exclude_self=True)
            elif verb == "ws":
                ws.publish(topic, "of a websocket", OpCode.TEXT)
            ws.send(f"{sorted(ws.get_topics())} {app.num_subscribers(topic)} {ws.is_subscribed(topic)}", OpCode.TEXT)

        def on_subscription(ws: WebSocket, topic: str, count: int, before: int) -> None:
            events.append((topic, count, before))

        app.ws("/", {"message": on_message, "subscription": on_subscription})

    server = serve(build)
    with open_(server) as one, open_(server) as two:

        def say(client: ClientConnection, text: str) -> list[Any]:
            client.send(text)
            answers = []
            while True:
                answers.append(client.recv(timeout=10))
                if answers[-1].startswith("["):
                    return answers

        assert say(one, "join a") == ["['a'] 1 True"]
        assert say(one, "join b") == ["['a', 'b'] 1 True"]
        assert say(two, "join a") == ["['a'] 2 True"]
        assert say(one, "app a") == ["to all", "['a', 'b'] 2 True"]
        assert two.recv(timeout=10) == "to all"
        assert say(one, "others a") == ["['a', 'b'] 2 True"]
        assert two.recv(timeout=10) == "to others"
        assert say(one, "ws a") == ["of a websocket", "['a', 'b'] 2 True"]
        assert two.recv(timeout=10) == "of a websocket"
        assert say(two, "ws b") == ["['a'] 1 False"]
        assert one.recv(timeout=10) == "of a websocket"
        assert say(two, "others b") == ["['a'] 1 False"]
        assert one.recv(timeout=10) == "to others"
        assert say(two, "leave a") == ["[] 1 False"]
    wait_until(lambda: len(events) == 6)
    assert events[:4] == [("a", 1, 0), ("b", 1, 0), ("a", 2, 1), ("a", 1, 2)]
    assert sorted(events[4:]) == [("a", 0, 1), ("b", 0, 1)]


def test_publish_from_anywhere(serve: Any) -> None:
    def build(app: App) -> None:
        app.ws("/", {"open": lambda ws: ws.subscribe("news") and ws.send("ready")})

    server = serve(build)
    with open_(server) as client:
        assert client.recv(timeout=10) == b"ready"
        assert server.app.publish("news", "from a thread", OpCode.TEXT)
        assert client.recv(timeout=10) == "from a thread"

        async def ticker() -> None:
            await asyncio.sleep(0.01)
            for number in range(100):
                assert server.app.publish("news", {"number": number}, OpCode.TEXT)

        asyncio.run_coroutine_threadsafe(ticker(), server.app.loop.loop).result(10)
        for number in range(100):
            assert client.recv(timeout=10) == f'{{"number": {number}}}'
        server.app.publish("news", "big" * 20000, OpCode.TEXT)
        assert client.recv(timeout=10) == "big" * 20000
