"""How many references an object has: an object is reused for the next client only if nothing else can reach it."""

from __future__ import annotations

import sys
from typing import Callable

#: Counts the references to an object, of which the argument may be one; 0 where the interpreter does not count.
count_references: Callable[[object], int] = getattr(sys, "getrefcount", lambda _: 0)


def references_of(holders: int) -> int:
    """Return what :func:`count_references` returns for an object with so many holders, one a variable of the caller.

    No object has that count where the interpreter does not count.
    """
    alone = object()
    counted = count_references(alone)
    return counted + holders - 1 if counted else -1
