"""Content codings of responses (RFC 9110 section 8.4): which one a client wants, and what the head says then."""

from __future__ import annotations

import re
from typing import Callable, NamedTuple, Optional

IDENTITY = "identity"
#: What is looked for; a field may name thousands of others.
_NAMES = frozenset(("zstd", "br", "gzip", "x-gzip", IDENTITY, "*"))
_WEIGHT = re.compile(r"\s*q\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*", re.IGNORECASE)
#: What is about the bytes that are sent, and would be wrong for others (RFC 9530, RFC 3230, RFC 1864).
_OF_THE_BYTES = frozenset((b"content-range", b"content-digest", b"repr-digest", b"digest", b"content-md5"))
#: What is true of content as it is only: its length, and that parts of it can be had.
_OF_IDENTITY = frozenset((b"content-length", b"accept-ranges"))


def weights(field: Optional[str]) -> dict[str, float]:
    """Return the weights of the codings that an Accept-Encoding field names and that are known here (RFC 9110 section 12.5.3).

    A weight that is none counts as 1. Of a coding that is named twice, the first weight counts; ``x-gzip`` is ``gzip``.
    """
    found: dict[str, float] = {}
    for part in (field or "").split(","):
        coding, _, parameters = part.partition(";")
        name = coding.strip().lower()
        if name in _NAMES:
            weight = _WEIGHT.fullmatch(parameters)
            found.setdefault("gzip" if name == "x-gzip" else name, 1.0 if weight is None else float(weight[1]))
    return found


def accepted_codings(field: Optional[str], codings: tuple[str, ...]) -> set[str]:
    """Return those of some codings that an Accept-Encoding field allows, by name or by ``*``."""
    given = weights(field)
    rest = given.get("*", 0.0)
    return {coding for coding in codings if given.get(coding, rest) > 0}


def choose_coding(field: Optional[str], codings: tuple[str, ...]) -> tuple[Optional[str], bool]:
    """Choose the coding that a client prefers.

    Args:
        field: its Accept-Encoding.
        codings: those that there are, the server's favourite first, which gets what the client likes as well as others.

    Returns:
        The coding, or None for content as it is; and whether the client refuses that.

    """
    given = weights(field)
    rest = given.get("*", 0.0)
    best: Optional[str] = None
    weight = 0.0
    for coding in codings:
        if given.get(coding, rest) > weight:
            best, weight = coding, given.get(coding, rest)
    refuses_identity = given.get(IDENTITY, given.get("*", 1.0)) == 0
    # Without a word on it, content as it is is what others are better than.
    return (None, False) if given.get(IDENTITY, 0.0) > weight else (best, refuses_identity)


class CodedHead(NamedTuple):
    """What to send instead of a head.

    Args:
        block: status and fields, as the native side takes them.
        coding: that of the content, or None for content as it is.

    """

    block: bytes
    coding: Optional[str]


class _Facts:
    """What the fields of a response say about coding it."""

    __slots__ = ("coding", "content_type", "etag", "is_fixed", "varies")

    def __init__(self, lines: list[bytes]) -> None:
        self.content_type: Optional[str] = None
        self.coding: Optional[bytes] = None
        self.etag = False
        #: Whether the content must stay as it is.
        self.is_fixed = False
        #: Whether Vary names Accept-Encoding already, or everything.
        self.varies = False
        for index in range(1, len(lines), 2):
            name, value = lines[index].lower(), lines[index + 1]
            if name == b"content-type":
                self.content_type = value.decode("latin-1")
            elif name == b"content-encoding":
                self.coding = value.strip().lower()
            elif name == b"etag":
                self.etag = True
            elif name in _OF_THE_BYTES or (name == b"cache-control" and b"no-transform" in members(value)):
                self.is_fixed = True
            elif name == b"vary" and not members(value).isdisjoint((b"*", b"accept-encoding")):
                self.varies = True


def members(value: bytes) -> set[bytes]:
    """Return the members of a list, in lower case."""
    return {each.strip().lower() for each in value.split(b",")}


def plan_head(
    block: bytes,
    accepts: Optional[str],
    codings: tuple[str, ...],
    is_compressible: Callable[[str], bool],
    *,
    small: bool = False,
    weak_match: bool = False,
) -> Optional[CodedHead]:
    """Decide about a response whose content may be coded.

    Args:
        block: its status and fields, separated by line feeds; it is valid.
        accepts: the Accept-Encoding of its request.
        codings: those that there are, the favourite first.
        is_compressible: says it of a media type.
        small: whether its content is too short to be worth it; it is coded only for a client that refuses it as it is.
        weak_match: whether a weak tag was among those of If-None-Match: the client has coded content.

    Returns:
        The head to send; None for the one that is there.

    """
    lines = block.split(b"\n") if block else [b"200 OK"]
    facts = _Facts(lines)
    if facts.is_fixed or facts.coding not in (None, b"", b"identity"):
        return None
    if facts.coding is not None:
        # Whoever says so does not want it to be coded; the word is none of a response (RFC 9110 section 8.4.1).
        return CodedHead(b"\n".join(_without(lines, frozenset((b"content-encoding",)))), None)
    coding, must_be_coded = choose_coding(accepts, codings)
    if lines[0][:3] == b"304":
        return _plan_unmodified(lines, facts, is_compressible, weak_match=weak_match and coding is not None)
    wants = must_be_coded and coding is not None
    if not wants and (small or facts.content_type is None or not is_compressible(facts.content_type)):
        return None
    if coding is None:
        return None if facts.varies else CodedHead(b"\n".join([*lines, b"Vary", b"Accept-Encoding"]), None)
    parts = _weakened(_without(lines, _OF_IDENTITY))
    parts += (b"Content-Encoding", coding.encode())
    if not facts.varies:
        parts += (b"Vary", b"Accept-Encoding")
    return CodedHead(b"\n".join(parts), coding)


def _plan_unmodified(
    lines: list[bytes], facts: _Facts, is_compressible: Callable[[str], bool], *, weak_match: bool
) -> Optional[CodedHead]:
    """Return the head of a 304, which has the tag and the Vary of the 200 that it stands for (RFC 9110 section 15.4.5)."""
    if not facts.etag or (facts.content_type is not None and not is_compressible(facts.content_type)):
        return None
    parts = _weakened(lines) if weak_match else list(lines)
    if not facts.varies:
        parts += (b"Vary", b"Accept-Encoding")
    return None if parts == lines else CodedHead(b"\n".join(parts), None)


def _without(lines: list[bytes], names: frozenset[bytes]) -> list[bytes]:
    kept = lines[:1]
    for index in range(1, len(lines), 2):
        if lines[index].lower() not in names:
            kept += lines[index : index + 2]
    return kept


def _weakened(lines: list[bytes]) -> list[bytes]:
    """Let the tags be weak: content of several codings has the same one, and is not the same bytes (RFC 9110 section 8.8.3)."""
    parts = lines[:1]
    for index in range(1, len(lines), 2):
        name, value = lines[index], lines[index + 1]
        parts += (name, b"W/" + value if name.lower() == b"etag" and value.startswith(b'"') else value)
    return parts
