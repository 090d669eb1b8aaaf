"""What we accept is what h11 accepts: built from the grammar, mutated, cut anywhere, sent over a socket, read by both.

Where h11 accepts what we refuse, the difference must be one of INTENDED. What we accept and h11 does not, or reads
otherwise, is a message with two readings: there is no list of those.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Callable

import h11
import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st
from request_inputs import inputs
from request_servers import Reading, ask, tell
from servers import served


def read_with_h11(data: bytes) -> tuple[Reading, list[bytes]]:
    """Return what h11 makes of it, and the bytes that remained when each request began."""
    reading, remains = Reading(), []
    try:
        while True:
            remains.append(data)
            server = h11.Connection(h11.SERVER, max_incomplete_event_size=100_000)
            # One empty line before a request should be ignored (RFC 9112 section 2.2), which h11 does not do.
            server.receive_data(data[2:] if data.startswith(b"\r\n") else data)
            request = server.next_event()
            if not isinstance(request, h11.Request):
                return reading, remains
            body = b""
            while isinstance(piece := server.next_event(), h11.Data):
                body += bytes(piece.data)
            if not isinstance(piece, h11.EndOfMessage):
                return reading, remains
            reading.requests.append((request.method.decode(), request.target.decode("latin-1"), body))
            # Nothing that would switch protocols, whatever was asked for.
            server.send(h11.Response(status_code=404, headers=[("Content-Length", "0")]))
            server.send(h11.EndOfMessage())
            data = bytes(server.trailing_data[0])
            # h11 ends every HTTP/1.0 connection; we keep those that ask for it (RFC 9112 section C.2.2).
            kept = request.http_version == b"1.0" and _options(request) & {b"close", b"keep-alive"} == {b"keep-alive"}
            if not kept and (server.our_state is not h11.DONE or server.their_state is not h11.DONE):
                return reading, [*remains, data]
    except h11.RemoteProtocolError as error:
        reading.refused = error.error_status_hint
        return reading, remains


def _options(request: h11.Request) -> set[bytes]:
    values = [value for name, value in request.headers if name == b"connection"]
    return {option.strip().lower() for value in values for option in value.split(b",")}


def _has(pattern: bytes) -> Callable[[bytes], bool]:
    compiled = re.compile(pattern, re.IGNORECASE | re.DOTALL)
    return lambda message: bool(compiled.search(message))


def _first_line(message: bytes) -> list[bytes]:
    return message.lstrip(b"\r\n").split(b"\r\n", 1)[0].split(b" ")


def _has_odd_target(message: bytes) -> bool:
    words = _first_line(message)
    if len(words) < 3:
        return True
    method, target = words[0], words[1]
    if method == b"CONNECT":
        return not re.fullmatch(rb"([\w.~%!$&'()*+,;=-]+|\[[\da-f:.]+\]):\d+", target, re.IGNORECASE)
    if target == b"*":
        return method != b"OPTIONS"
    well_formed = rb"(?i:https?)://([\w.~%!$&'()*+,;=-]+|\[[\w.:~%!$&'()*+,;=-]+\])(:\d*)?([/?].*)?"
    return b"#" in target or not (target.startswith(b"/") or re.fullmatch(well_formed, target))


def _has_odd_host(message: bytes) -> bool:
    name = rb"([\w.~%!$&'()*+,;=-]+|\[[\w.:~%!$&'()*+,;=-]+\])(:\d*)?"
    hosts = re.findall(rb"\r\nhost:[ \t]*([^\r\n]*?)[ \t]*\r\n", message.lower())
    return any(host and not re.fullmatch(name, host) for host in hosts)


#: Why we refuse what h11 accepts: the reason, and whether a message shows it.
INTENDED: list[tuple[str, Callable[[bytes], bool]]] = [
    ("lines end with CRLF (RFC 9112 section 2.2 permits LF, which is how messages get two readings)", _has(rb"(?<!\r)\n")),
    ("CR stands only before LF (RFC 9112 section 2.2)", _has(rb"\r(?!\n)")),
    ("folded fields are obsolete (RFC 9112 section 5.2: a server must refuse them or replace the fold)", _has(rb"\r?\n[ \t]")),
    ("the target has one of the four forms (RFC 9112 section 3.2)", _has_odd_target),
    ("Host is an authority without userinfo (RFC 9110 section 7.2)", _has_odd_host),
    ("what HTTP/1.1 demands, later minor versions do too (RFC 9110 section 2.5)", _has(rb" HTTP/1\.[2-9]\r\n")),
    ("other major versions get 505 (RFC 9110 section 15.6.6)", _has(rb" HTTP/[^1]\.\d\r\n")),
    ("an unknown expectation gets 417 (RFC 9110 section 10.1.1)", _has(rb"\nexpect:(?![ \t,]*(100-continue[ \t,]*)*\r)")),
    ("HTTP/1.0 has no chunked coding (RFC 9112 section 6.1)", _has(rb" HTTP/1\.0\r(\n.*)?\ntransfer-encoding:")),
    ("one empty line before a request is tolerated, not several (RFC 9112 section 2.2)", _has(rb"^(\r?\n){2}|^\n|^\r(?!\n)")),
    ("methods have at most 32 characters", _has(rb"^(\r\n)?\S{33,} ")),
    (
        "both lengths, however they agree, are smuggling (RFC 9112 section 6.1)",
        _has(rb"\ncontent-length:.*\ntransfer-encoding:|\ntransfer-encoding:.*\ncontent-length:"),
    ),
    ("chunk extensions follow their grammar (RFC 9112 section 7.1.1)", _has(rb"\r\n[0-9a-f]+[ \t;][^\r]*\r\n")),
    ("trailer fields follow the grammar and have a bound", _has(rb"\r\n0+(;[^\r]*)?\r\n[^\r]")),
    ("a value has no control characters but tabs", _has(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")),
    ("a list of lengths has no empty member (RFC 9112 section 6.3)", _has(rb"\ncontent-length:[^\r]*,")),
    ("a length that 64 bits cannot hold gets 413", _has(rb"\ncontent-length:[ \t]*\d{19,}")),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with served(tell, http="1") as running:
        yield running


def absolute(target: str) -> str:
    """Return what a handler sees of an absolute target: its path."""
    found = re.fullmatch(r"(?i:https?)://[^/?]*(.*)", target)
    if found is None:
        return target
    return found[1] if found[1].startswith("/") else "/" + found[1]


@given(data=inputs(), cuts=st.lists(st.integers(0, 400), max_size=3))
@example(data=b"GET http://b?x HTTP/1.1\r\nHost: a\r\n\r\n", cuts=[])
def test_both_read_the_same(server: Any, data: bytes, cuts: list[int]) -> None:
    edges = sorted({0, *(min(each, len(data)) for each in cuts), len(data)})
    ours = ask(server, [data[begin:end] for begin, end in zip(edges, edges[1:])], pause=0.0005 if cuts else 0)
    theirs, remains = read_with_h11(data)
    count = len(ours.requests)
    expected = [(method, absolute(target), body) for method, target, body in theirs.requests]
    assert ours.requests == expected[:count], "accepted otherwise than h11 does, or what it refuses"
    if count < len(expected):
        # What h11 still waits for more of, we may refuse already.
        message = remains[count]
        reasons = [reason for reason, shows in INTENDED if shows(message)]
        assert ours.refused, "a request had no answer"
        assert reasons, f"{ours.refused} for what h11 accepts: {message!r}"
        event(reasons[0])
    event(f"{count} accepted, {ours.refused or 'none'} refused")
