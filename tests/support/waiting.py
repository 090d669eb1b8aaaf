"""Waiting for what happens in another thread or process."""

from __future__ import annotations

import time
from typing import Any, Callable


def wait_until(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait for a condition; fail after so many seconds, which a loaded machine may need."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
