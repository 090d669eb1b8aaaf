"""Topics of several processes against a model: each subscriber gets what was published while it was subscribed, exactly once,
and in the order of each publisher, while processes are stopped for a while, killed and started again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_command import Command
from hypothesis import given
from hypothesis import strategies as st
from topic_program import Client, write_program

TOPICS = ["a", "b", "topic/ç"]
PROCESSES = 3
CLIENTS = 6

topics = st.sampled_from(TOPICS)
clients = st.integers(0, CLIENTS - 1)
processes = st.integers(0, PROCESSES - 1)
publish = st.tuples(
    st.just("publish"), clients, topics, st.sampled_from([0, 0, 0, 200, 70_000, 300_000]), st.sampled_from([1, 1, 3, 40])
)
usual = st.one_of(
    st.tuples(st.just("join"), clients, topics),
    st.tuples(st.just("join"), clients, topics),
    st.tuples(st.just("leave"), clients, topics),
    publish,
    publish,
    publish,
    st.tuples(st.just("close"), clients),
    st.tuples(st.just("stop"), processes),
)
#: A process takes a while to start.
scripts = st.tuples(
    st.lists(usual, max_size=25), st.lists(st.tuples(st.just("kill"), processes), max_size=1), st.lists(usual, max_size=10)
)


class Peer:
    """A websocket, and what it has got of topics: by publisher, the numbers of messages."""

    def __init__(self, port: int) -> None:
        self._client = Client(port, max_size=None)
        self.inbox: dict[int, list[str]] = defaultdict(list)
        self.ends = 0
        self.ask("join end")

    def _take(self) -> str:
        """Receive something; return what is an answer, and keep what was published."""
        text: str = self._client.recv()
        if text == "end":
            self.ends += 1
            return ""
        publisher, separator, rest = text.partition(":")
        if not separator:
            return text
        self.inbox[int(publisher)].append(rest.rstrip("x"))
        return ""

    def ask(self, text: str) -> Any:
        self._client.socket.send(text)
        while not (answer := self._take()):
            pass
        return json.loads(answer)

    def say(self, topic: str, text: str) -> None:
        self._client.say(topic, text)

    def receive(self, count: int) -> None:
        while sum(map(len, self.inbox.values())) < count:
            self._take()

    def receive_ends(self, count: int) -> None:
        while self.ends < count:
            self._take()

    def close(self) -> None:
        self._client.close()


class Processes:
    """Some processes that share a directory."""

    def __init__(self, folder: Path, directory: str) -> None:
        self._folder = folder
        self._directory = directory
        write_program(folder)
        self._running = [self._start() for _ in range(PROCESSES)]
        self.ports = [self._port(each) for each in self._running]

    def _start(self) -> Command:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        arguments = ("--app-dir", str(self._folder), "topics_app:run", "--port", "0")
        return Command(folder, *arguments, env={"SOCKETIFY_BROKER": f"local://{self._directory}"})

    def _port(self, running: Command) -> int:
        return int(running.url.rpartition(":")[2])

    def signal(self, process: int, number: signal.Signals) -> None:
        os.kill(self._running[process].process.pid, number)

    def restart(self, process: int) -> None:
        self.signal(process, signal.SIGKILL)
        self._running[process].process.wait()
        self._running[process] = self._start()
        self.ports[process] = self._port(self._running[process])

    def end(self) -> None:
        for each in self._running:
            each.process.kill()
            each.process.wait()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with tempfile.TemporaryDirectory() as directory:
        found = Processes(tmp_path_factory.mktemp("topics"), directory)
        yield found
        found.end()


class Model:
    """What was done, and what should have come of it."""

    def __init__(self, served: Processes, stack: contextlib.ExitStack) -> None:
        self._served = served
        self._stack = stack
        self._peers: dict[int, Peer] = {}
        self._topics: dict[int, set[str]] = defaultdict(set)
        self._expected: dict[int, dict[int, list[str]]] = {}
        self._spoke: set[int] = set()
        self._stopped: set[int] = set()
        self._serial = 0

    def peer(self, client: int) -> Peer:
        if client not in self._peers:
            self._go_on()
            peer = self._peers[client] = Peer(self._served.ports[client % PROCESSES])
            self._stack.callback(peer.close)
            self._expected[client] = defaultdict(list)
        return self._peers[client]

    def _go_on(self) -> None:
        for process in self._stopped:
            self._served.signal(process, signal.SIGCONT)
        self._stopped.clear()

    def settle(self) -> None:
        """Wait until what was said is on its way to those who are subscribed."""
        self._go_on()
        for client in self._spoke:
            assert self._peers[client].ask("flush") is True
        self._spoke.clear()

    def _catch_up(self, client: int) -> None:
        self._peers[client].receive(sum(map(len, self._expected[client].values())))

    def join(self, client: int, topic: str) -> None:
        peer = self.peer(client)
        self.settle()
        assert peer.ask(f"join {topic}") is True
        self._topics[client].add(topic)

    def leave(self, client: int, topic: str) -> None:
        peer = self.peer(client)
        self.settle()
        self._catch_up(client)
        assert peer.ask(f"leave {topic}") is True
        self._topics[client].discard(topic)

    def publish(self, client: int, topic: str, size: int, repeat: int) -> None:
        peer = self.peer(client)
        if size:
            # What a stopped process does not read must not block its client.
            self._go_on()
        self._spoke.add(client)
        for _ in range(repeat if size < 100_000 else 1):
            text = f"{self._serial}:{topic}:"
            self._serial += 1
            peer.say(topic, f"{client}:{text}{'x' * size}")
            for other, subscribed in self._topics.items():
                if topic in subscribed:
                    self._expected[other][client].append(text)

    def stop(self, process: int) -> None:
        self._served.signal(process, signal.SIGSTOP)
        self._stopped.add(process)

    def close(self, client: int) -> None:
        if client in self._peers:
            self.settle()
            self._catch_up(client)
            self._check(client)
            self._peers.pop(client).close()
            self._topics.pop(client, None)

    def kill(self, process: int) -> None:
        for client in range(process, CLIENTS, PROCESSES):
            self.close(client)
        self._served.restart(process)

    def _check(self, client: int) -> None:
        assert self._peers[client].inbox == self._expected[client]

    def end(self) -> None:
        """Let every process say that this is all, and compare what came before."""
        self.settle()
        for process in range(PROCESSES):
            self.peer(process)
        for process in range(PROCESSES):
            self._peers[process].say("end", "end")
        for client, peer in self._peers.items():
            peer.receive_ends(PROCESSES)
            self._catch_up(client)
            self._check(client)


@given(script=scripts)
def test_delivery(served: Processes, script: Any) -> None:
    with contextlib.ExitStack() as stack:
        model = Model(served, stack)
        try:
            for name, *arguments in (each for part in script for each in part):
                getattr(model, name)(*arguments)
        finally:
            model.settle()
        model.end()
