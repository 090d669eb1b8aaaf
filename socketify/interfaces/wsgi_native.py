"""What WSGI asks of the native side; on the loop's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from ..native import calls, lib
from ..native.declarations import GONE, KEEP_LENGTH, NO_BODY

if TYPE_CHECKING:
    from .wsgi_head import Head

_send = calls.send
_stream = calls.stream


def send_response(handle: int, head: Head, data: bytes, method: str) -> int:
    """Send a response that is complete, and small."""
    # Nobody knows the length of what would have been the answer to GET.
    flags = KEEP_LENGTH | NO_BODY if method == "HEAD" and not data else KEEP_LENGTH
    return _checked(_send(handle, head.block, head.fields, data, flags))


def stream_response(handle: int, head: Optional[Head], data: bytes) -> int:
    """Send a piece, before it the head."""
    if head is None:
        return _checked(_stream(handle, None, 0, data))
    return _checked(_stream(handle, head.block, head.fields, data))


def end_response(handle: int, cut: bool) -> int:
    """End what was streamed, or cut the connection."""
    result: int = lib.sk_res_close(handle) if cut else _send(handle, None, 0, b"", 0)
    return result


def _checked(result: int) -> int:
    if result < 0 and result != GONE:
        message = f"the native side refused the head of the response ({result})"
        raise RuntimeError(message)
    return result
