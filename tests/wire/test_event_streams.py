"""Events as they are sent."""

from __future__ import annotations

from typing import Any

import pytest

from socketify.wire.event_streams import encode_event


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (("a", None, None, None), b"data: a\n\n"),
        (("", None, None, None), b"data: \n\n"),
        (("a\nb\r\nc\rd", None, None, None), b"data: a\ndata: b\ndata: c\ndata: d\n\n"),
        (("a\n", None, None, None), b"data: a\ndata: \n\n"),
        ((" é\u2028", "tick", "7", 100), "event: tick\nid: 7\nretry: 100\ndata:  é\u2028\n\n".encode()),
        ((None, None, "", None), b"id: \n\n"),
        ((None, None, None, 0), b"retry: 0\n\n"),
    ],
)
def test_events(event: Any, expected: bytes) -> None:
    assert encode_event(*event) == expected


@pytest.mark.parametrize(
    ("event", "error", "message"),
    [
        (("a", "b\nc", None, None), ValueError, "event must be one line"),
        (("a", None, "b\rc", None), ValueError, "id must be one line"),
        (("a", None, "b\0c", None), ValueError, "null"),
        (("a", None, 7, None), TypeError, "id must be str"),
        (("a", None, None, -1), ValueError, "retry"),
        (("a", None, None, True), ValueError, "retry"),
        ((None, None, None, None), ValueError, "needs data"),
    ],
)
def test_what_cannot_be_sent(event: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        encode_event(*event)
