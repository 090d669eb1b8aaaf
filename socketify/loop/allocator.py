"""How much freed memory the C library's allocator keeps."""

from __future__ import annotations

import functools
import os

from ..system.c_library import c_function

_MIB = 1 << 20
#: Parameters of glibc's ``mallopt``, see mallopt(3), and what they become: the largest blocks that the heap holds, and how
#: much of its end may be free before the kernel gets it back. glibc arrives at such values by itself in a program that
#: frees a block of 16 MiB; with its initial values each freed megabyte goes back to the kernel, and
#: the kernel has to clear its pages before the next use.
_MMAP_THRESHOLD = (-3, 16 * _MIB)
_TRIM_THRESHOLD = (-1, 32 * _MIB)
#: If one of these is set, the user has chosen.
_VARIABLES = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_")


@functools.cache
def keep_freed_memory() -> bool:
    """Let glibc keep up to 32 MiB of freed memory for the next large messages, once in a process.

    Returns:
        Whether they were set: not if the environment sets glibc's own variables (``MALLOC_TRIM_THRESHOLD_`` and its
        like, or ``GLIBC_TUNABLES`` with ``glibc.malloc``), and not with other C libraries.

    """
    if any(name in os.environ for name in _VARIABLES) or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    mallopt = c_function("mallopt")
    return mallopt is not None and all(mallopt(*each) == 1 for each in (_MMAP_THRESHOLD, _TRIM_THRESHOLD))
