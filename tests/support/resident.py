"""Memory of processes: of this one, which is server and client in most tests, or of a server of its own."""

from __future__ import annotations

import os
from typing import Optional

from socketify.system import processes

#: Bytes that AddressSanitizer keeps of memory that was freed, where it is in the process.
QUARANTINE = 256 << 20 if "libclang_rt.asan" in os.environ.get("LD_PRELOAD", "") else 0


def resident_bytes(pid: Optional[int] = None) -> int:
    """Return how many bytes of a process are in memory; by default of this one."""
    found = processes.resident_bytes(os.getpid() if pid is None else pid)
    assert found is not None
    return found
