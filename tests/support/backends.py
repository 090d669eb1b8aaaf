"""Programs on a backend that is chosen for them, and on a kernel that refuses io_uring."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Optional

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Denies io_uring_setup to this process and what it executes, as containers do: a seccomp filter (seccomp(2)).
REFUSING = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
LOAD, EQUAL, RETURN, IO_URING_SETUP, EPERM = 0x20, 0x15, 0x06, 425, 1
program = b"".join(struct.pack("HBBI", *each) for each in (
    (LOAD, 0, 0, 0), (EQUAL, 0, 1, IO_URING_SETUP), (RETURN, 0, 0, 0x50000 | EPERM), (RETURN, 0, 0, 0x7FFF0000)))
memory = ctypes.create_string_buffer(program)
class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, FILTER = 38, 22, 2
assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
assert libc.prctl(PR_SET_SECCOMP, FILTER, ctypes.byref(Filter(4, ctypes.addressof(memory))), 0, 0) == 0
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def environment(backend: Optional[str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "SOCKETIFY_BACKEND"}
    if (ROOT / "socketify" / "native" / "libsocketify.so").exists():
        kept["PYTHONPATH"] = str(ROOT)
    return kept if backend is None else {**kept, "SOCKETIFY_BACKEND": backend}


def run(*arguments: str, backend: Optional[str] = None, refused: bool = False) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *(("-c", REFUSING) if refused else ()), *arguments]
    return subprocess.run(command, env=environment(backend), capture_output=True, text=True, timeout=60, check=False)


def is_refused() -> bool:
    return "refuses" in run("-c", "from socketify import App; App()", backend="io_uring").stderr


needs_io_uring = pytest.mark.skipif(is_refused(), reason="the kernel refuses io_uring")
