"""Memory of this process, which is server and client in most tests."""

from __future__ import annotations

import os
from pathlib import Path

#: Bytes that AddressSanitizer keeps of memory that was freed, where it is in the process.
QUARANTINE = 256 << 20 if "libclang_rt.asan" in os.environ.get("LD_PRELOAD", "") else 0


def resident_bytes() -> int:
    """Return how many bytes of this process are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
