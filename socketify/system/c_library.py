"""Functions of the C library, some of which only some systems have."""

from __future__ import annotations

import ctypes
import functools
from typing import Any, Optional


@functools.cache
def _library() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def c_function(name: str) -> Optional[Any]:
    """Return a function of the C library, whose ``errno`` :func:`ctypes.get_errno` has; None where the system has none."""
    return getattr(_library(), name, None)
