"""Who holds an object: what serves one client after the other is used again only if nobody else can reach it."""

from __future__ import annotations

import sys
from typing import Callable

#: Counts the references to an object, of which the argument may be one; 0 where the interpreter does not count.
count_references: Callable[[object], int] = getattr(sys, "getrefcount", lambda _: 0)


def references_of(holders: int) -> int:
    """Return what :func:`count_references` says of an object that so many hold, one of them a variable of the caller.

    It says so of no object where the interpreter does not count.
    """
    alone = object()
    counted = count_references(alone)
    return counted + holders - 1 if counted else -1
