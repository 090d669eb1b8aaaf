"""Apps that share their topics by a broker."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from app_servers import Server
from memory_broker import Hub, MemoryBroker
from websocket_client import open_
from websockets.sync.client import ClientConnection

from socketify import App, OpCode, WebSocket


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def build(app: App) -> None:
    def on_message(ws: WebSocket, message: str, _opcode: OpCode) -> None:
        verb, _, topic = message.partition(" ")
        if verb == "publish":
            ws.publish(topic, f"of {topic}", OpCode.TEXT)
        elif verb == "others":
            ws.publish(topic, f"others of {topic}", OpCode.TEXT, exclude_self=True)
        else:
            getattr(ws, verb)(topic)
        ws.send("done")

    app.ws("/", {"message": on_message})


def on_loop(server: Server, coroutine: Any) -> Any:
    assert server.app is not None
    return asyncio.run_coroutine_threadsafe(coroutine, server.app.loop.loop).result(10)


def tell(server: Server, client: ClientConnection, command: str) -> list[Any]:
    """Send a command, and return what arrives before it was done; the broker has it then."""
    client.send(command)
    got = []
    while (message := client.recv(timeout=10)) != b"done":
        got.append(message)
    assert on_loop(server, server.app.flush_topics())
    return got


@pytest.fixture(params=[False, True], ids=["no echo", "echo"])
def shared(request: Any, serve: Any) -> Any:
    hub = Hub()
    brokers = [MemoryBroker(hub, echoes=request.param) for _ in range(2)]
    return hub, brokers, [serve(build, broker=broker) for broker in brokers]


def test_publications_reach_subscribers_everywhere_once(shared: Any) -> None:
    _, _, (here, there) = shared
    with open_(here) as one, open_(here) as two, open_(there) as three:
        for server, client in (here, one), (here, two), (there, three):
            assert tell(server, client, "subscribe news") == []
        assert tell(here, one, "publish news") == ["of news"]
        for client in two, three:
            assert client.recv(timeout=10) == "of news"
        assert tell(here, one, "others news") == []
        for client in two, three:
            assert client.recv(timeout=10) == "others of news"
        assert here.app.publish("news", b"\xff bytes")
        assert there.app.publish("news", {"a": 1}, OpCode.TEXT, compress=True)
        for client in one, two, three:
            assert sorted([client.recv(timeout=10), client.recv(timeout=10)], key=repr) == ['{"a": 1}', b"\xff bytes"]
        assert tell(here, one, "unsubscribe news") == []
        assert tell(there, three, "publish news") == ["of news"]
        assert two.recv(timeout=10) == "of news"
        assert tell(here, one, "subscribe other") == []
    wait_for(lambda: here.app.broker_counters.published == 3)
    assert here.app.broker_counters.delivered == 2
    assert there.app.broker_counters._replace(lag=0) == (2, 3, 0, 0, 0)
