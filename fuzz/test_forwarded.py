"""Forwarded (RFC 7239): whatever trusted proxies write, in one field or several, programs see what a slow reading finds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import astuple
from typing import Any

import pytest
from app_servers import TLS, ASGIServer
from forwarded_reference import TRUSTED, Seen, follow
from hypothesis import event, example, given
from hypothesis import strategies as st
from servers import Client

OWN = Seen(("127.0.0.1", -1), "http" if TLS is None else "https", "fuzz")
pytestmark = pytest.mark.skipif(TLS is not None, reason="the client speaks in clear")


def quoted(text: str, escaped: list[bool]) -> str:
    """Write a text as a quoted string, some of whose characters are escaped without need."""
    escaped = [*escaped, *[False] * len(text)]
    return '"' + "".join("\\" + each if each in '"\\' or needless else each for each, needless in zip(text, escaped)) + '"'


addresses = st.sampled_from(["8.8.8.8", "10.0.0.1", "10.9.9.9", "127.0.0.1", "[2001:db8::1]", "[2400::7]", "[::ffff:10.0.0.1]"])
nodes = st.one_of(
    st.builds(lambda address, port: address + port, addresses, st.sampled_from(["", "", ":80", ":65535", ":65536", ":_p"])),
    st.ip_addresses().map(lambda each: f"[{each}]" if each.version == 6 else str(each)),
    st.sampled_from(["unknown", "_hidden", "8.8.8", "[::1", "1.2.3.4:5:6", "fe80::1", "[fe80::1%lo]"]),
)
values = {
    "for": nodes,
    "host": st.sampled_from(["shop.example", "shop.example:8443", "a b", "a/b", 'a"b', "\\", ""]),
    "proto": st.sampled_from(["https", "HTTP", "wss", "ws", "ftp", ""]),
    "by": nodes,
    "ext": st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8),
}
TOKEN = set("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


@st.composite
def pairs(draw: Any) -> str:
    name = draw(st.sampled_from(sorted(values)))
    value = draw(values[name])
    is_token = value and set(value) <= TOKEN
    written = value if is_token and draw(st.booleans()) else quoted(value, draw(st.lists(st.booleans(), max_size=6)))
    return f"{draw(st.sampled_from([name, name.upper(), name.title()]))}={written}"


spaces = st.sampled_from(["", "", "", " ", "\t", "  "])
elements = st.builds(
    lambda parts, before, after: before + ";".join(parts) + after, st.lists(pairs(), max_size=4), spaces, spaces
)
lists = st.lists(elements, min_size=1, max_size=4)
#: Pieces of lists in any order.
noise = st.lists(
    st.sampled_from(
        ["for=", "For", "proto=https", "=", ";", ",", '"', "\\", " ", "\t", "8.8.8.8", "[::1]", "unknown", "x", ":80"]
    ),
    max_size=12,
).map(lambda parts: ["".join(parts)])


async def application(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    """Tells what it sees."""
    host = dict(scope["headers"])[b"host"].decode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps([scope["client"], scope["scheme"], host]).encode()})


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    networks = ", ".join(map(str, TRUSTED))
    started = ASGIServer(application, lifespan="off", trusted_proxies=networks, forwarded_headers="Forwarded")
    yield started
    started.close()


@given(fields=lists | noise)
@example(fields=['for=8.8.8.8;host="a', 'b"'])
@example(fields=["for=8.8.8.8", "", ",", "for=10.0.0.1"])
@example(fields=['for="\\8.8.8.8"'])
@example(fields=["for=8.8.8.8 ;proto=https"])
@example(fields=['for="[fe80::1%lo]"'])
def test_programs_see_the_client(server: Any, fields: list[str]) -> None:
    # What stands around the value of a field is not of it.
    expected = follow(",".join(each.strip(" \t") for each in fields), OWN)
    event("of the peer" if expected == OWN else "of another one")
    with Client(server) as client:
        answer = client.request(headers=[("Forwarded", each.strip(" \t")) for each in fields])
    assert answer is not None
    seen_client, scheme, host = json.loads(answer.body)
    if expected.client == OWN.client:
        seen_client[1] = -1
    assert (tuple(seen_client), scheme, host) == astuple(expected)
