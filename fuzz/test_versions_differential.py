"""By HTTP/2 clients get what they get by HTTP/1.1, programs see the same, and the log has the same.

The servers of one mode (modes_program.py) follow each plan twice: once for a request of HTTP/1.1, once for a stream that says
the same. Left out of the comparison is only what a version of the protocol has for itself. What timing alone decides may be any
of what it is by the other version: a difference is one that stays.
"""

from __future__ import annotations

import base64
import contextlib
import pickle
import socket
from collections.abc import Iterator
from typing import Any, Callable, NamedTuple

import h2.settings
import h11
import pytest
from http2_client import Client
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st
from modes_plans import LARGE
from modes_servers import PATIENCE, Mode
from modes_strategies import BODIES, FIELDS, METHODS, PLANS, TARGETS

#: Examples of each interface, for one of other suites.
EXAMPLES = 2
TIMES = 8
#: Of answers: about the connection, or another one in every second.
OWN_OF_ANSWERS = {"connection", "transfer-encoding", "keep-alive", "date"}
#: Of requests: the version, and how the length is told.
OWN_OF_REQUESTS = {"transfer-encoding", "HTTP_TRANSFER_ENCODING", "http_version", "SERVER_PROTOCOL"}
#: More than any answer, so that no window is waited for.
WINDOW = 1 << 24


class Asked(NamedTuple):
    """A request that either version can say."""

    method: str
    target: str
    fields: list[tuple[str, str]]
    pieces: list[bytes]
    has_length: bool

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def length(self) -> list[tuple[str, str]]:
        return [("content-length", str(len(self.body)))] if self.has_length else []


class Got(NamedTuple):
    """What came back, and what the program and the log noted."""

    interim: list[Any]
    status: int
    fields: list[tuple[str, str]]
    body: bytes
    trailers: list[tuple[str, str]]
    is_whole: bool
    journals: Any
    failures: Any


@st.composite
def asked(draw: Any) -> Asked:
    lines = draw(st.lists(st.sampled_from([line for line in FIELDS if not line.startswith("Connection")]), max_size=3))
    fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    # Several fields of cookies are one in HTTP/2 (RFC 9113 section 8.2.3).
    kept = [field for at, field in enumerate(fields) if field[0] != "cookie" or "cookie" not in dict(fields[:at])]
    body = draw(st.sampled_from(BODIES)).encode()
    size = draw(st.sampled_from([1, 7, 4096])) if len(body) < 100 else 4096
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    target = draw(st.sampled_from([each for each in TARGETS if each.startswith("/")]))
    has_length = draw(st.booleans()) if body else draw(st.just(value=False))
    return Asked(draw(st.sampled_from(METHODS)), target, kept, pieces, has_length)


def patiently(mode: Mode, read: Callable[[], Any]) -> Any:
    """Read, and collect garbage while nothing comes: with it what nobody holds any more is answered."""
    for _ in range(round(10 / PATIENCE)):
        try:
            return read()
        except (TimeoutError, socket.timeout):
            mode.ask("collect")
    message = "the server says nothing"
    raise TimeoutError(message)


def shown(fields: Any) -> list[tuple[str, str]]:
    pairs = [tuple(each if isinstance(each, str) else each.decode("latin-1") for each in pair) for pair in fields]
    return [(name.lower(), value) for name, value in pairs if name.lower() not in OWN_OF_ANSWERS and not name.startswith(":")]


def encoded(fields: list[tuple[str, str]]) -> Any:
    return [(name.encode(), value.encode("latin-1")) for name, value in fields]


def by_http_1(mode: Mode, port: int, request: Asked) -> Got:
    framing = request.length or ([("transfer-encoding", "chunked")] if request.pieces else [])
    fields = [("host", "a"), *request.fields, *framing]
    client = h11.Connection(h11.CLIENT)
    sent = client.send(h11.Request(method=request.method, target=request.target, headers=encoded(fields))) or b""
    for piece in request.pieces:
        sent += client.send(h11.Data(data=piece)) or b""
    sent += client.send(h11.EndOfMessage()) or b""
    interim: list[Any] = []
    status, head, body, trailers, is_whole = 0, [], b"", [], False
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        connection.sendall(sent)
        while not is_whole:
            found = client.next_event()
            if found is h11.NEED_DATA:
                try:
                    data = patiently(mode, lambda: connection.recv(1 << 18))
                except ConnectionError:
                    data = b""
                if not data:
                    break
                client.receive_data(data)
            elif isinstance(found, h11.InformationalResponse):
                interim.append((found.status_code, shown(found.headers)))
            elif isinstance(found, h11.Response):
                status, head = found.status_code, shown(found.headers)
            elif isinstance(found, h11.Data):
                body += bytes(found.data)
            elif isinstance(found, h11.EndOfMessage):
                trailers, is_whole = shown(found.headers), True
        return got(mode, interim, status, head, body, trailers, is_whole)


def by_http_2(mode: Mode, port: int, request: Asked) -> Got:
    with Client(port, strict=False) as client:
        client.socket.settimeout(PATIENCE)
        client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: WINDOW})
        client.h2.increment_flow_control_window(WINDOW)
        head = [(":method", request.method), (":scheme", "http"), (":authority", "a"), (":path", request.target)]
        stream = client.begin_unsent(encoded([*head, *request.fields, *request.length]), ends=not request.pieces)
        answer = client.answers[stream]
        # All that the window takes leaves with the head.
        for at, piece in enumerate(request.pieces):
            while answer.reset is None and client.h2.local_flow_control_window(stream) < len(piece):
                client.flush()
                patiently(mode, client.receive)
            if answer.reset is None:
                client.h2.send_data(stream, piece, end_stream=at == len(request.pieces) - 1)
        client.flush()
        with contextlib.suppress(ConnectionError):
            patiently(mode, lambda: client.wait(stream))
        interim = [(int(dict(each)[":status"]), shown(each)) for each in answer.interim]
        status = answer.status if answer.head else 0
        # In HTTP/1.1 nobody can see that more was to follow a head that has no content.
        is_whole = answer.ended or (status > 0 and (request.method == "HEAD" or status in {204, 304}))
        return got(mode, interim, status, shown(answer.head), answer.body, shown(answer.trailers), is_whole)


def got(mode: Mode, interim: Any, status: int, fields: Any, body: bytes, trailers: Any, is_whole: bool) -> Got:
    journals, failures = mode.ask("journal")
    # Whether a client is told to go on that sent its content with the head is the server's choice (RFC 9110 section 10.1.1).
    told = [pair for pair in interim if pair[0] != 100]
    return Got(told, status, fields, body, trailers, is_whole, without_own(journals), failures)


def without_own(value: Any) -> Any:
    """Leave out what a version has for itself."""
    if isinstance(value, (list, tuple)):
        return [without_own(each) for each in value if not is_own(each)]
    if isinstance(value, dict):
        return {name: without_own(each) for name, each in value.items() if name not in OWN_OF_REQUESTS}
    return value


def is_own(value: Any) -> bool:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        return False
    name = value[0].decode("latin-1") if isinstance(value[0], bytes) else value[0]
    return isinstance(name, str) and name in OWN_OF_REQUESTS


@pytest.fixture(scope="module")
def mode() -> Iterator[Mode]:
    mode = Mode("members")
    yield mode
    mode.stop()


def exchange(mode: Mode, interface: str, by: Any, plan: Any, request: Asked) -> Got:
    # An echo would tell what is left out.
    kept = {**plan, "last": "the end" if plan["last"] == "echo" else plan["last"]}
    mode.ask(f"begin {base64.b64encode(pickle.dumps([kept])).decode()}")
    found: Got = by(mode, mode.ports[interface], request)
    return found


def alike(one: Got, other: Got) -> bool:
    """Whether they are the same, but for what a cut loses on its way, of which there is much only in large bodies."""
    shorter, longer = sorted((one.body, other.body), key=len)
    lost = not one.is_whole and not other.is_whole and longer.startswith(shorter) and shorter.endswith(LARGE[:1000])
    return one._replace(body=b"") == other._replace(body=b"") and (shorter == longer or lost)


@pytest.mark.parametrize("interface", sorted(PLANS))
def test_both_versions_say_the_same(mode: Mode, interface: str) -> None:
    @settings(max_examples=EXAMPLES * settings.default.max_examples, phases=[Phase.generate, Phase.shrink], database=None)
    @given(plan=PLANS[interface], request=asked())
    def hold(plan: Any, request: Asked) -> None:
        compare(mode, interface, plan, request)

    hold()


def compare(mode: Mode, interface: str, plan: Any, request: Asked) -> None:
    ones: list[Got] = []
    others: list[Got] = []
    for number in range(TIMES):
        ones.append(exchange(mode, interface, by_http_1, plan, request))
        others.append(exchange(mode, interface, by_http_2, plan, request))
        if any(alike(one, other) for one in ones for other in others):
            break
        event(f"look {number + 2}")
    else:
        pairs = zip(Got._fields, ones[-1], others[-1])
        pytest.fail("\n".join(f"{name}: {one!r}\n  by HTTP/2: {other!r}" for name, one, other in pairs if one != other))
    event(f"status {ones[-1].status}")
