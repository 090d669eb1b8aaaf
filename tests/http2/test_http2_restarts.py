"""While workers are replaced no request over HTTP/2 is lost or served twice: GOAWAY tells which were (RFC 9113 section 6.8)."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from app_servers import TLS
from cli_command import children
from http2_client import Answer, Client
from http2_frames import REFUSED_STREAM
from server_programs import environment
from waiting import wait_until

pytestmark = pytest.mark.skipif(TLS is not None, reason="the program speaks no TLS")

CLIENTS = 4
WORKERS = 2
AT_A_TIME = 20
RESTARTS = 3
#: Writes down the number of each request that it serves. Some answers take their time.
PROGRAM = """
import asyncio, os, sys
from socketify import ASGI, AppListenOptions

served = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

async def app(scope, receive, send):
    number = int(scope["path"][1:])
    more = True
    while more:
        more = (await receive())["more_body"]
    os.write(served, b"%d\\n" % number)
    if number % 3 == 0:
        await asyncio.sleep(0.02)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x" * (number % 5 * 3000), "more_body": True})
    await send({"type": "http.response.body", "body": b"%d" % number})

ASGI(app, lifespan=False).listen(0, lambda config: print(config.port, flush=True)).run(workers=WORKERS)
"""


class Load(threading.Thread):
    """Asks for numbers, many at a time; those that no server has taken are asked for again on another connection.

    Args:
        port: of the server.
        first: of its numbers, to which it adds CLIENTS for each further one.

    """

    def __init__(self, port: int, first: int) -> None:
        super().__init__()
        self._port = port
        self._next = first
        self._again: list[int] = []
        self._stopping = threading.Event()
        #: How many numbers it has asked for.
        self.asked = 0
        self.answered: Counter[int] = Counter()
        self.connections = 0
        self.failures: list[str] = []

    def stop(self) -> None:
        """Ask for no further numbers."""
        self._stopping.set()

    def _has_more(self) -> bool:
        return bool(self._again) or not self._stopping.is_set()

    def _take(self) -> int:
        if self._again:
            return self._again.pop()
        number, self._next = self._next, self._next + CLIENTS
        self.asked += 1
        return number

    def run(self) -> None:
        while self._has_more() and not self.failures:
            self.connections += 1
            try:
                with Client(self._port) as client:
                    self._use(client)
            except Exception as error:
                self.failures.append(repr(error))

    def _use(self, client: Client) -> None:
        asked: dict[int, int] = {}
        is_there = True
        while asked or (is_there and self._has_more() and client.goaway is None):
            while is_there and self._has_more() and client.goaway is None and len(asked) < AT_A_TIME:
                number = self._take()
                body = b"y" * (number % 4 * 2000)
                # Its stream, also if it does not get that far.
                asked[client.h2.get_next_available_stream_id()] = number
                try:
                    client.request(f"/{number}", "POST" if body else "GET", body=body or None)
                except ConnectionError:
                    # What the server said before is still to be read.
                    is_there = False
            is_there = client.receive()
            for stream, number in list(asked.items()):
                if self._settle(client, client.answers[stream], stream, number) or not is_there:
                    del asked[stream]
                    if not is_there and not self._is_told(client, stream):
                        self.failures.append(f"{number} on stream {stream} is lost, GOAWAY {client.goaway}")

    def _settle(self, client: Client, answer: Answer, stream: int, number: int) -> bool:
        if answer.ended:
            if answer.status != 200 or answer.body != b"x" * (number % 5 * 3000) + b"%d" % number:
                self.failures.append(f"{number}: {answer.status}, {len(answer.body)} bytes")
            self.answered[number] += 1
            return True
        if answer.reset is not None and answer.reset != REFUSED_STREAM:
            self.failures.append(f"{number} on stream {stream} is reset with {answer.reset}")
            return True
        if answer.reset is not None or self._is_told(client, stream):
            # Nobody has seen it.
            self._again.append(number)
            return True
        return False

    @staticmethod
    def _is_told(client: Client, stream: int) -> bool:
        """Whether the server has said that it does not serve the request. No connection ends without a word."""
        return client.goaway is not None and stream > client.goaway[0]


def has_others(supervisor: int, before: set[int]) -> bool:
    now = set(children(supervisor))
    return len(now) == WORKERS and now.isdisjoint(before)


def test_no_request_is_lost_or_served_twice(tmp_path: Path) -> None:
    served = tmp_path / "served"
    command = [sys.executable, "-c", PROGRAM.replace("WORKERS", str(WORKERS)), str(served)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        loads = [Load(port, each) for each in range(CLIENTS)]
        try:
            for load in loads:
                load.start()
            for _ in range(RESTARTS):
                wait_until(lambda: len(children(process.pid)) == WORKERS)
                before = set(children(process.pid))
                process.send_signal(signal.SIGHUP)
                wait_until(partial(has_others, process.pid, before))
            for load in loads:
                load.stop()
            for load in loads:
                load.join(60)
                assert not load.is_alive()
        finally:
            process.terminate()
            process.wait(30)
    failures = [failure for load in loads for failure in load.failures]
    assert not failures, failures[:10]
    everything = dict.fromkeys((each + CLIENTS * number for each in range(CLIENTS) for number in range(loads[each].asked)), 1)
    assert sum((load.answered for load in loads), Counter()) == everything
    assert all(load.connections > 1 for load in loads)
    assert Counter(int(each) for each in served.read_text().split()) == everything
