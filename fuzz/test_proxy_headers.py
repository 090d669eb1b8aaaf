"""What connections begin with where the PROXY protocol is on, in whatever pieces it arrives, and in front of TLS as well.

The program sees the client that a slow reading of the specification finds (proxy_reference.py); what is no header is refused.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from app_servers import ASGIServer, read_all
from hypothesis import event, example, given
from hypothesis import strategies as st
from proxy_reference import INET, INET6, LOCAL, PROXY, SIGNATURE, TYPE_TLS, UNIX, Begin, Header, read_header
from tls_files import Files

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
PEER = "127.0.0.1"
WAYS = [(mode, is_secure) for mode in (True, "optional") for is_secure in (False, True)]


def binary(command: int, kind: int, content: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, kind, len(content)) + content


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


tlvs = st.lists(
    st.builds(tlv, st.sampled_from([1, 2, 4, 5, TYPE_TLS, TYPE_TLS, 0xEA]), st.binary(max_size=20))
    | st.builds(tlv, st.just(4), st.integers(0, 3000).map(bytes))
    | st.binary(max_size=4),
    max_size=4,
).map(b"".join)
paths = st.binary(max_size=108).map(lambda path: path.ljust(108, b"\0"))
contents = st.one_of(
    st.tuples(st.just(INET << 4), st.binary(min_size=12, max_size=12)),
    st.tuples(st.just(INET6 << 4), st.binary(min_size=36, max_size=36)),
    st.tuples(st.just(UNIX << 4), st.tuples(paths, paths).map(b"".join)),
    st.tuples(st.sampled_from([0, 0x10, 0x20, 0x30, 0x40, 0xF0]), st.binary(max_size=40)),
)
binaries = st.builds(
    lambda command, transport, content, more: binary(command, content[0] | transport, content[1] + more),
    st.sampled_from([PROXY] * 6 + [LOCAL, 0x22, 0x10]),
    st.sampled_from([1] * 6 + [0, 2, 3]),
    contents,
    tlvs,
)
NO_V4 = ["1.2.3", "01.2.3.4", "1.2.3.4.5", "256.1.1.1", "1.2.3.4\0", "::1", "", "0x1.2.3.4"]
SOME_V6 = ["::", "::ffff:1.2.3.4", "ABCD::1", "1:2:3:4:5:6:7::"]
NO_V6 = ["::1.2.3.4.5", "1::2::3", "fe80::1%lo", "::1\0x", "[::1]", "1.2.3.4", "12345::"]
v4 = st.ip_addresses(v=4).map(str) | st.sampled_from(NO_V4)
v6 = st.ip_addresses(v=6).map(str) | st.sampled_from(SOME_V6 + NO_V6)
ports = st.integers(0, 65535).map(str) | st.sampled_from(["65536", "00", "080", "99999", "100000", "+1", "-1", "", "1\0"])
lines = st.one_of(
    st.tuples(st.just("PROXY TCP4"), v4, v4, ports, ports).map(" ".join),
    st.tuples(st.just("PROXY TCP6"), v6, v6, ports, ports).map(" ".join),
    st.text(st.characters(codec="latin-1"), max_size=100).map(lambda rest: f"PROXY UNKNOWN {rest}"),
    st.sampled_from(["PROXY UNKNOWN", "PROXY unknown", "PROXY TCP4", "PROXY UDP4 1.2.3.4 1.2.3.4 1 1", "PROXY", "PROXY "]),
)
texts = st.builds(
    lambda line, end: (line + end).encode("latin-1"), lines, st.sampled_from(["\r\n"] * 6 + ["\n", "\r", " \r\n", "\r\r\n"])
)
#: Where a byte changes, is added or taken away, and which.
changes = st.lists(st.tuples(st.sampled_from("=+-"), st.integers(0, 260), st.binary(min_size=1, max_size=1)), max_size=2)


def changed(data: bytes, what: list[tuple[str, int, bytes]]) -> bytes:
    for how, at, byte in what:
        place = at % (len(data) + 1)
        data = data[:place] + (b"" if how == "-" else byte) + data[place + (0 if how == "+" else 1) :]
    return data


begins = st.builds(changed, binaries | texts, st.just([]) | changes) | st.binary(max_size=30)


async def application(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    """Tells what it sees."""
    seen = json.dumps([scope["client"], scope["server"], scope["scheme"], "proxy_protocol" in scope["extensions"]])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": seen.encode()})


def send_in_pieces(connection: socket.socket, data: bytes, cuts: list[int]) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    edges = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    for start, end in zip(edges, edges[1:]):
        connection.sendall(data[start:end])


class Entrance:
    """A server behind a proxy, and how it is asked."""

    def __init__(self, mode: Any, files: Files | None) -> None:
        self.mode = mode
        self._client = None if files is None else files.client()
        # None, as the tests may be run with TLS for all servers.
        self.server = ASGIServer(application, accept_proxy_protocol=mode, lifespan="off", options=files and files.options())

    @property
    def scheme(self) -> str:
        return "http" if self._client is None else "https"

    def answer(self, begin: bytes, cuts: list[int], request: bytes = b"") -> bytes:
        """Send the begin in pieces, then a request, by TLS where there is TLS, and read to the end."""
        with socket.create_connection((PEER, self.server.own_port), 10) as connection:
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                send_in_pieces(connection, begin, cuts)
                if request and self._client is not None:
                    with self._client.wrap_socket(connection, server_hostname="localhost") as secured:
                        secured.sendall(request)
                        return read_all(secured)
                connection.sendall(request)
            return read_all(connection)

    def answer_to_part(self, begin: bytes, cuts: list[int]) -> bytes:
        """Send a begin in pieces, and nothing more."""
        with socket.create_connection((PEER, self.server.own_port), 10) as connection:
            with contextlib.suppress(OSError):
                send_in_pieces(connection, begin, cuts)
                connection.shutdown(socket.SHUT_WR)
            return read_all(connection)


@pytest.fixture(scope="module", params=WAYS, ids=[f"{mode} {'TLS' if is_secure else 'clear'}" for mode, is_secure in WAYS])
def entrance(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Entrance]:
    mode, is_secure = request.param
    entrance = Entrance(mode, Files(Path(tmp_path_factory.mktemp("tls"))) if is_secure else None)
    yield entrance
    entrance.server.close()


def ends_of(header: Header, scheme: str, own_port: int) -> tuple[Any, Any, str]:
    """What a program sees of a connection that begins so, the client's port apart where nobody named it."""
    scheme = "https" if header.speaks_tls else scheme
    if not header.is_named:
        return PEER, [PEER, own_port], scheme
    return list(header.source) if header.source else None, list(header.destination) if header.destination else None, scheme


@given(begin=begins, cuts=st.lists(st.integers(0, 260), max_size=5))
@example(begin=b"PROXY TCP4 192.0.2.7\0 192.0.2.9 4711 80\r\n", cuts=[])
@example(begin=b"PROXY TCP6 ::1 ::1 1 1\r\n", cuts=list(range(30)))
@example(begin=binary(PROXY, 0x11, bytes(12) + tlv(TYPE_TLS, b"\1")), cuts=list(range(40)))
@example(begin=binary(PROXY, 0x31, bytes(216)), cuts=[100])
def test_programs_see_who_a_proxy_speaks_for(entrance: Entrance, begin: bytes, cuts: list[int]) -> None:
    found = read_header(begin)
    event(type(found).__name__ if isinstance(found, Header) else found.name)
    if isinstance(found, Header):
        answer = entrance.answer(begin[: found.length], cuts, REQUEST)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), answer
        client, server, scheme, has_facts = json.loads(body)
        if not found.is_named:
            client = client[0]
        assert (client, server, scheme) == ends_of(found, entrance.scheme, entrance.server.own_port)
        assert has_facts
    elif found is Begin.PART or (found is Begin.OTHER and entrance.mode == "optional"):
        # What it may still become is nothing that is answered, and what has nothing of a header is read as a request.
        assert not entrance.answer_to_part(begin, cuts).startswith(b"HTTP/1.1 200")
    else:
        # A reset may overtake the answer.
        answer = entrance.answer(begin + REQUEST, cuts)
        assert answer == b"" or (entrance.scheme == "http" and answer.startswith(b"HTTP/1.1 400"))


@given(begin=binaries | texts)
def test_more_bytes_change_nothing(begin: bytes) -> None:
    """What the reference says of a begin holds for all that goes on so."""
    for length in range(len(begin) + 1):
        found = read_header(begin[:length])
        if found is not Begin.PART:
            assert read_header(begin + REQUEST) == found
            break


def test_many_at_once(entrance: Entrance) -> None:
    """Connections do not see each other's headers."""
    wrong: list[object] = []

    def ask(number: int) -> None:
        begin = binary(PROXY, 0x11, socket.inet_aton(f"192.0.2.{number}") + bytes(4) + struct.pack("!HH", number, 80))
        answer = entrance.answer(begin, [number, 2 * number], REQUEST)
        if json.loads(answer.partition(b"\r\n\r\n")[2])[0] != [f"192.0.2.{number}", number]:
            wrong.append(answer)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
