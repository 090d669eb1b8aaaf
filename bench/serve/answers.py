"""What all servers answer."""

from __future__ import annotations

from typing import Any

TEXT = "Hello, World!"
OBJECT = {"message": "Hello, World!"}
HEADERS = tuple((f"X-Header-{number}", "a value of a header") for number in range(20))
BODY = "x" * 10_000
ROUTES = 64
#: A stream: so many pieces of this.
PIECES, PIECE = 10, "x" * 199 + "\n"


def total(order: dict[str, Any]) -> dict[str, Any]:
    """What is answered to an order, a short object that was posted."""
    return {"name": order["name"], "total": order["price"] * 2}
