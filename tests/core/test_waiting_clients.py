"""Clients that are not accepted: because there are as many as there may be, or for want of descriptors."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import time
from pathlib import Path

import pytest
from backends import needs_io_uring
from server_programs import GET, Program, environment

from socketify import AppListenOptions, Limits
from socketify.core.listeners import Listener
from socketify.core.waiting_clients import WaitingClients
from socketify.process.binding import bound_socket
from socketify.system.descriptors import listen_on

SERVER = """
import os, resource
from socketify import App, AppListenOptions, Limits
# An accept that is under way keeps to the limit that it began with.
resource.setrlimit(resource.RLIMIT_NOFILE, (100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
app = App(limits=Limits(keep_alive_timeout=0, max_connections=MOST))

def limit(res, req):
    taken = []
    try:
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        # Room for another client.
        os.close(taken[0])
    res.end("ok")

app.get("/", lambda res, req: res.end("ok"))
app.get("/limit", limit)
app.listen(AppListenOptions(WHERE), lambda config: print(config.port, flush=True))
app.run()
"""
TCP = "host='127.0.0.1'"
BACKENDS = [pytest.param("epoll", id="epoll"), pytest.param("io_uring", id="io_uring", marks=needs_io_uring)]
#: How many it allows (0: only descriptors are scarce), what the first client asks for, and what is logged.
REASONS = {
    "max_connections": (2, GET, "max_connections=2 are open"),
    "descriptors": (0, GET.replace(b" / ", b" /limit "), "this process has no descriptor left, RLIMIT_NOFILE is 100"),
}


class Server(Program):
    """A server that has room for two clients."""

    def __init__(self, backend: str, most: int, where: str) -> None:
        text = SERVER.replace("MOST", str(most)).replace("WHERE", where)
        super().__init__(text, env=environment(SOCKETIFY_BACKEND=backend))

    def logged(self) -> list[str]:
        """Give what it logged, once there is anything."""
        until = time.monotonic() + 10
        while not self.errors.endswith("\n") and time.monotonic() < until:
            time.sleep(0.01)
        return self.errors.splitlines()

    def seconds(self) -> float:
        """Give the time of the processor that it took."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def served(connection: socket.socket, request: bytes = GET) -> None:
    connection.settimeout(10)
    connection.sendall(request)
    assert connection.recv(1000).endswith(b"ok")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reason", REASONS.values(), ids=REASONS.keys())
def test_one_line_says_that_clients_wait(reason: tuple[int, bytes, str], backend: str) -> None:
    most, request, explanation = reason
    with Server(backend, most, TCP) as server, contextlib.ExitStack() as stack:
        first, second, third, fourth = (stack.enter_context(socket.socket()) for _ in range(4))
        for each, sent in ((first, request), (second, GET)):
            each.connect(("127.0.0.1", server.port))
            served(each, sent)
        # Nobody waits yet.
        served(first)
        assert server.errors == ""
        third.connect(("127.0.0.1", server.port))
        assert server.logged() == [f"1 client waits to be accepted: {explanation}"]
        fourth.connect(("127.0.0.1", server.port))
        before = server.seconds()
        time.sleep(0.3)
        assert server.seconds() - before < 0.1
        first.close()
        served(third)
        second.close()
        served(fourth)
        assert len(server.logged()) == 1


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reason", REASONS.values(), ids=REASONS.keys())
def test_of_a_unix_socket_nobody_knows_how_many_wait(reason: tuple[int, bytes, str], backend: str, tmp_path: Path) -> None:
    most, request, explanation = reason
    place = str(tmp_path / "socket")
    with Server(backend, most, f"domain={place!r}") as server, contextlib.ExitStack() as stack:
        first, second, third = (stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(3))
        for each, sent in ((first, request), (second, GET)):
            each.connect(place)
            served(each, sent)
        served(first)
        assert server.errors == ""
        third.connect(place)
        assert server.logged() == [f"clients wait to be accepted: {explanation}"]
        first.close()
        served(third)


def test_each_reason_is_told_of_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = [5.0]
    tell = WaitingClients(7, lambda: now[0])
    for seconds in (5, 64, 65, 70, 124.9, 300):
        now[0] = seconds
        tell(0, int(seconds))
    tell(errno.ENFILE, 1)
    tell(errno.ENOMEM, -1)
    assert {each.levelno for each in caplog.records} == {logging.WARNING}
    assert {each.name for each in caplog.records} == {"socketify"}
    assert caplog.messages == [
        "5 clients wait to be accepted: max_connections=7 are open",
        "65 clients wait to be accepted: max_connections=7 are open",
        "300 clients wait to be accepted: max_connections=7 are open",
        "1 client waits to be accepted: the system has no descriptor left, see fs.file-max",
        f"clients wait to be accepted: the system refuses them: {os.strerror(errno.ENOMEM)}",
    ]


def test_a_log_that_fails_stops_nothing(serve: object, caplog: pytest.LogCaptureFixture) -> None:
    class Failing(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            if "to be accepted" in record.msg:
                raise SystemExit
            return True

    refusing = Failing()
    logging.getLogger("socketify").addFilter(refusing)
    try:
        server = serve(lambda app: app.get("/", lambda res, _: res.end("ok")), limits=Limits(max_connections=1))  # type: ignore[operator]
        with server.connect() as first, contextlib.suppress(OSError):
            served(first)
            waiting = socket.create_connection(("127.0.0.1", server.port))
            until = time.monotonic() + 10
            while not caplog.records and time.monotonic() < until:
                time.sleep(0.01)
            served(first)
            waiting.close()
    finally:
        logging.getLogger("socketify").removeFilter(refusing)
    assert "SystemExit" in caplog.text


@pytest.mark.parametrize("way", ["opened", "given", "bound"])
def test_small_answers_to_early_clients_are_not_delayed(way: str) -> None:
    """A connection inherits TCP_NODELAY when it comes, which may be before anybody serves it: a stream would stop for 40 ms."""
    with contextlib.ExitStack() as stack:
        if way == "opened":
            listener = Listener(AppListenOptions(host="127.0.0.1"), 8)
            stack.callback(listener.close)
            listening = socket.socket(fileno=os.dup(listener.fd))
        else:
            place = ("127.0.0.1", 0)
            listening = bound_socket(socket.AF_INET, place, shares_port=True) if way == "bound" else socket.socket()
            if way == "given":
                listening.bind(place)
            listen_on(listening.fileno())
        stack.enter_context(listening)
        stack.enter_context(socket.create_connection(listening.getsockname()))
        accepted, _ = listening.accept()
        stack.enter_context(accepted)
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
