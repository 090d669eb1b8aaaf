"""Behind the proxies that people have, no request stays without its answer, also while workers are replaced."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from front import FRONTS, free_port, in_front, is_installed
from upstream import EVENTS
from websockets.exceptions import ConnectionClosedOK
from websockets.frames import CloseCode
from websockets.sync.client import connect

REQUESTS = int(os.environ.get("SOCKETIFY_PROXY_REQUESTS", "1000"))
CLIENTS = 8
SECONDS_BETWEEN_RESTARTS = 0.7
UPLOAD = random.Random(1).randbytes(50_000)
DIGEST = hashlib.sha256(UPLOAD).hexdigest().encode()
NOTHING = hashlib.sha256().hexdigest().encode()


class Client(threading.Thread):
    """Sends requests of every kind, one after the other, and notes what is not as it should be."""

    def __init__(self, port: int, seed: int, requests: int) -> None:
        super().__init__()
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        self._port = port
        self._random = random.Random(seed)
        self._requests = requests
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def run(self) -> None:
        kinds = ["get", "get", "get", "head", "post", "post", "upload", "chunked", "events", "websocket"]
        for _ in range(self._requests):
            kind = self._random.choice(kinds)
            try:
                getattr(self, f"_{kind}")()
                self.done[kind] += 1
            except Exception as error:
                self.failures.append(f"{kind}: {error!r}")
                self._connection.close()
        self._connection.close()

    def _answer(self, expected: bytes) -> None:
        response = self._connection.getresponse()
        body = response.read()
        assert response.status == 200, f"{response.status} {body[:200]!r}"
        assert body == expected, body[:200]

    def _get(self) -> None:
        self._connection.request("GET", "/")
        self._answer(b"hello")

    def _head(self) -> None:
        self._connection.request("HEAD", "/")
        self._answer(b"")

    def _post(self) -> None:
        self._connection.putrequest("POST", "/digest")
        # Neither length nor coding: there is no body.
        self._connection.endheaders()
        self._answer(NOTHING)

    def _upload(self) -> None:
        self._connection.request("POST", "/digest", UPLOAD)
        self._answer(DIGEST)

    def _chunked(self) -> None:
        pieces = iter([UPLOAD[:20_000], UPLOAD[20_000:]])
        self._connection.request("POST", "/digest", pieces, encode_chunked=True)
        self._answer(DIGEST)

    def _events(self) -> None:
        self._connection.request("GET", "/events")
        self._answer(b"".join(b"data: %d\n\n" % number for number in range(EVENTS)))

    def _websocket(self) -> None:
        while True:
            try:
                self._echo()
            except ConnectionClosedOK as error:
                # Its worker was replaced, and said so: whoever is told that comes again.
                if error.rcvd is None or error.rcvd.code != CloseCode.GOING_AWAY:
                    raise
            else:
                return

    def _echo(self) -> None:
        with connect(f"ws://127.0.0.1:{self._port}/ws", compression=None, open_timeout=20) as websocket:
            websocket.send("text")
            assert websocket.recv(20) == "text"
            websocket.send(b"bytes")
            assert websocket.recv(20) == b"bytes"


@contextlib.contextmanager
def application(workers: int) -> Iterator[tuple[int, subprocess.Popen[Any]]]:
    port = free_port()
    command = [sys.executable, "-m", "socketify", "upstream:app", "--port", str(port), "--workers", str(workers)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(Path(__file__).parent), *sys.path))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline()
            yield port, process
        finally:
            process.terminate()
            process.wait(30)


@pytest.mark.parametrize("replaces_workers", [False, True], ids=["calm", "rolling"])
@pytest.mark.parametrize("name", FRONTS)
def test_no_answer_is_lost(name: str, replaces_workers: bool, tmp_path: Path) -> None:
    if not is_installed(name):
        pytest.skip(f"{FRONTS[name].program} is not installed")
    with application(2) as (upstream, process), in_front(name, tmp_path, upstream) as port:
        clients = [Client(port, seed, REQUESTS // CLIENTS) for seed in range(CLIENTS)]
        for client in clients:
            client.start()
        restarts = 0
        while any(client.is_alive() for client in clients):
            time.sleep(SECONDS_BETWEEN_RESTARTS if replaces_workers else 0.05)
            if replaces_workers:
                process.send_signal(signal.SIGHUP)
                restarts += 1
        for client in clients:
            client.join()
    failures = [failure for client in clients for failure in client.failures]
    assert not failures, f"{len(failures)} of {REQUESTS} after {restarts} restarts: {Counter(failures).most_common(10)}"
    assert sum(sum(client.done.values()) for client in clients) == REQUESTS // CLIENTS * CLIENTS
