"""Subjects and commands of NATS."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socketify.wire.nats import encode_header, encode_subject, frame_message, read_message


@pytest.mark.parametrize("topic", ["news", "news.sport", "a-b_c/d:e", "ü.\U0001f600", "a$b", "x" * 1024])
def test_plain_topics_are_subjects_as_they_are(topic: str) -> None:
    assert encode_subject(topic) == topic.encode()


@pytest.mark.parametrize(
    ("topic", "subject"),
    [
        ("", b"%"),
        ("a b\t\r\n\0", b"a%20b%09%0D%0A%00"),
        ("*", b"%2A"),
        ("a.>", b"a.%3E"),
        ("100%", b"100%25"),
        ("$SYS.REQ", b"%24SYS.REQ"),
        (".", b"%2E"),
        (".a..b.", b"%2Ea%2E.b%2E"),
    ],
)
def test_what_cannot_be_a_subject_is_encoded(topic: str, subject: bytes) -> None:
    assert encode_subject(topic) == subject


# Strings of what is special, as well as any.
TOPICS = (
    st.text(st.sampled_from(".*>%$ \na2E0")) | st.text(st.characters(exclude_categories=["Cs"])) | st.text("a", min_size=1000)
)


@given(TOPICS, TOPICS)
def test_every_topic_has_a_subject_of_its_own(one: str, other: str) -> None:
    subject = encode_subject(one)
    assert len(subject) <= 1024
    assert all(re.fullmatch(rb"[^\x00- \x7f*>]+", token) for token in subject.split(b"."))
    assert not subject.startswith(b"$")
    assert (subject == encode_subject(other)) == (one == other)


@given(st.binary(), st.booleans(), st.booleans())
def test_what_a_message_is_survives(data: bytes, is_text: bool, compress: bool) -> None:
    header = encode_header(data, is_text, compress)
    found = read_message(header or None, data)
    try:
        data.decode()
    except UnicodeDecodeError:
        # There is no such text.
        assert found == (False, compress)
    else:
        assert found == (is_text, compress)
        assert bool(header) == (compress or not is_text)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"NATS/1.0\r\nTrace: 1\r\n\r\n", (True, False)),
        (b"NATS/1.0\r\nTrace: 1\r\nsocketify:BINARY\r\n\r\n", (False, False)),
        (b"NATS/1.0\r\nSOCKETIFY:  text ,compress\r\n\r\n", (True, True)),
        (b"NATS/1.0 503\r\n\r\n", (True, False)),
    ],
)
def test_headers_of_others(header: bytes, expected: tuple[bool, bool]) -> None:
    assert read_message(header, b"x") == expected


def test_commands() -> None:
    assert frame_message(b"a", b"", b"x\r\n") == b"PUB a 3\r\nx\r\n\r\n"
    header = encode_header(b"x", False, False)
    assert frame_message(b"a", header, b"x") == b"HPUB a 31 32\r\nNATS/1.0\r\nSocketify: binary\r\n\r\nx\r\n"
