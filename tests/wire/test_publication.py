"""A published message as the bytes that a broker carries."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from socketify.wire.publication import decode_message, encode_message

MESSAGES = st.one_of(st.binary(max_size=20), st.text(max_size=10).map(str.encode), st.binary(max_size=4).map(b"\xffsk".__add__))


@given(MESSAGES, st.booleans(), st.booleans())
@example(b"", True, False)
@example(b"\xffsk", False, False)
@example(b"\xff", True, False)
def test_everything_survives(data: bytes, is_text: bool, compress: bool) -> None:
    assert decode_message(encode_message(data, is_text, compress)) == (data, is_text, compress)


@given(MESSAGES)
def test_what_other_programs_publish_arrives(payload: bytes) -> None:
    data, is_text, compress = decode_message(payload)
    assert payload.endswith(data)
    if not payload.startswith(b"\xffsk"):
        assert (data, compress) == (payload, False)
        assert encode_message(data, is_text, compress) == payload


@pytest.mark.parametrize(
    ("message", "payload"),
    [
        ((b"hello", True, False), b"hello"),
        ("é".encode(), "é".encode()),
        ((b"\xff\x00", False, False), b"\xff\x00"),
        ((b"hello", False, False), b"\xffsk\x00hello"),
        ((b"hello", True, True), b"\xffsk\x03hello"),
        ((b"", False, True), b"\xffsk\x02"),
    ],
)
def test_the_documented_format(message: object, payload: bytes) -> None:
    arguments = message if isinstance(message, tuple) else (message, True, False)
    assert encode_message(*arguments) == payload
    assert decode_message(payload) == arguments


def test_unknown_flags_are_a_message() -> None:
    assert decode_message(b"\xffsk\x04hello") == (b"\xffsk\x04hello", False, False)
    assert decode_message(b"\xffsk") == (b"\xffsk", False, False)
