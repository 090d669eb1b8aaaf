"""The calls of WSGI into the native side, on the loop's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Optional

from ..native import lib
from ..native import send as _send
from ..native import stream as _stream
from ..native.abi import BUFFERED, GONE, KEEP_LENGTH, NO_BODY, OK

if TYPE_CHECKING:
    from .head import Head

_ON_ITS_WAY = (OK, BUFFERED)
_flush: Callable[[int], int] = lib.sk_res_flush


def send_response(handle: int, head: Head, data: bytes, method: str) -> int:
    """Send a response that is complete and small."""
    # The length that GET would have is not known.
    flags = KEEP_LENGTH | NO_BODY if method == "HEAD" and not data else KEEP_LENGTH
    return _checked(_send(handle, head.block, head.fields, data, flags))


def stream_response(handle: int, head: Optional[Head], data: bytes) -> int:
    """Send a piece, before it the head, without waiting for the end of the turn (PEP 3333, Buffering and Streaming)."""
    block, fields = (None, 0) if head is None else (head.block, head.fields)
    result = _stream(handle, block, fields, data)
    return _flush(handle) if result in _ON_ITS_WAY else _checked(result)


def end_response(handle: int, cut: bool) -> int:
    """End a streamed response, or cut the connection."""
    result: int = lib.sk_res_close(handle) if cut else _send(handle, None, 0, b"", 0)
    return result


def _checked(result: int) -> int:
    if result < 0 and result != GONE:
        message = f"the native side refused the head of the response ({result})"
        raise RuntimeError(message)
    return result
