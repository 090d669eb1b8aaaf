"""Frames of the embedded broker: what is framed is read again, however it is fragmented."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socketify.topics.broker import Publication
from socketify.topics.brokers import local_frames as frames
from socketify.topics.brokers.local_frames import FrameError, FrameReader, Notice

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
publications = st.builds(Publication, names, st.binary(max_size=300), st.booleans(), st.booleans())
notices = st.one_of(
    st.builds(Notice, st.just(frames.HELLO), names, st.just([])),
    st.builds(Notice, st.sampled_from([frames.SUBSCRIBE, frames.UNSUBSCRIBE]), st.just(""), st.lists(names, min_size=1)),
    st.builds(Notice, st.sampled_from([frames.COMPLETE, frames.RESET]), st.just(""), st.just([])),
    st.builds(Notice, st.sampled_from([frames.QUESTION, frames.ANSWER]), names, st.just([])),
)


def framed(each: Any) -> bytes:
    if isinstance(each, Publication):
        return frames.frame_publication(*each)
    if each.kind == frames.HELLO:
        return frames.frame_hello(each.name)
    return b"".join(frames.frame_topics(each.kind, each.topics)) if each.topics else frames.frame_mark(each.kind, each.name)


@given(sent=st.lists(st.one_of(publications, notices), max_size=20), cuts=st.lists(st.integers(0, 8000), max_size=20))
def test_every_fragmentation_is_read_the_same(sent: list[Any], cuts: list[int]) -> None:
    stream = b"".join(framed(each) for each in sent)
    reader = FrameReader()
    read: list[Any] = []
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    for begin, end in zip(places, places[1:]):
        read.append(reader.feed(stream[begin:end]))
    assert [each for found, _ in read for each in found] == [each for each in sent if isinstance(each, Publication)]
    assert [each for _, found in read for each in found] == [each for each in sent if isinstance(each, Notice)]
    assert all(type(each) is Publication for found, _ in read for each in found)


@given(sent=st.lists(st.one_of(publications, notices), max_size=4))
def test_one_byte_at_a_time(sent: list[Any]) -> None:
    reader = FrameReader()
    count = 0
    for byte in b"".join(framed(each) for each in sent):
        count += sum(map(len, reader.feed(bytes([byte]))))
    assert count == len(sent)


def test_a_large_message_is_joined_once() -> None:
    sent = Publication("t", bytes(5_000_000), False, False)
    stream = frames.frame_publication(*sent)
    reader = FrameReader()
    read = [each for at in range(0, len(stream), 100) for each in reader.feed(stream[at : at + 100])[0]]
    assert read == [sent]


def test_many_topics_are_told_in_pieces() -> None:
    topics = [f"{'x' * 1000}{number}" for number in range(1000)]
    pieces = list(frames.frame_topics(frames.SUBSCRIBE, topics))
    assert len(pieces) > 10
    assert all(len(piece) < 40_000 for piece in pieces)
    _, read = FrameReader().feed(b"".join(pieces))
    assert [topic for notice in read for topic in notice.topics] == topics


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (struct.pack("<IHBB", 0, 0, 0, 0), "no kind 0"),
        (struct.pack("<IHBB", 0, 0, 77, 0), "no kind 77"),
        (struct.pack("<IHBB", 0, 1, frames.HELLO, 99) + b"x", "version 99"),
        (struct.pack("<IHBB", 0, 1, frames.PUBLISH, 0) + b"\xff", "not UTF-8"),
        (struct.pack("<IHBB", 1, 0, frames.SUBSCRIBE, 0) + b"x", "is cut"),
        (struct.pack("<IHBB", 3, 0, frames.SUBSCRIBE, 0) + b"\x02\x00x", "is cut"),
        (struct.pack("<IHBB", 3, 0, frames.SUBSCRIBE, 0) + b"\x01\x00\xff", "not UTF-8"),
    ],
)
def test_what_is_no_frame_is_refused(stream: bytes, message: str) -> None:
    with pytest.raises(FrameError, match=message):
        FrameReader().feed(stream)


@given(stream=st.binary(max_size=200))
def test_nothing_but_a_frame_error_is_raised(stream: bytes) -> None:
    with contextlib.suppress(FrameError):
        FrameReader().feed(stream)


def test_a_message_of_4_gib_cannot_be_framed() -> None:
    class Large(bytes):
        def __len__(self) -> int:
            return 2**32

    with pytest.raises(struct.error):
        frames.frame_publication("t", Large(), False, False)
