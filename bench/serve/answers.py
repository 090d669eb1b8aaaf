"""What all servers answer."""

from __future__ import annotations

TEXT = "Hello, World!"
OBJECT = {"message": "Hello, World!"}
HEADERS = tuple((f"X-Header-{number}", "a value of a header") for number in range(20))
BODY = "x" * 10_000
ROUTES = 64
