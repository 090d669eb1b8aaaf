"""What a server in the test's own process printed: its line may come after the response that the line is about."""

from __future__ import annotations

import time
from typing import Any


def said(capture: Any) -> str:
    """Return what was printed, once something was; empty after ten seconds of silence."""
    text = ""
    deadline = time.monotonic() + 10
    while not text and time.monotonic() < deadline:
        text = capture.readouterr().out
        time.sleep(0.01)
    return text
