"""The format of what processes of one machine tell each other about topics: pure functions of bytes.

A frame is a header of 8 bytes, a name and data. The header has, in little-endian order, the number of bytes of the data (4) and
of the name (2), the kind (1) and flags (1).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..broker import Publication

#: The version of this format, which the first frame of a connection has.
VERSION = 1

#: The first frame of a connection: the name is that of the process, the flags are the version.
HELLO = 1
#: A publication: the name is the topic, the data the message.
PUBLISH = 2
#: The data are topics that the process wants from now on, or does not want any more: of each the number of bytes (2), and it.
SUBSCRIBE = 3
UNSUBSCRIBE = 4
#: From now on the process gets only what it subscribed to; before, it gets everything.
COMPLETE = 5
#: The process has subscribed to nothing until now, whatever it told, and gets everything until the next COMPLETE.
RESET = 6
#: A question, which is answered by ANSWER with the same name when everything before it was read.
QUESTION = 7
ANSWER = 8

_TEXT = 1
_COMPRESS = 2
#: is_text and compress for each value of the flags.
_MEANINGS = tuple((bool(flags & _TEXT), bool(flags & _COMPRESS)) for flags in range(256))
_HEADER = struct.Struct("<IHBB")
_TOPIC = struct.Struct("<H")
#: How many bytes of topics are told in one frame.
_TOPICS_BYTES = 32_768


class FrameError(ValueError):
    """What arrived is no frame of this format."""


class Notice(NamedTuple):
    """Anything but a publication."""

    kind: int
    #: Of HELLO that of the process.
    name: str
    #: Of SUBSCRIBE and UNSUBSCRIBE.
    topics: list[str]


def frame_publication(topic: str, data: bytes, is_text: bool, compress: bool) -> bytes:
    """Return the frame of a publication.

    Raises:
        struct.error: the message has 4 GiB or more.

    """
    name = topic.encode()
    return _HEADER.pack(len(data), len(name), PUBLISH, is_text | compress << 1) + name + data


def frame_hello(name: str) -> bytes:
    """Return the first frame of a connection."""
    encoded = name.encode()
    return _HEADER.pack(0, len(encoded), HELLO, VERSION) + encoded


def frame_mark(kind: int, name: str = "") -> bytes:
    """Return a frame without data, as COMPLETE."""
    encoded = name.encode()
    return _HEADER.pack(0, len(encoded), kind, 0) + encoded


def frame_topics(kind: int, topics: Iterable[str]) -> Iterator[bytes]:
    """Return the frames by which topics are told."""
    parts: list[bytes] = []
    size = 0
    for topic in topics:
        name = topic.encode()
        if size + len(name) > _TOPICS_BYTES and parts:
            yield _HEADER.pack(size, 0, kind, 0) + b"".join(parts)
            parts.clear()
            size = 0
        parts.append(_TOPIC.pack(len(name)) + name)
        size += len(parts[-1])
    if parts:
        yield _HEADER.pack(size, 0, kind, 0) + b"".join(parts)


class FrameReader:
    """Cuts what arrives on a connection into frames, however it is fragmented."""

    def __init__(self) -> None:
        # What has arrived of a frame that is not complete, and how many bytes make it complete, as far as that is known.
        self._begun: list[bytes] = []
        self._size = 0
        self._needed = _HEADER.size

    def feed(self, received: bytes) -> tuple[list[Publication], list[Notice]]:
        """Return the publications and the notices that are complete, each in order.

        Args:
            received: what arrived, of any length.

        Raises:
            FrameError: it is none of this format.

        """
        if self._begun:
            self._begun.append(received)
            self._size += len(received)
            if self._size < self._needed:
                return [], []
            received = b"".join(self._begun)
            self._begun.clear()
        publications: list[Publication] = []
        notices: list[Notice] = []
        unpack, header_size, made = _HEADER.unpack_from, _HEADER.size, tuple.__new__
        at, end = 0, len(received)
        needed = header_size
        try:
            while end - at >= header_size:
                data_size, name_size, kind, flags = unpack(received, at)
                name_at = at + header_size
                data_at = name_at + name_size
                stop = data_at + data_size
                if stop > end:
                    needed = stop - at
                    break
                if kind == PUBLISH:
                    name = received[name_at:data_at].decode()
                    publications.append(made(Publication, (name, received[data_at:stop], *_MEANINGS[flags])))
                else:
                    notices.append(_notice(kind, flags, received[name_at:data_at].decode(), received[data_at:stop]))
                at = stop
        except UnicodeDecodeError as error:
            message = f"a name is not UTF-8: {error}"
            raise FrameError(message) from error
        if at < end:
            self._begun.append(received[at:] if at else received)
        self._size = end - at
        self._needed = needed
        return publications, notices


def _notice(kind: int, flags: int, name: str, data: bytes) -> Notice:
    if not HELLO <= kind <= ANSWER:
        message = f"there is no kind {kind}"
        raise FrameError(message)
    if kind == HELLO and flags != VERSION:
        message = f"the other process has version {flags} of the format, and this one version {VERSION}"
        raise FrameError(message)
    return Notice(kind, name, list(_topics(data)))


def _topics(data: bytes) -> Iterator[str]:
    at = 0
    while at < len(data):
        if len(data) - at < _TOPIC.size:
            message = "a list of topics is cut"
            raise FrameError(message)
        (size,) = _TOPIC.unpack_from(data, at)
        at += _TOPIC.size
        if len(data) - at < size:
            message = "a list of topics is cut"
            raise FrameError(message)
        yield data[at : at + size].decode()
        at += size
