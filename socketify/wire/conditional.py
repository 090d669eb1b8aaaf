"""Conditional and range requests for one representation (RFC 9110 sections 13 and 14), without any IO."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Callable, Optional

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_RANGE = re.compile(r"bytes[ \t]*=[ \t]*(?:([0-9]+)-([0-9]*)|-([0-9]+))[ \t]*", re.IGNORECASE)
#: No size has as many.
_DIGITS_MAX = 20

Header = Callable[[str], Optional[str]]


@dataclass(frozen=True)
class Representation:
    """The file or other content that a response would send.

    Args:
        size: bytes.
        etag: the entity tag, in quotes; it is strong (section 8.8.3).
        modified: seconds since the epoch, whole.

    """

    size: int
    etag: str
    modified: int


@dataclass(frozen=True)
class Answer:
    """The response to send: a status, and a range of bytes.

    ``length`` counts from ``start``; for 304, 412 and 416 nothing is sent.
    """

    status: int
    start: int = 0
    length: int = 0


def answer(method: str, header: Header, what: Representation) -> Answer:
    """Evaluate the preconditions in the order of section 13.2.2, then the range.

    Args:
        method: GET or HEAD.
        header: returns a field's value by lower-case name, or None.
        what: the representation.

    """
    status = precondition(method, header, what.etag, what.modified)
    if status:
        return Answer(status)
    asked = header("range")
    if asked is not None and method == "GET" and _range_applies(header("if-range"), what):
        return _range(asked, what.size)
    return Answer(200, 0, what.size)


def precondition(method: str, header: Header, etag: Optional[str], modified: Optional[int]) -> int:
    """Evaluate the preconditions of a request in the order of section 13.2.2.

    Args:
        method: of the request.
        header: returns a field's value by lower-case name, or None.
        etag: the entity tag of what is there now, in quotes, weak or strong; None for none.
        modified: when that was changed, in whole seconds since the epoch; None where it is not known.

    Returns:
        304 or 412; 0 where the request is to be done.

    """
    match = header("if-match")
    if match is not None:
        if not _matches(match, etag, weakly=False):
            return 412
    elif modified is not None:
        unmodified = _seconds(header("if-unmodified-since"))
        if unmodified is not None and modified > unmodified:
            return 412
    reads = method in ("GET", "HEAD")
    none_match = header("if-none-match")
    if none_match is not None:
        if _matches(none_match, etag, weakly=True):
            return 304 if reads else 412
    elif modified is not None and reads:
        since = _seconds(header("if-modified-since"))
        if since is not None and modified <= since:
            return 304
    return 0


def entity_tag(text: str, *, weak: bool = False) -> str:
    """Return an entity tag (section 8.8.3) of a text, which may be one already.

    Raises:
        TypeError: it is no str.
        ValueError: it holds blanks, quotes or control characters, or is not latin-1.

    """
    if not isinstance(text, str):
        message = f"etag must be str, not {type(text).__name__}"
        raise TypeError(message)
    tag = text if _TAG.fullmatch(text) else f'"{text}"'
    if not _TAG.fullmatch(tag):
        message = f"etag must hold no blanks, quotes and control characters, and be latin-1, not {text!r}"
        raise ValueError(message)
    return f"W/{tag}" if weak and not tag.startswith("W/") else tag


def _matches(field: str, etag: Optional[str], *, weakly: bool) -> bool:
    """Compare (section 8.8.3.2); ``*`` stands for whatever is there."""
    if field.strip() == "*":
        return True
    if etag is None or (etag.startswith("W/") and not weakly):
        return False
    tags = _TAG.findall(field)
    return any(_opaque(tag) == _opaque(etag) for tag in tags if weakly or not tag.startswith("W/"))


def _opaque(tag: str) -> str:
    return tag[2:] if tag.startswith("W/") else tag


def _seconds(date: Optional[str]) -> Optional[int]:
    """Return the seconds since the epoch of an HTTP date; None for an invalid one, which is ignored (section 13.1.3)."""
    if date is None:
        return None
    try:
        parsed = parsedate_to_datetime(date)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=timezone.utc)
    return int((parsed - datetime(1970, 1, 1, tzinfo=timezone.utc)).total_seconds())


def _range_applies(if_range: Optional[str], what: Representation) -> bool:
    if if_range is None:
        return True
    if if_range.startswith(('"', "W/")):
        return if_range.strip() == what.etag
    return _seconds(if_range) == what.modified


def _range(asked: str, size: int) -> Answer:
    """Return one range; several ranges, or an invalid one, get everything, which section 14.2 allows."""
    match = _RANGE.fullmatch(asked.strip())
    whole = Answer(200, 0, size)
    if match is None:
        return whole
    first, last, suffix = match.groups()
    if suffix is not None:
        length = min(_number(suffix), size)
        return Answer(206, size - length, length) if length else Answer(416)
    start = _number(first)
    end = min(_number(last), size - 1) if last else size - 1
    if last and _number(last) < start:
        return whole
    return Answer(206, start, end - start + 1) if start < size else Answer(416)


def _number(digits: str) -> int:
    """Return a number, or of a very long one another that is beyond every size: Python refuses to read such."""
    return int(digits.lstrip("0")[:_DIGITS_MAX] or "0")
