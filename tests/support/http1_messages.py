"""Heads of HTTP/1.1 as fields of HTTP/2, and back (RFC 9113 section 8.3): of requests that are well-formed."""

from __future__ import annotations

import base64
import hashlib
import http
from typing import NamedTuple, Optional

Fields = list[tuple[bytes, bytes]]
#: What is about the connection (RFC 9110 section 7.6.1).
HOP_BY_HOP = {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
#: What the server adds, in its own way of writing.
WRITTEN = {name.lower(): name for name in (b"Date", b"Server", b"Content-Length", b"Allow", b"Link")}
WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class RequestHead(NamedTuple):
    """What a request says before its content."""

    method: bytes
    target: bytes
    version: bytes
    fields: Fields

    def values(self, name: bytes) -> list[bytes]:
        """Every member of the lists of a field, in lower case."""
        return [member.strip().lower() for key, value in self.fields if key == name for member in value.split(b",")]

    @property
    def closes(self) -> bool:
        if self.version == b"HTTP/1.0":
            return b"keep-alive" not in self.values(b"connection")
        return b"close" in self.values(b"connection")

    @property
    def is_chunked(self) -> bool:
        return b"chunked" in self.values(b"transfer-encoding")

    @property
    def length(self) -> int:
        return int((self.values(b"content-length") or [b"0"])[0])

    @property
    def has_content(self) -> bool:
        return self.is_chunked or self.length > 0

    @property
    def opens_websocket(self) -> bool:
        return b"upgrade" in self.values(b"connection") and b"websocket" in self.values(b"upgrade")


def request_head(text: bytes) -> RequestHead:
    """Read the lines of a head."""
    first, *lines = text.split(b"\r\n")
    method, target, version = first.split(b" ")
    pairs = (line.partition(b":") for line in lines if line)
    return RequestHead(method, target, version, [(name.lower(), value.strip(b" \t")) for name, _, value in pairs])


def request_fields(head: RequestHead, *, extended: bool) -> Fields:
    """Return the same as fields of HTTP/2; ``extended`` asks for a websocket (RFC 8441)."""
    hosts = [value for name, value in head.fields if name == b"host"]
    # Who asks by HTTP/1.0 need not say whom.
    authority, scheme, path = (hosts or [b"localhost" if head.version == b"HTTP/1.0" else None])[0], b"http", head.target
    if b"://" in head.target:
        scheme, _, rest = head.target.partition(b"://")
        authority, slash, path = rest.partition(b"/")
        path = slash + path or b"/"
    if head.method == b"CONNECT":
        pseudo = [(b":method", head.method), (b":authority", head.target)]
    else:
        pseudo = [(b":method", b"CONNECT" if extended else head.method), (b":scheme", scheme), (b":path", path)]
        pseudo += [(b":authority", authority)] if authority is not None else []
        pseudo += [(b":protocol", b"websocket")] if extended else []
    left_out = HOP_BY_HOP | set(head.values(b"connection"))
    left_out |= {b"sec-websocket-key"} if extended else set()
    fields, host_seen = [], False
    for name, value in head.fields:
        if name == b"host" and not host_seen:
            host_seen = True
        elif name not in left_out and (name != b"te" or value.lower() == b"trailers"):
            fields.append((name, value))
    return [*pseudo, *fields]


class ResponseHead:
    """What a response says before its content."""

    def __init__(self, fields: Fields) -> None:
        self.status = int(dict(fields)[b":status"])
        self.fields = [(name, value) for name, value in fields if name != b":status"]

    @property
    def length(self) -> Optional[int]:
        return next((int(value) for name, value in self.fields if name == b"content-length"), None)

    def text(self, *more: bytes) -> bytes:
        """Write it, with lines of the server's own before the length, where that is last."""
        try:
            phrase = http.HTTPStatus(self.status).phrase.encode()
        except ValueError:
            phrase = b""
        lines = [WRITTEN.get(name, name) + b": " + value for name, value in self.fields]
        at = len(lines) - 1 if lines and self.fields[-1][0] == b"content-length" else len(lines)
        lines[at:at] = more
        return b"\r\n".join([b"HTTP/1.1 %d %b" % (self.status, phrase), *lines, b"", b""])

    def switching_text(self, request: RequestHead) -> bytes:
        """Write it as what opens a websocket (RFC 6455 section 4.2.2)."""
        key = next(value for name, value in request.fields if name == b"sec-websocket-key")
        accept = base64.b64encode(hashlib.sha1(key + WEBSOCKET_GUID).digest())
        self.status = 101
        return self.text(b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Accept: " + accept)
