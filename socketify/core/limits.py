"""What clients may send, and how long they may take."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Optional

from ..native import abi

_INT32_MAX = 2**31 - 1
_TIMEOUT_MAX = 24 * 60 * 60
_BACKLOG_MAX = 65535
_STREAMS_MAX = 65536

#: Name: least and greatest value.
_RANGES = {
    "max_target_bytes": (1, abi.MAX_TARGET_BYTES),
    "max_header_bytes": (1, abi.MAX_HEADER_BYTES),
    "max_header_count": (1, abi.MAX_HEADER_COUNT),
    "max_body_size": (0, 2**63 - 1),
    "max_chunk_extension_bytes": (0, _INT32_MAX),
    "max_trailer_bytes": (0, _INT32_MAX),
    "header_timeout": (0, _TIMEOUT_MAX),
    "body_timeout": (0, _TIMEOUT_MAX),
    "min_body_rate": (1, _INT32_MAX),
    "write_timeout": (0, _TIMEOUT_MAX),
    "response_timeout": (0, _TIMEOUT_MAX),
    "keep_alive_timeout": (0, _TIMEOUT_MAX),
    "max_connections": (0, _INT32_MAX),
    "max_concurrent_requests": (0, _INT32_MAX),
    "max_streams": (1, _STREAMS_MAX),
    "max_backpressure": (0, _INT32_MAX),
    "backlog": (1, _BACKLOG_MAX),
}


@dataclass(frozen=True)
class Limits:
    """The bounds of every connection of an app. Time-outs are whole seconds, and may take up to two more.

    A client that exceeds one gets the answer that is named here, with ``Connection: close``, and nothing that it
    sends afterwards is read.

    Args:
        max_target_bytes: of the request target, at most 1 MiB; 414 (RFC 9110 section 15.5.15).
        max_header_bytes: of all header fields of a request, at most 1 MiB; 431 (RFC 6585 section 5).
        max_header_count: header fields of a request, at most 128; 431.
        max_body_size: bytes of a request's body, None for no limit; 413 (RFC 9110 section 15.5.14), before the body is
            read if its Content-Length says so, else as soon as its chunks exceed it.
        max_chunk_extension_bytes: of one chunk (RFC 9112 section 7.1.1); 431.
        max_trailer_bytes: of all trailer fields of a request; 431.
        header_timeout: for a request's head, from its first byte or from the beginning of the connection; 408 (RFC 9110
            section 15.5.9), or no answer if no byte has arrived. 0 for no time-out.
        body_timeout: in each such time a body that is waited for must bring ``min_body_rate`` bytes per second on average,
            else 408, and the response aborts; 0 for no time-out. Reading that is paused does not count.
        min_body_rate: bytes per second.
        write_timeout: for a client that reads nothing of what waits for it; then the connection is cut. 0 for no time-out.
        response_timeout: for a handler that neither ends its response nor writes anything of it, because it forgot it or waits
            for what never happens; then it is an error, answered with 500, or by a cut when the head is out. Every piece
            that is written, and every piece of the body that arrives, restarts it: it must be longer than the longest pause of
            event streams and long polls. 0 for no time-out.
        keep_alive_timeout: between two requests of a connection; then it is closed. 0 for no time-out.
        max_connections: open ones, websockets included; while there are so many, further ones wait to be accepted. 0 for
            no limit.
        max_concurrent_requests: that are not answered yet, and open websockets, all together; beyond it requests are answered
            at once with 503 and ``Retry-After: 1`` (RFC 9110 section 15.6.4), and its connection kept. 0 for no limit.
        max_streams: requests of a connection of HTTP/2 at a time, and websockets on it; the client is told, and further
            ones are refused (RFC 9113 section 5.1.2).
        max_backpressure: bytes that may wait for a client that pipelines requests and does not read; then its requests wait.
        backlog: connections that may wait to be accepted; the system may allow less.

    Raises:
        TypeError: a value is no int.
        ValueError: a value is out of range; the message names it.

    """

    max_target_bytes: int = 8192
    max_header_bytes: int = 16384
    max_header_count: int = 100
    max_body_size: Optional[int] = None
    max_chunk_extension_bytes: int = 4096
    max_trailer_bytes: int = 8192
    header_timeout: int = 10
    body_timeout: int = 20
    min_body_rate: int = 500
    write_timeout: int = 30
    response_timeout: int = 3600
    keep_alive_timeout: int = 10
    max_connections: int = 0
    max_concurrent_requests: int = 0
    max_streams: int = 100
    max_backpressure: int = 1024 * 1024
    backlog: int = 2048

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None and field.name == "max_body_size":
                continue
            least, greatest = _RANGES[field.name]
            if not isinstance(value, int) or isinstance(value, bool):
                message = f"{field.name} must be an int, not {value!r}"
                raise TypeError(message)
            if not least <= value <= greatest:
                message = f"{field.name} must be from {least} to {greatest}, not {value}"
                raise ValueError(message)

    def native(self) -> dict[str, int]:
        """Return the members of ``sk_app_options`` for these limits."""
        return {
            "max_target_bytes": self.max_target_bytes,
            "max_header_bytes": self.max_header_bytes,
            "max_header_count": self.max_header_count,
            "max_body_bytes": abi.NO_BODY_LIMIT if self.max_body_size is None else self.max_body_size,
            "max_chunk_extension_bytes": self.max_chunk_extension_bytes,
            "max_trailer_bytes": self.max_trailer_bytes,
            "header_timeout_s": self.header_timeout,
            "body_timeout_s": self.body_timeout,
            "min_body_bytes_per_s": self.min_body_rate,
            "write_timeout_s": self.write_timeout,
            "response_timeout_s": self.response_timeout,
            "keep_alive_timeout_s": self.keep_alive_timeout,
            "max_connections": self.max_connections,
            "max_concurrent_requests": self.max_concurrent_requests,
            "max_streams": self.max_streams,
            "max_backpressure_bytes": self.max_backpressure,
            "backlog": self.backlog,
        }
