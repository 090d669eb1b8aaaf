"""The contents of a request, copied out of the receive buffer."""

from __future__ import annotations

from ..native.abi import DUMP_ANCIENT, DUMP_SECURE


class Snapshot:
    """A request that outlives its handler's first wait.

    Args:
        dump: what ``sk_req_dump`` returned.

    """

    __slots__ = ("ancient", "full_url", "headers", "method", "parameters", "secure")

    def __init__(self, dump: str) -> None:
        lines = dump.split("\n")
        flags = int(lines[0])
        self.ancient = flags & DUMP_ANCIENT != 0
        self.secure = flags & DUMP_SECURE != 0
        self.method = lines[1]
        self.full_url = lines[2]
        first_field = 4 + int(lines[3])
        self.parameters = lines[4:first_field]
        self.headers = list(zip(lines[first_field::2], lines[first_field + 1 :: 2]))
