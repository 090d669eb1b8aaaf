"""Who may open a websocket: origins, and numbers of connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from ..http.request import Request


def is_same_origin(req: Request) -> bool:
    """Return whether the page that opens the websocket is of the same host (RFC 6455 section 10.2).

    It is True, too, for clients that are not browsers, as those send no Origin.
    """
    origin = req.get_header("origin")
    return origin is None or origin.partition("://")[2].lower() == (req.get_header("host") or "").lower()


class Admission:
    """The limits of one route.

    Args:
        origins: of pages that may connect; None for all. Clients that send no Origin may, as browsers always send one.
        total: connections at the same time; 0 for no limit.
        per_address: connections of one address at the same time; 0 for no limit.

    """

    def __init__(self, origins: Optional[Collection[str]], total: int, per_address: int) -> None:
        self._origins = None if origins is None else frozenset(origin.lower().rstrip("/") for origin in origins)
        self._total = total
        self._per_address = per_address
        self._count = 0
        self._addresses: Counter[bytes] = Counter()
        self.is_limited = origins is not None or total > 0 or per_address > 0

    def refusal(self, origin: Optional[str], address: bytes) -> Optional[tuple[int, bytes]]:
        """Return the status and text to refuse a request with, or None to let it in.

        Args:
            origin: the request's Origin; None without one.
            address: of the client, packed.

        """
        if self._origins is not None and origin is not None and origin.lower() not in self._origins:
            return 403, b"Forbidden"
        if self._total and self._count >= self._total:
            return 503, b"Service Unavailable"
        if self._per_address and self._addresses[address] >= self._per_address:
            return 429, b"Too Many Requests"
        return None

    def enter(self, address: bytes) -> None:
        """Count a connection that opened."""
        self._count += 1
        if self._per_address:
            self._addresses[address] += 1

    def leave(self, address: bytes) -> None:
        """Stop counting a connection, as it closed."""
        self._count -= 1
        if self._per_address:
            self._addresses[address] -= 1
            if self._addresses[address] <= 0:
                del self._addresses[address]
