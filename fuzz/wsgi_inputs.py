"""What the fuzzers of WSGI give to start_response."""

from __future__ import annotations

from typing import Any

#: Beside usual headers: what start_response refuses, and lengths, which are right or wrong by what else is given.
ODD_PAIRS: list[Any] = [
    ["X-A", "b"],
    ("X-A", "b", "c"),
    ("X-A", 1),
    ("X A", "b"),
    ("X-A", "b\n"),
    ("X-A", "\u20ac"),
    ("Content-Length", "3"),
    ("content-length", "4"),
    ("Content-Length", "x"),
    None,
]
