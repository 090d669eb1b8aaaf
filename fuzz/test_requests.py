"""Queries, parameters, cookies and static paths: what a client encodes is what a handler sees, and nothing else is served."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import Client, served

from socketify.wire.cookies import parse_cookies, set_cookie_field

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SECRET = b"outside"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    base = tmp_path_factory.mktemp("static")
    root = base / "root"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "c.txt").write_bytes(b"inside")
    (root / "a.txt").write_bytes(b"inside")
    (base / "secret.txt").write_bytes(SECRET)
    (root / "link").symlink_to(base / "secret.txt")
    (root / "up").symlink_to(base)

    def show(res: Any, req: Any) -> None:
        res.send({"queries": req.get_queries(), "parameter": req.get_parameter("x"), "cookies": req.get_cookies()})

    with served(lambda app: app.get("/q/:x", show).static("/s", root)) as running:
        yield running


@given(pairs=st.lists(st.tuples(text, text), max_size=8), parameter=text.filter(lambda value: value not in ("", ".", "..")))
def test_queries_and_parameters_are_decoded(server: Any, pairs: Any, parameter: str) -> None:
    with Client(server) as client:
        got = client.request(f"/q/{quote(parameter, safe='')}?{urlencode(pairs)}")
    assert got is not None
    seen = json.loads(got.body)
    expected: dict[str, list[str]] = {}
    for name, value in pairs:
        expected.setdefault(name, []).append(value)
    assert seen["queries"] == expected
    assert seen["parameter"] == parameter


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=60))
def test_any_query_has_an_answer(server: Any, query: str) -> None:
    with Client(server) as client:
        got = client.request(f"/q/x?{query}")
    assert got is not None
    assert got.status == 200


@given(
    name=st.text("abcXYZ019!#$%&'*+-.^_`|~", min_size=1, max_size=10),
    value=st.text(st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=["Cs"]), max_size=30),
)
def test_cookies_come_back(name: str, value: str) -> None:
    try:
        field = set_cookie_field(name, value)
    except ValueError:
        # What http.cookies refuses: its reserved names, and on newer versions some values.
        return
    assert all(32 <= ord(character) < 127 for character in field)
    assert parse_cookies(field) == {name: value}


@given(st.text(st.characters(max_codepoint=255), max_size=80))
def test_any_cookie_field_is_read(field: str) -> None:
    for name, value in parse_cookies(field).items():
        assert name
        assert isinstance(value, str)


STRANGE = "a b c.txt a.txt .. . %2e%2e %2E. .%2e %2f ..%2f %5c..%5c %00 link up secret.txt %ff root"
parts = st.sampled_from(["", *STRANGE.split()])


@given(st.lists(parts, max_size=8), st.sampled_from(["/", "//", "%2f", "\\"]))
def test_static_paths_never_leave_their_root(server: Any, segments: Any, separator: str) -> None:
    path = "/s/" + separator.join(segments)
    with server.connect() as connection:
        connection.sendall(b"GET " + path.encode() + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        received = b""
        while piece := connection.recv(65536):
            received += piece
    status = int(received[9:12])
    assert status in (200, 404, 400)
    assert SECRET not in received
    if status == 200:
        assert received.endswith(b"inside")
