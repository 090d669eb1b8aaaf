"""How many threads of this process serve, each with an event loop and apps of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

_counts: list[int] = []


@contextlib.contextmanager
def serving_with(count: int) -> Iterator[None]:
    """Let it be so many, for what is made and served meanwhile."""
    _counts.append(count)
    try:
        yield
    finally:
        _counts.remove(count)


def serving_threads() -> int:
    """Return how many threads serve the same application, as far as :func:`serving_with` says; 1 otherwise."""
    return max(_counts, default=1)
