"""Publications in the protocol of NATS (https://docs.nats.io/reference/reference-protocols/nats-protocol)."""

from __future__ import annotations

import hashlib
import re
from typing import Optional

from .publication import is_utf8

#: Subjects that are longer are replaced by a hash of the topic: a line of the protocol has 4096 bytes.
SUBJECT_MAX = 1024

# What would divide the line, be a wildcard, or be taken for an escape; a first $ is for subjects of the server itself.
_SPECIAL = re.compile(r"[\x00- \x7f*>%]|^\.|^\$|\.(?=\.|$)")
_HEADER = re.compile(rb"\r\nsocketify:[ \t]*([a-z, \t]*)", re.IGNORECASE)


def encode_subject(topic: str) -> bytes:
    r"""Return the subject of a topic: the topic itself where it can be one.

    White space, control characters, ``*``, ``>``, ``%``, a first ``$``, and dots that have nothing before or behind them are
    written as ``%XX``, and the empty topic is ``%``. What would be longer than 1024 bytes is ``%`` and the topic's SHA-256.
    """
    subject = _SPECIAL.sub(lambda found: f"%{ord(found[0]):02X}", topic).encode() or b"%"
    return subject if len(subject) <= SUBJECT_MAX else b"%" + hashlib.sha256(topic.encode()).hexdigest().encode()


def encode_header(data: bytes, is_text: bool, compress: bool) -> bytes:
    """Return the header of a message, which is empty where the message says itself what it is.

    That is what one would take it for: UTF-8 for text, everything else for binary, and nothing for compressed.
    """
    if not compress and is_text == is_utf8(data):
        return b""
    return b"NATS/1.0\r\nSocketify: %b%b\r\n\r\n" % (b"text" if is_text else b"binary", b", compress" if compress else b"")


def frame_message(subject: bytes, header: bytes, data: bytes) -> bytes:
    """Return the command that publishes a message."""
    if not header:
        return b"PUB %b %d\r\n%b\r\n" % (subject, len(data), data)
    return b"HPUB %b %d %d\r\n%b%b\r\n" % (subject, len(header), len(header) + len(data), header, data)


def read_message(header: Optional[bytes], data: bytes) -> tuple[bool, bool]:
    """Return whether a message that arrived is text, and whether it is to be compressed for websockets."""
    found = _HEADER.search(header) if header else None
    if found is None:
        return is_utf8(data), False
    words = found[1].lower().replace(b",", b" ").split()
    # What another program calls text need not be UTF-8, which websockets require.
    return b"binary" not in words and is_utf8(data), b"compress" in words
