"""The bytes of connections: requests by the grammar and beside it, and damage."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

METHODS = ["GET", "HEAD", "POST", "PUT", "OPTIONS", "DELETE", "CONNECT", "X-!#$", "get"]
TARGETS = ["/", "/a/b?c=d", "*", "http://b/", "http://b:80?x", "b:80", "//", "/%00%zz", "/" + "a" * 60, "a", "http://", "/#a"]
VERSIONS = ["HTTP/1.1"] * 6 + ["HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/1.10", "http/1.1"]
FIELDS = [
    "Host: a",
    "Host: b:80",
    "Host:",
    "Host: a b",
    "Host: [::1]",
    "Connection: close",
    "Connection: keep-alive",
    "Connection: x, Close",
    "Content-Length: 0",
    "Content-Length: 3",
    "Content-Length: 3, 3",
    "Content-Length: 03",
    "Content-Length: 5",
    "Content-Length: -1",
    "Content-Length: 99999999999999999999",
    "content-length:3",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: Chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: identity",
    "transfer-encoding:\tchunked\t",
    "Expect: 100-continue",
    "Expect: x",
    "X: y",
    "X:",
    "X:  a\tb  ",
    "X-Long: " + "v" * 100,
    "Upgrade: websocket",
    "Trailer: X",
]
BODIES = [
    "",
    "abc",
    "abcde",
    "0\r\n\r\n",
    "3\r\nabc\r\n0\r\n\r\n",
    "003\r\nabc\r\n0\r\n\r\n",
    "3;a=b\r\nabc\r\n0;c\r\n\r\n",
    '1;a="b;\\"c"\r\na\r\n2\r\nbc\r\n0\r\nX: y\r\n\r\n',
    "3 \r\nabc\r\n0\r\n\r\n",
    "A\r\n0123456789\r\n0\r\n\r\n",
    "3\nabc\n0\n\n",
]
BYTES = st.sampled_from([bytes([each]) for each in b'\r\n\t :;,0a/"\\%\x00\x7f\x80\xff#*['] + [b"\r\n", b"\r\n\r\n", b"\r\n "])


@st.composite
def messages(draw: Any) -> bytes:
    """One request, mostly well-formed."""
    line = " ".join([draw(st.sampled_from(METHODS)), draw(st.sampled_from(TARGETS)), draw(st.sampled_from(VERSIONS))])
    fields = draw(st.lists(st.sampled_from(FIELDS), max_size=4))
    if draw(st.integers(0, 9)):
        fields = ["Host: a", *(each for each in fields if not each.startswith("Host"))]
    return "\r\n".join([line, *fields, "", draw(st.sampled_from(BODIES))]).encode()


@st.composite
def damaged(draw: Any, whole: Any) -> bytes:
    """Bytes with some damage."""
    data: bytes = draw(whole)
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 3]))):
        at = draw(st.integers(0, len(data)))
        skipped = draw(st.sampled_from([0, 0, 1, 2]))
        data = data[:at] + draw(st.one_of(st.just(b""), BYTES)) + data[at + skipped :]
    return data


def inputs() -> st.SearchStrategy[bytes]:
    """The bytes of a connection: a few requests, and some damage."""
    return damaged(st.lists(messages(), min_size=1, max_size=3).map(b"".join))
