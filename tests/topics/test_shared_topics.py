"""Apps that share their topics by a broker."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from app_servers import Server
from memory_broker import Hub, MemoryBroker
from waiting import wait_until
from websocket_client import open_
from websockets.sync.client import ClientConnection

from socketify import App, BrokerError, OpCode, WebSocket
from socketify.topics.brokers import schemes


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
    wait_until(lambda: here.app.broker_counters.published == 3)
    assert here.app.broker_counters.delivered == 2
    assert there.app.broker_counters._replace(lag=0) == (2, 3, 0, 0, 0)


def test_reserved_topics_are_refused(shared: Any) -> None:
    refused: list[str] = []

    def on_message(ws: WebSocket, message: str, _opcode: OpCode) -> None:
        for use in (ws.subscribe, lambda topic: ws.publish(topic, "x"), lambda topic: here.app.publish(topic, "x")):
            with pytest.raises(ValueError, match="must not begin with") as raised:
                use(message)
            refused.append(str(raised.value))
        ws.send("done")

    _, _, (here, _) = shared
    on_loop(here, call(here.app.ws, "/reserved", {"message": on_message}))
    with open_(here, "/reserved") as client:
        client.send("$socketify.all")
        assert client.recv(timeout=10) == b"done"
    with pytest.raises(ValueError, match="must not begin with"):
        here.app.publish("$socketify.all", "from another thread", compress=True)
    assert len(refused) == 3


async def call(function: Any, *arguments: Any) -> Any:
    return function(*arguments)


def test_subscribers_of_all_processes_are_counted(serve: Any) -> None:
    hub = Hub()
    servers = [serve(build, broker=MemoryBroker(hub)) for _ in range(3)]
    here, there, _ = servers
    with open_(here) as one, open_(there) as two, open_(there) as three:
        for server, client in (here, one), (there, two), (there, three):
            tell(server, client, "subscribe topic")
        began = time.monotonic()
        for server in servers:
            assert on_loop(server, server.app.count_subscribers("topic", 10)) == 3
            assert on_loop(server, server.app.count_subscribers("nobody", 10)) == 0
            assert server.app.num_subscribers("topic") == {here: 1, there: 2}.get(server, 0)
        # Nobody waits for the end of the time.
        assert time.monotonic() - began < 5
        hub.stop()
        wait_until(lambda: not here.app.topics.relay.is_connected)
        assert on_loop(here, here.app.count_subscribers("topic")) == 1
        hub.is_away = False


def test_a_process_that_does_not_answer_is_waited_for_once(serve: Any) -> None:
    hub = Hub()
    here, there = (serve(build, broker=MemoryBroker(hub)) for _ in range(2))
    wait_until(lambda: here.app.topics.peers.heard)
    with open_(here) as client:
        tell(here, client, "subscribe topic")
        # As if it was killed.
        hub.connected = [each for each in hub.connected if each is not there.app.topics.relay._broker]
        gone: list[str] = []
        here.app.topics.peers.on_gone.append(gone.append)
        assert on_loop(here, here.app.count_subscribers("topic", 0.3)) == 1
        began = time.monotonic()
        assert on_loop(here, here.app.count_subscribers("topic", 10)) == 1
        assert time.monotonic() - began < 5
        # It may be slow, and still be there.
        assert gone == []


def test_who_leaves_says_goodbye(serve: Any) -> None:
    hub = Hub()
    here, there = (Server(build, broker=MemoryBroker(hub)) for _ in range(2))
    heard, gone = [], []
    here.app.topics.peers.on_heard.append(heard.append)
    here.app.topics.peers.on_gone.append(gone.append)
    wait_until(lambda: here.app.topics.peers.heard)
    name = there.app.topics.peers.name
    assert list(here.app.topics.peers.heard) == [name]
    there.stop()
    wait_until(lambda: gone == [name])
    here.stop()
    assert heard in ([], [name])


def test_without_a_broker_this_process_is_all(serve: Any) -> None:
    server = serve(build)
    with open_(server) as client:
        client.send("subscribe topic")
        assert client.recv(timeout=10) == b"done"
        assert on_loop(server, server.app.count_subscribers("topic")) == 1
        assert on_loop(server, server.app.flush_topics()) is True
    assert server.app.broker_counters == (0, 0, 0, 0, 0)


@pytest.mark.parametrize("broker", [False, True])
def test_wrong_arguments_of_what_waits(serve: Any, broker: bool) -> None:
    server = serve(build, broker=MemoryBroker(Hub()) if broker else None)
    for ask in (lambda timeout: server.app.count_subscribers("t", timeout), server.app.flush_topics):
        for timeout in (-1, "1", float("nan")):
            with pytest.raises(ValueError, match="timeout must be a number of seconds"):
                on_loop(server, ask(timeout))
        with pytest.raises(RuntimeError, match="must be awaited in the loop that serves the app"):
            asyncio.run(ask(1))
    with pytest.raises(TypeError, match="topic must be str or bytes"):
        on_loop(server, server.app.count_subscribers(5))


def test_flushing_takes_no_longer_than_its_time(serve: Any) -> None:
    broker = MemoryBroker(Hub())
    server = serve(build, broker=broker)
    assert on_loop(server, server.app.flush_topics())
    broker.may_go_on = on_loop(server, call(asyncio.Event))
    server.app.publish("topic", "x")
    assert on_loop(server, server.app.flush_topics(0.05)) is False
    on_loop(server, call(broker.may_go_on.set))
    assert on_loop(server, server.app.flush_topics())


def test_a_broker_is_a_url_or_has_its_methods() -> None:
    for broker, error, match in (
        (5, TypeError, "broker must be a URL or a Broker: int has no echoes"),
        ("nothing", ValueError, "broker must be a URL that begins with one of local, redis"),
        ("http://user:secret@x", ValueError, "not 'http://x'"),
        ("http://user:sec?ret:secret@x?password=secret", ValueError, "not 'http://x'"),
        ("redis://user:sec?secret@x", ValueError, "a question mark in the password"),
    ):
        with pytest.raises(error, match=match) as raised:
            App(broker=broker)
        assert "secret" not in str(raised.value)


def test_an_app_whose_broker_is_away_does_not_start() -> None:
    called: list[str] = []
    hub = Hub()
    hub.is_away = True
    app = App(broker=MemoryBroker(hub))
    app.on_start(lambda: called.append("start"))
    app.on_shutdown(lambda: called.append("shutdown"))
    with pytest.raises(BrokerError, match="the broker MemoryBroker cannot be reached: the hub is away"):
        asyncio.run(app.serve())
    assert called == []


def test_an_app_whose_broker_is_not_required_starts(serve: Any) -> None:
    hub = Hub()
    hub.is_away = True
    here = serve(build, broker=MemoryBroker(hub), broker_required=False)
    with open_(here) as one:
        one.send("subscribe topic")
        assert one.recv(timeout=10) == b"done"
        here.app.publish("topic", "local", OpCode.TEXT)
        assert one.recv(timeout=10) == "local"
        hub.is_away = False
        there = serve(build, broker=MemoryBroker(hub))
        assert on_loop(here, here.app.flush_topics())
        there.app.publish("topic", "from there", OpCode.TEXT)
        assert one.recv(timeout=10) == "from there"


def test_two_apps_cannot_share_one_broker_object(serve: Any) -> None:
    broker = MemoryBroker(Hub())
    serve(build, broker=broker).stop()
    here = serve(build, broker=broker)
    with pytest.raises(RuntimeError, match="the broker MemoryBroker carries the topics of another app that is served"):
        asyncio.run(App(broker=broker).serve())
    with open_(here) as client:
        assert tell(here, client, "subscribe topic") == []


def test_a_broker_that_nobody_asked_for_is_not_required(
    serve: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(schemes, "_default", ["local:///no/such/place"])
    here = serve(build)
    with open_(here) as client:
        client.send("subscribe topic")
        assert client.recv(timeout=10) == b"done"
        here.app.publish("topic", "local", OpCode.TEXT)
        assert client.recv(timeout=10) == "local"
    assert "'/no/such/place' of the broker cannot be used: No such file or directory: it is tried again" in caplog.text
    monkeypatch.setenv("SOCKETIFY_BROKER", "local:///no/such/place")
    with pytest.raises(BrokerError):
        asyncio.run(App().serve())


def test_an_app_without_a_connection_keeps_no_changes_of_subscribers(serve: Any) -> None:
    hub = Hub()
    hub.is_away = True
    here = serve(build, broker=MemoryBroker(hub), broker_required=False)
    with open_(here) as client:
        for number in range(10):
            client.send(f"subscribe {number}")
            assert client.recv(timeout=10) == b"done"
        wait_until(lambda: on_loop(here, call(lambda: list(here.app.topics.take_changes()))) == [])
        assert here.app.topics.relay._interest.has_changed


def test_what_is_published_as_it_starts_and_stops_arrives(serve: Any) -> None:
    hub = Hub()

    def chatty(app: App) -> None:
        app.on_start(lambda: app.publish("topic", "it starts", OpCode.TEXT))
        app.on_shutdown(lambda: app.publish("topic", "it stops", OpCode.TEXT))
        assert not app.publish("topic", "it is made", OpCode.TEXT)

    here = serve(build, broker=MemoryBroker(hub))
    with open_(here) as client:
        tell(here, client, "subscribe topic")
        Server(chatty, broker=MemoryBroker(hub)).stop()
        assert [client.recv(timeout=10) for _ in range(3)] == ["it is made", "it starts", "it stops"]


def test_threads_publish_everywhere(shared: Any) -> None:
    _, _, (here, there) = shared

    def on_open(ws: WebSocket) -> None:
        threading.Thread(target=ws.publish, args=("topic", "of a thread", OpCode.TEXT)).start()

    on_loop(here, call(here.app.ws, "/thread", {"open": on_open}))
    with open_(there) as client:
        tell(there, client, "subscribe topic")
        with open_(here, "/thread"):
            assert client.recv(timeout=10) == "of a thread"


def test_a_socket_that_closes_leaves_its_topics(shared: Any) -> None:
    _, (broker, _), (here, _) = shared
    with open_(here) as client:
        for topic in "ab":
            tell(here, client, f"subscribe {topic}")
        assert {"a", "b"} <= broker.topics
    wait_until(lambda: not {"a", "b"} & broker.topics)
