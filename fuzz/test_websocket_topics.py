"""Publish and subscribe against a model: every subscriber gets what was published while it was subscribed, in order, exactly
once, and nobody else does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from app_servers import Server
from hypothesis import given
from hypothesis import strategies as st
from memory_broker import Hub, MemoryBroker
from websockets.exceptions import ConnectionClosedOK
from websockets.sync.client import connect

from socketify import OpCode

TOPICS = ["a", "b", "topic/c"]
CLIENTS = 5

topics = st.sampled_from(TOPICS)
clients = st.integers(0, CLIENTS - 1)
# Publishing one after the other exercises batches; 20 KB goes past the batches, and `repeat` beyond their limit of 32.
operations = st.one_of(
    st.tuples(st.just("subscribe"), clients, topics),
    st.tuples(st.just("subscribe"), clients, topics),
    st.tuples(st.just("unsubscribe"), clients, topics),
    st.tuples(st.just("publish"), clients, topics, st.sampled_from([0, 0, 20_000]), st.sampled_from([1, 1, 3, 70])),
    st.tuples(st.just("publish_others"), clients, topics, st.sampled_from([0, 0, 20_000]), st.sampled_from([1, 1, 3, 70])),
    st.tuples(st.just("publish_app"), clients, topics, st.sampled_from([0, 0, 20_000]), st.sampled_from([1, 1, 3, 70])),
    st.tuples(st.just("send"), clients),
    st.tuples(st.just("fragments"), clients, topics),
    st.tuples(st.just("close"), clients),
)


class Sockets:
    """The server's side: every client sends commands, and the server does them in the order of one connection, the pilot's."""

    def __init__(self) -> None:
        self.broker: Any = None
        self.by_name: dict[int, Any] = {}
        self.app: Any = None

    def build(self, app: Any) -> None:
        self.app = app
        behavior = {
            "upgrade": self.upgrade,
            "open": lambda ws: self.by_name.__setitem__(ws.get_user_data(), ws),
            "close": lambda ws, code, message: self.by_name.pop(ws.get_user_data(), None),
            "message": self.command,
            "max_backpressure": 100 * 1024 * 1024,
        }
        app.ws("/:name", behavior)

    def upgrade(self, res: Any, req: Any, context: Any) -> None:
        res.upgrade(req.get_header("sec-websocket-key"), "", "", context, int(req.get_parameter(0)))

    def command(self, pilot: Any, message: Any, opcode: OpCode) -> None:
        serial = 0
        for operation in eval(message):
            name, ws = operation[0], self.by_name.get(operation[1])
            if name == "publish_app":
                _, _, topic, size, repeat = operation
                for _ in range(repeat):
                    self.app.publish(topic, f"{serial}:{topic}:{'x' * size}", OpCode.TEXT)
                    serial += 1
            elif name in ("publish", "publish_others"):
                _, _, topic, size, repeat = operation
                for _ in range(repeat):
                    if ws is not None:
                        message = f"{serial}:{topic}:{'x' * size}"
                        ws.publish(topic, message, OpCode.TEXT, exclude_self=name == "publish_others")
                    serial += 1
            elif ws is None:
                continue
            elif name == "send":
                ws.send(f"{serial}:direct:", OpCode.TEXT)
                serial += 1
            elif name == "fragments":
                ws.send_first_fragment(f"{serial}:", OpCode.TEXT)
                self.app.publish(operation[2], f"{serial + 1}:{operation[2]}:", OpCode.TEXT)
                ws.send_last_fragment("fragments:")
                serial += 2
            elif name == "close":
                ws.end(1000)
            else:
                getattr(ws, name)(operation[2])
        for ws in self.by_name.values():
            ws.send("end", OpCode.TEXT)

    def topics_here(self) -> set[str]:
        return set() if self.broker is None else {topic for topic in TOPICS if self.app.num_subscribers(topic)}

    def topics_at_broker(self) -> set[str]:
        if self.broker is None:
            return set()
        assert asyncio.run_coroutine_threadsafe(self.app.flush_topics(), self.app.loop.loop).result(10)
        return {topic for topic in self.broker.topics if not topic.startswith("$socketify.")}


def expected(script: list[Any]) -> tuple[list[list[str]], list[bool]]:
    """Give what every client gets, and whether it is still connected at the end."""
    inboxes: list[list[str]] = [[] for _ in range(CLIENTS)]
    subscribed: list[set[str]] = [set() for _ in range(CLIENTS)]
    alive = [True] * CLIENTS
    serial = 0
    for operation in script:
        name, client = operation[0], operation[1]
        if name.startswith("publish"):
            _, _, topic, size, repeat = operation
            may = name == "publish_app" or alive[client]
            for _ in range(repeat):
                for other in range(CLIENTS):
                    if may and topic in subscribed[other] and not (name == "publish_others" and other == client):
                        inboxes[other].append(f"{serial}:{topic}:{'x' * size}")
                serial += 1
        elif not alive[client]:
            continue
        elif name == "send":
            inboxes[client].append(f"{serial}:direct:")
            serial += 1
        elif name == "fragments":
            # The message in fragments began first, so it is complete before what was published meanwhile.
            inboxes[client].append(f"{serial}:fragments:")
            for other in range(CLIENTS):
                if operation[2] in subscribed[other]:
                    inboxes[other].append(f"{serial + 1}:{operation[2]}:")
            serial += 2
        else:
            change(name, operation, alive, subscribed)
    return inboxes, alive


def change(name: str, operation: Any, alive: list[bool], subscribed: list[set[str]]) -> None:
    client = operation[1]
    if name == "close":
        alive[client] = False
        subscribed[client] = set()
    elif name == "subscribe":
        subscribed[client].add(operation[2])
    else:
        subscribed[client].discard(operation[2])


@pytest.fixture(scope="module", params=["no pool", "pool", "broker"])
def sockets(request: Any) -> Iterator[Any]:
    sockets = Sockets()
    sockets.broker = MemoryBroker(Hub(), echoes=True) if request.param == "broker" else None
    pool_items = 4 if request.param == "pool" else 0
    server = Server(sockets.build, websocket_factory_max_items=pool_items, broker=sockets.broker or "none")
    sockets.url = f"ws://127.0.0.1:{server.port}"
    yield sockets
    server.stop()


@given(script=st.lists(operations, max_size=40))
def test_delivery(sockets: Any, script: list[Any]) -> None:
    inboxes, alive = expected(script)
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(connect(f"{sockets.url}/{name}", compression=None)) for name in range(CLIENTS)]
        pilot = stack.enter_context(connect(f"{sockets.url}/{CLIENTS}", compression=None))
        for peer in peers:
            assert peer.ping().wait(10)
        pilot.send(repr(script))
        assert pilot.recv(timeout=10) == "end"
        assert sockets.topics_at_broker() == sockets.topics_here()
        for peer, inbox, lives in zip(peers, inboxes, alive):
            received = []
            with contextlib.suppress(ConnectionClosedOK):
                while (message := peer.recv(timeout=10)) != "end":
                    received.append(message)
                assert lives
            assert received == inbox
    assert sockets.app.num_subscribers("a") == 0
    assert sockets.topics_at_broker() == set()
