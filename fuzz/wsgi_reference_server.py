"""What a client sees of a WSGI application, and what is told of its errors: PEP 3333 and docs/wsgi.md, slow and obvious."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Optional

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
STATUS = re.compile(r"[2-9][0-9]{2}( [\t\x20-\x7e\x80-\xff]*)?")
VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
HOP_BY_HOP = ("keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "connection", "proxy-authenticate")
#: Larger lists are sent block by block.
WHOLE = 256 * 1024


class Seen(NamedTuple):
    """A response, as far as the application decides about it."""

    status: int
    #: Names in lower case, with Content-Length where there is one.
    headers: list[tuple[str, str]]
    body: bytes
    complete: bool
    #: Errors that are told in the log.
    errors: int


class Reference:
    """Serves one request."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.head: Optional[tuple[int, list[tuple[str, str]]]] = None
        self.length: Optional[int] = None
        self.sent = False
        self.body = b""
        self.errors = 0

    # ---- what the application calls

    def start_response(self, status: Any, headers: Any, exc_info: Any = None) -> Any:
        if exc_info and self.sent:
            raise exc_info[1]
        if not exc_info and self.head is not None:
            raise AssertionError
        if not isinstance(status, str) or not isinstance(headers, list):
            raise TypeError
        length: Optional[int] = None
        given = []
        for pair in headers:
            if not isinstance(pair, tuple) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
                raise TypeError
            name, value = pair
            if name.lower() in HOP_BY_HOP and name.lower() != "connection":
                continue
            if not TOKEN.fullmatch(name) or not VALUE.fullmatch(value):
                raise ValueError
            if name.lower() == "content-length":
                if not re.fullmatch(r"[0-9]{1,18}", value.strip()) or length not in (None, int(value)):
                    raise ValueError
                length = int(value)
            elif name.lower() != "connection":
                given.append((name.lower(), value.strip(" \t")))
        if not STATUS.fullmatch(status):
            raise ValueError
        self.head, self.length = (int(status[:3]), given), length
        return self.write

    def write(self, data: Any) -> None:
        if not isinstance(data, bytes):
            raise TypeError
        if data and self.put(data) < len(data):
            raise ValueError

    # ---- the connection

    def put(self, data: bytes) -> int:
        if self.head is None:
            raise AssertionError
        self.sent = True
        room = len(data) if self.length is None else self.length - len(self.body)
        self.body += data[:room]
        return min(room, len(data))

    def is_mute(self) -> bool:
        return self.method == "HEAD" or (self.head is not None and self.head[0] in (204, 304))

    # ---- the whole

    def serve(self, app: Any, environ: dict[str, Any]) -> Seen:
        result: Any = None
        failed = short = False
        try:
            result = app(environ, self.start_response)
            self.send(result)
            short = not self.is_mute() and self.length is not None and len(self.body) < self.length
            self.errors += short
        except BaseException:
            self.errors += 1
            failed = True
        try:
            if hasattr(result, "close"):
                result.close()
        except BaseException:
            self.errors += 1
        return self.seen(failed, short)

    def send(self, result: Any) -> None:
        is_list = isinstance(result, (list, tuple))
        small = is_list and not self.sent and self.head is not None
        if small and not all(isinstance(block, bytes) for block in result):
            raise TypeError
        size = sum(map(len, result)) if small else -1
        if self.length is None and small and self.head is not None and self.head[0] not in (204, 304):
            self.length = size if size > 0 or not self.is_mute() else None
        for block in result:
            if not isinstance(block, bytes):
                raise TypeError
            if not block:
                continue
            # Behind the end a block is too much, whatever the client waits for.
            if self.put(block) < len(block):
                self.errors += not (small and self.method == "HEAD")
                return
            if self.length is None and self.is_mute():
                return
        if self.head is None:
            raise AssertionError
        if self.length is None and not self.sent and not self.is_mute():
            self.length = 0
        self.sent = True

    def seen(self, failed: bool, short: bool) -> Seen:
        if failed and not self.sent:
            return Seen(500, [], b"" if self.method == "HEAD" else b"Internal Server Error", True, self.errors)
        assert self.head is not None
        status, headers = self.head
        if self.length is not None and status != 204:
            headers = [*headers, ("content-length", str(self.length))]
        # All that the client waits for may be there all the same.
        whole = self.is_mute() or (self.length is not None and len(self.body) >= self.length)
        complete = whole if failed else not short
        return Seen(status, headers, b"" if self.is_mute() else self.body, complete, self.errors)
