"""Messages of a channel layer, as bytes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from socketify.wire.channel_messages import decode_message, encode_message

simple = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
keys = st.text() | st.sampled_from(["", "\0", "\0\0", "\0a", "\\u0000"])
values = st.recursive(simple, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=20)


# Machines that are imitated are slow.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(keys, values))
def test_what_is_decoded_is_what_was_encoded(message: dict[str, Any]) -> None:
    assert decode_message(encode_message(message)) == message


def test_tuples_and_buffers() -> None:
    sent = {"a": (1, (2,)), "b": bytearray(b"\xff"), "c": memoryview(b"x")}
    assert decode_message(encode_message(sent)) == {"a": [1, [2]], "b": b"\xff", "c": b"x"}


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ([], "a message must be a dict, not list"),
        ({"a": {1: 2}}, r"message\['a'\] has the key 1: keys must be str"),
        ({"a": [0, {"b": object()}]}, r"message\['a'\]\[1\]\['b'\] is object: messages hold str, bytes"),
        ({"a": {1, 2}}, r"message\['a'\] is set"),
    ],
)
def test_what_cannot_be_sent(message: Any, error: str) -> None:
    with pytest.raises(TypeError, match=error):
        encode_message(message)


@pytest.mark.parametrize("data", [b"", b"x", b"[]", b'"a"', b'{"\\u0000":"bytes"}', b'{"a":{"\\u0000":"?"}}', b"\xff"])
def test_what_is_no_message(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_message(data)
