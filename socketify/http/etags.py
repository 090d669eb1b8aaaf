"""Conditional requests for what a handler makes (RFC 9110 section 13): answers that need not be sent again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import formatdate
from typing import Any, Optional, Union

from ..wire.conditional import entity_tag, precondition
from ..wire.headers import Headers, Text
from .request import Request
from .response import Response

#: Fields of the answer that a 304 has, too (section 15.4.5), beside those that were written before.
_KEPT = ("cache-control", "content-location", "expires", "vary")


def answer_unchanged(
    res: Response,
    req: Request,
    etag: Optional[str] = None,
    modified: Union[datetime, int, float, None] = None,
    *,
    weak: bool = False,
) -> bool:
    """Answer a request whose client has what it asks for, or wants to change what another one has changed meanwhile.

    Otherwise the answer of the handler to GET and HEAD gets the fields ETag and Last-Modified, by which clients ask the next
    time. Where it changes something they would name what was there before (section 9.3.4).

    Args:
        res: the response.
        req: its request.
        etag: names the present version, as a number of it or a hash, with or without quotes; None for no ETag.
        modified: when it was changed: a datetime, which is UTC unless it has another zone, or seconds since the epoch.
        weak: whether the versions of one name are the same in meaning, and not in each byte.

    Returns:
        Whether it was answered: with 304 for GET and HEAD where the client has this version, with 412 where the request is for
        another one only.

    Raises:
        TypeError: an argument has the wrong type, or etag and modified are both missing.
        ValueError: etag cannot be sent.

    """
    if etag is None and modified is None:
        message = "answer_unchanged needs etag, modified, or both"
        raise TypeError(message)
    tag = None if etag is None else entity_tag(etag, weak=weak)
    seconds = _seconds(modified)
    method = req.get_method()
    status = precondition(method, req.get_header, tag, seconds)
    if status or method in ("GET", "HEAD"):
        if tag is not None:
            res.write_header("ETag", tag)
        if seconds is not None:
            res.write_header("Last-Modified", formatdate(seconds, usegmt=True))
    if not status:
        return False
    if status == 304:
        res.write_status(status).end_without_body()
    else:
        res.send("Precondition Failed", status=status)
    return True


def send_with_etag(
    res: Response, req: Request, message: Any = b"", content_type: Optional[Text] = None, headers: Optional[Headers] = None
) -> Response:
    """Send an answer with an ETag made of its bytes; a client that has it already gets 304 and no body.

    The handler does its work all the same: what is saved is the way to the client. Methods other than GET and HEAD get an
    answer without an ETag, and so does every method where another status than 2xx was written (section 13.2.1).

    Args:
        res: the response.
        req: its request.
        message: as for :meth:`socketify.Response.send`.
        content_type: None for JSON where it goes through the serializer, else ``text/plain``, or what was written before.
        headers: as for :meth:`socketify.Response.send`.

    Raises:
        TypeError, ValueError, RuntimeError: see :meth:`socketify.Response.send`.

    """
    data, is_json = res.exchange_.core.encoded(message)
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers or ())
    if req.get_method() in ("GET", "HEAD") and res.exchange_.head.status.startswith(b"2"):
        tag = f'"{hashlib.blake2b(data, digest_size=16).hexdigest()}"'
        if precondition("GET", req.get_header, tag, None):
            for name, value in pairs:
                if (name.decode("latin-1") if isinstance(name, bytes) else name).lower() in _KEPT:
                    res.write_header(name, value)
            answer_unchanged(res, req, tag)
            return res
        res.write_header("ETag", tag)
    if content_type is not None:
        return res.send(data, content_type, headers=pairs)
    if is_json and not res.exchange_.head.has_content_type():
        return res.send(data, "application/json", headers=pairs)
    return res.send(data, headers=pairs)


def _seconds(modified: Union[datetime, int, float, None]) -> Optional[int]:
    if modified is None:
        return None
    if isinstance(modified, datetime):
        aware = modified if modified.tzinfo is not None else modified.replace(tzinfo=timezone.utc)
        return int(aware.timestamp())
    if isinstance(modified, bool) or not isinstance(modified, (int, float)):
        message = f"modified must be a datetime or seconds since the epoch, not {modified!r}"
        raise TypeError(message)
    return int(modified)
