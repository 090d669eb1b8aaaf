"""Who is on a topic, of a single process and of several that share a broker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from app_servers import Server
from broker_servers import SERVERS
from memory_broker import Hub, MemoryBroker
from server_programs import Program
from waiting import wait_until
from websocket_client import open_
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from socketify import App, OpCode, WebSocket
from socketify.topics import shared_presence


class Site:
    """A served app whose clients say who they are by their paths, and what they join and leave."""

    def __init__(self, serve: Any, **options: Any) -> None:
        self.events: list[tuple[str, list[Any], list[Any]]] = []
        self.server: Server = serve(self._build, **options)

    def _build(self, app: App) -> None:
        def upgrade(res: Any, req: Any, context: Any) -> None:
            res.upgrade(req.get_header("sec-websocket-key"), None, None, context, req.get_parameter(0))

        def on_message(ws: WebSocket, message: str, _opcode: OpCode) -> None:
            verb, _, topic = message.partition(" ")
            getattr(ws, verb)(topic)
            ws.send("done", OpCode.TEXT)

        def presence(ws: WebSocket) -> Any:
            name = ws.get_user_data()
            return {"name": name} if name != "nobody" else None

        app.ws("/:name", {"upgrade": upgrade, "message": on_message, "presence": presence})
        app.on_presence(lambda *event: self.events.append(event))

    def open(self, name: str) -> ClientConnection:
        return open_(self.server, f"/{name}")

    def on_loop(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.server.app.loop.loop).result(10)  # type: ignore[union-attr]

    def names(self, topic: str, timeout: float = 5) -> list[str]:
        return sorted(each["name"] for each in self.on_loop(self.server.app.presence(topic, timeout)))  # type: ignore[union-attr]

    def told(self, topic: str) -> tuple[list[str], list[str]]:
        """Who joined and left a topic, as handlers were told, in order."""
        joined, left = [], []
        for name, came, went in list(self.events):
            if name == topic:
                joined += [each["name"] for each in came]
                left += [each["name"] for each in went]
        return joined, left


def say(client: ClientConnection, command: str) -> None:
    client.send(command)
    assert client.recv(timeout=10) == "done"


def meet(here: Site, ann: ClientConnection, bob: ClientConnection) -> None:
    """Let two join, the second when it will be told."""
    say(ann, "subscribe room")
    assert here.names("room") == here.told("room")[0] == ["ann"]
    say(bob, "subscribe room")
    wait_until(lambda: here.told("room")[0] == ["ann", "bob"])


def test_one_process(serve: Any) -> None:
    site = Site(serve)
    with site.open("ann") as ann, site.open("bob") as bob, site.open("nobody") as nobody:
        for client in (ann, bob, nobody):
            say(client, "subscribe room")
        say(ann, "subscribe other")
        say(ann, "subscribe other")
        assert (site.names("room"), site.names("other"), site.names("third")) == (["ann", "bob"], ["ann"], [])
        say(bob, "unsubscribe room")
        assert site.names("room") == ["ann"]
    wait_until(lambda: site.told("other")[1])
    assert site.told("room") == (["ann", "bob"], ["bob", "ann"])
    assert site.told("other") == (["ann"], ["ann"])
    assert site.names("room") == []


def test_who_comes_and_goes_at_once_is_not_told(serve: Any) -> None:
    events: list[Any] = []

    def on_message(ws: WebSocket, message: str, _opcode: OpCode) -> None:
        for topic in "ab":
            ws.subscribe(topic)
        ws.unsubscribe("a")
        ws.send("done")

    def build(app: App) -> None:
        app.ws("/", {"message": on_message, "presence": lambda _ws: [1, {"é": None}]})

        @app.on_presence
        async def changed(topic: str, joined: list[Any], left: list[Any]) -> None:
            await asyncio.sleep(0)
            events.append((topic, joined, left))

    with open_(serve(build)) as client:
        client.send("x")
        assert client.recv(timeout=10) == b"done"
        wait_until(lambda: events)
        assert events == [("b", [[1, {"é": None}]], [])]


def test_handlers_tell_the_websockets_of_their_process(serve: Any) -> None:
    def build(app: App) -> None:
        app.ws("/:name", {"open": lambda ws: ws.subscribe("room"), "presence": lambda ws: "somebody"})

        @app.on_presence
        def changed(topic: str, joined: list[Any], left: list[Any]) -> None:
            assert app.publish_here(topic, json.dumps([joined, left]), OpCode.TEXT)

    hub = Hub()
    one, two = (serve(build, broker=MemoryBroker(hub)) for _ in range(2))
    with open_(one, "/a") as first:
        assert json.loads(first.recv(timeout=10)) == [["somebody"], []]
        with open_(two, "/b") as second:
            assert json.loads(first.recv(timeout=10)) == [["somebody"], []]
            assert json.loads(second.recv(timeout=10)) == [["somebody"], []]
        assert json.loads(first.recv(timeout=10)) == [[], ["somebody"]]


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), b"bytes"])
def test_what_is_no_json(serve: Any, value: Any) -> None:
    errors: list[BaseException] = []

    def build(app: App) -> None:
        app.ws("/", {"open": lambda ws: ws.subscribe("t"), "presence": lambda _ws: value})
        app.on_error(lambda error, _res, _req: errors.append(error))

    server = serve(build)
    with open_(server) as client:
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=10)
        assert client.close_code == 1011
    assert str(errors[0]).startswith("what presence says of a websocket must be JSON: ")
    assert asyncio.run_coroutine_threadsafe(server.app.presence("t"), server.app.loop.loop).result(10) == []


@pytest.mark.parametrize("how", ["unsubscribe", "end", "close", "raise"])
def test_who_is_gone_when_it_is_described_stays_unseen(serve: Any, how: str) -> None:
    events: list[Any] = []

    def presence(ws: WebSocket) -> str:
        if how == "unsubscribe":
            ws.unsubscribe("t")
        elif how == "end":
            ws.end(4000)
        elif how == "close":
            ws.close()
        else:
            raise ZeroDivisionError
        return "ghost"

    def build(app: App) -> None:
        app.ws("/", {"open": lambda ws: ws.subscribe("t") and ws.send("open"), "presence": presence})
        app.on_presence(lambda *event: events.append(event))
        app.on_error(lambda error, _res, _req: None)

    server = serve(build)
    with open_(server) as client, contextlib.suppress(ConnectionClosed):
        client.recv(timeout=10)
    assert asyncio.run_coroutine_threadsafe(server.app.presence("t"), server.app.loop.loop).result(10) == []
    assert events == []


def test_misuse(serve: Any) -> None:
    async def waits(ws: WebSocket) -> None:
        """Wait for nothing."""

    errors: list[BaseException] = []

    def build(app: App) -> None:
        app.ws("/", {"open": lambda ws: ws.subscribe("t"), "presence": waits})
        app.on_error(lambda error, _res, _req: errors.append(error))
        with pytest.raises(ValueError, match="presence must be a function, not 1"):
            app.ws("/x", {"presence": 1})
        with pytest.raises(TypeError, match="a presence handler must be callable"):
            app.on_presence(None)  # type: ignore[type-var]

    server = serve(build)
    with open_(server) as client, pytest.raises(ConnectionClosed):
        client.recv(timeout=10)
    assert str(errors[0]) == "presence must be a function that does not wait"
    with pytest.raises(RuntimeError, match="presence must be awaited in the loop that serves the app"):
        asyncio.run(server.app.presence("t"))

    async def wrong(*arguments: Any) -> Any:
        with pytest.raises((TypeError, ValueError), match=r"topic|timeout"):
            await server.app.presence(*arguments)

    for arguments in ((1,), ("x" * 70_000,), ("t", -1), ("t", None)):
        asyncio.run_coroutine_threadsafe(wrong(*arguments), server.app.loop.loop).result(10)


# ---- several processes


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked every few seconds is asked more often."""
    monkeypatch.setattr(shared_presence, "_ASK_AGAIN_SECONDS", 0.2)
    monkeypatch.setattr(shared_presence, "_ANSWER_SECONDS", 1.0)


@pytest.fixture(params=[False, True], ids=["no echo", "echo"])
def brokers(request: Any) -> list[MemoryBroker]:
    hub = Hub()
    return [MemoryBroker(hub, echoes=request.param) for _ in range(2)]


def test_several_processes(serve: Any, brokers: list[MemoryBroker]) -> None:
    here, there = (Site(serve, broker=broker) for broker in brokers)
    with here.open("ann") as ann:
        with there.open("bob") as bob, there.open("cid") as cid:
            meet(here, ann, bob)
            say(cid, "subscribe room")
            wait_until(lambda: here.told("room")[0] == ["ann", "bob", "cid"])
            assert here.names("room") == there.names("room") == ["ann", "bob", "cid"]
            # Who was there before is not told, but known.
            assert "ann" not in there.told("room")[0]
            say(cid, "unsubscribe room")
            wait_until(lambda: here.told("room")[1] == ["cid"])
            assert here.names("room") == there.names("room") == ["ann", "bob"]
        wait_until(lambda: here.told("room")[1] == ["cid", "bob"])
        wait_until(lambda: there.names("room") == ["ann"])
        # A process without members on a topic hears nothing of it.
        say(ann, "unsubscribe room")
        wait_until(lambda: here.told("room")[1] == ["cid", "bob", "ann"])
        assert "ann" not in there.told("room")[1]


def test_what_is_lost_comes_later(serve: Any, brokers: list[MemoryBroker], quickly: None) -> None:
    here, there = (Site(serve, broker=broker) for broker in brokers)
    with here.open("ann") as ann, there.open("bob") as bob, there.open("cid") as cid:
        meet(here, ann, bob)
        brokers[1].refused = {"$socketify.presence.room"}
        say(bob, "unsubscribe room")
        say(cid, "subscribe room")
        wait_until(lambda: here.told("room") == (["ann", "bob", "cid"], ["bob"]))
        brokers[1].refused = set()
        say(bob, "subscribe room")
        wait_until(lambda: here.told("room")[0] == ["ann", "bob", "cid", "bob"])
        # The connection is lost, and with it what is told meanwhile.
        brokers[0].hub.cut(brokers[0])
        say(bob, "unsubscribe room")
        say(cid, "unsubscribe room")
        wait_until(lambda: sorted(here.told("room")[1]) == ["bob", "bob", "cid"])


def test_a_process_that_is_silent_and_comes_back(serve: Any, brokers: list[MemoryBroker], quickly: None) -> None:
    here, there = (Site(serve, broker=broker) for broker in brokers)
    with here.open("ann") as ann, there.open("bob") as bob:
        meet(here, ann, bob)
        loop = there.server.app.loop.loop  # type: ignore[union-attr]
        loop.call_soon_threadsafe(time.sleep, 2.5)
        wait_until(lambda: here.told("room")[1] == ["bob"])
        wait_until(lambda: here.told("room")[0] == ["ann", "bob", "bob"])
        assert here.names("room") == ["ann", "bob"]


def test_a_process_that_stops(serve: Any, brokers: list[MemoryBroker]) -> None:
    here, there = (Site(serve, broker=broker) for broker in brokers)
    with here.open("ann") as ann, there.open("bob") as bob:
        meet(here, ann, bob)
        there.server.app.close()  # type: ignore[union-attr]
        wait_until(lambda: here.told("room")[1] == ["bob"])


KILLED = """
import sys
from socketify import App
app = App(broker=sys.argv[1])
app.ws("/", {"open": lambda ws: ws.subscribe("room") and ws.send("ready"), "presence": lambda ws: {"name": "of the other"}})
app.listen(0, lambda config: print(config.port, flush=True))
app.run()
"""


def test_a_process_that_is_killed(serve: Any, tmp_path: Path, quickly: None) -> None:
    place = f"local://{tmp_path}"
    here = Site(serve, broker=place)
    text = f"import sys; sys.argv.append({place!r})\n{KILLED}"
    with here.open("ann") as ann, Program(text) as other, connect(f"ws://127.0.0.1:{other.port}/") as client:
        say(ann, "subscribe room")
        assert client.recv(timeout=10) == b"ready"
        wait_until(lambda: here.names("room") == ["ann", "of the other"])
        other.send_signal(signal.SIGKILL)
        wait_until(lambda: here.told("room")[1] == ["of the other"])
        assert here.names("room") == ["ann"]


@pytest.mark.parametrize("kind", ["redis", "nats"])
def test_a_server_that_is_killed_and_started_again(serve: Any, kind: str, quickly: None) -> None:
    pytest.importorskip(kind)
    with SERVERS[kind]() as server:
        here, there = (Site(serve, broker=server.url()) for _ in range(2))
        with here.open("ann") as ann, there.open("bob") as bob, there.open("cid") as cid:
            meet(here, ann, bob)
            server.kill()
            say(bob, "unsubscribe room")
            say(cid, "subscribe room")
            assert here.names("other") == []
            server.start()
            wait_until(lambda: (here.told("room")[0][-1], here.told("room")[1][-1:]) == ("cid", ["bob"]), 20)
            wait_until(lambda: here.names("room") == there.names("room") == ["ann", "cid"])
        for site in (here, there):
            site.server.stop()


def test_garbage_of_other_programs(serve: Any) -> None:
    hub = Hub()
    here, there = (Site(serve, broker=MemoryBroker(hub)) for _ in range(2))
    with here.open("ann") as ann, there.open("bob") as bob:
        say(ann, "subscribe room")
        publish = here.server.app.topics.messenger  # type: ignore[union-attr]
        loop = here.server.app.loop.loop  # type: ignore[union-attr]
        for data in (
            b"",
            b"x",
            b"[]",
            b"{}",
            b'{"from": 1}',
            b'{"from": "a", "before": "x", "after": 1, "joined": [], "left": {}}',
        ):
            loop.call_soon_threadsafe(publish.tell, "presence.room", data)
        for about in (None, 1, [1], {"room": 1}, {"room": {}, "x": None}):
            here.on_loop(there_asked(here, about))
        say(bob, "subscribe room")
        wait_until(lambda: here.names("room") == there.names("room") == ["ann", "bob"])


async def there_asked(site: Site, about: Any) -> None:
    await site.server.app.topics.questions.ask("presence", about, 5)  # type: ignore[union-attr]
