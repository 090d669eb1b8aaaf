"""What the system knows of a process: of this one or of another one of the same user. Linux has /proc; others know nothing."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Optional

_PAGE_BYTES = resource.getpagesize()


def resident_bytes(pid: int) -> Optional[int]:
    """Return how much memory a process takes (RSS); None where the system does not say."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return None


def open_descriptors(pid: int) -> Optional[int]:
    """Return how many descriptors a process has; None where the system does not say."""
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return None
