"""What is compared between two servers."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx

#: Fields that tell of the server, or of the moment.
_OWN_FIELDS = {"date", "server", "connection", "keep-alive", "x-request-id", "mcp-session-id", "last-modified", "etag"}
#: A body of one piece without a length: uvicorn sends it in chunks, socketify counts it.
_FRAMING_FIELDS = {"content-length", "transfer-encoding"}


def told(response: httpx.Response, *ignored: str) -> dict[str, Any]:
    """Give what a client sees of a response.

    Args:
        response: its body read.
        *ignored: names of fields that are never the same, or ``body``.

    """
    origin = f"{response.request.url.scheme}://{response.request.url.netloc.decode()}"
    fields = sorted((name.lower(), value.replace(origin, "")) for name, value in response.headers.multi_items())
    content = "" if "body" in ignored else f"{len(response.content)} {hashlib.sha256(response.content).hexdigest()[:16]}"
    return {
        "request": f"{response.request.method} {response.request.url.raw_path.decode()}",
        "status": response.status_code,
        "fields": [each for each in fields if each[0] not in {*_OWN_FIELDS, *_FRAMING_FIELDS, *ignored}],
        "framing": [each for each in fields if each[0] in _FRAMING_FIELDS and each[0] not in ignored],
        "body": content,
    }


def is_same(ours: Any, theirs: Any) -> bool:
    """Tell whether two servers did the same: a length that only one of them knows is none of the application's."""
    if not isinstance(ours, dict) or not isinstance(theirs, dict) or "framing" not in ours or "framing" not in theirs:
        return bool(ours == theirs)
    lengths = [value for each in (ours, theirs) for name, value in each["framing"] if name == "content-length"]
    counted = {**ours, "framing": None} == {**theirs, "framing": None}
    return counted and (len(lengths) < 2 or lengths[0] == lengths[1])
