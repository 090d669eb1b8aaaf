"""What macOS says of a process of the same user: libproc.h has no documentation but itself."""

from __future__ import annotations

import ctypes
import struct
from typing import Optional

from .c_library import c_function

#: What can be asked, and how long the answer is.
_DESCRIPTORS, _DESCRIPTOR_BYTES = 1, 8
_PROCESS, _PROCESS_BYTES = 3, 136
_TASK, _TASK_BYTES = 4, 96
#: Virtual and resident size, at the begin of a task.
_SIZES = struct.Struct("=QQ")
#: Flags, at the begin of a process.
_FLAGS = struct.Struct("=I")
_TRACED = 2


def has_libproc() -> bool:
    """Return whether this system has it."""
    return c_function("proc_pidinfo") is not None


def _ask(pid: int, what: int, size: int) -> bytes:
    """Return the answer; empty where the process has ended, or is another user's."""
    ask = c_function("proc_pidinfo")
    if ask is None:
        return b""
    buffer = ctypes.create_string_buffer(size)
    length = ask(ctypes.c_int(pid), ctypes.c_int(what), ctypes.c_uint64(0), buffer, ctypes.c_int(size))
    return buffer.raw[: max(0, length)]


def resident_bytes(pid: int) -> Optional[int]:
    """Return how much memory a process takes (RSS); None where the system does not say."""
    found = _ask(pid, _TASK, _TASK_BYTES)
    return int(_SIZES.unpack_from(found)[1]) if len(found) == _TASK_BYTES else None


def open_descriptors(pid: int) -> Optional[int]:
    """Return how many descriptors a process has; None where the system does not say."""
    size = 64 * _DESCRIPTOR_BYTES
    while True:
        found = _ask(pid, _DESCRIPTORS, size)
        if len(found) < size:
            return len(found) // _DESCRIPTOR_BYTES or None
        # There may be more.
        size *= 2


def is_traced(pid: int) -> bool:
    """Return whether a debugger has attached itself to a process."""
    found = _ask(pid, _PROCESS, _PROCESS_BYTES)
    return len(found) == _PROCESS_BYTES and bool(_FLAGS.unpack_from(found)[0] & _TRACED)
