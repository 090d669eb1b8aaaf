"""Choosing io_uring or epoll: forcing, refusing and falling back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Optional

import httpx
import pytest

from socketify import App
from socketify.loop.backend import chosen_backend, loop_backend

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """
from socketify import App
app = App()
app.get("/", lambda res, req: res.end(app.loop.backend))
app.listen(0, lambda config: print(config.port, flush=True))
app.run()
"""
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


def served_by(backend: Optional[str], refused: bool = False) -> str:
    command = [sys.executable, *(("-c", REFUSING) if refused else ()), "-u", "-c", PROGRAM]
    with subprocess.Popen(command, env=environment(backend), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            return httpx.get(f"http://127.0.0.1:{int(process.stdout.readline())}/").text
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)


def is_refused() -> bool:
    return "refuses" in run("-c", "from socketify import App; App()", backend="io_uring").stderr


needs_io_uring = pytest.mark.skipif(is_refused(), reason="the kernel refuses io_uring")


def test_epoll_can_be_forced() -> None:
    assert served_by("epoll") == "epoll"


@needs_io_uring
def test_io_uring_can_be_forced() -> None:
    assert served_by("io_uring") == "io_uring"


def test_without_a_wish_the_best_is_taken() -> None:
    chosen = run("-c", "from socketify.loop import backend; print(backend.chosen_backend())").stdout.strip()
    assert served_by(None) == served_by("") == chosen


def test_a_wrong_name_is_an_error() -> None:
    result = run("-c", "from socketify import App; App()", backend="kqueue")
    assert "RuntimeError: SOCKETIFY_BACKEND must be epoll or io_uring, not 'kqueue'" in result.stderr
    result = run("-m", "socketify", "json:loads", backend="kqueue")
    assert result.returncode == 2
    assert result.stderr == "socketify: RuntimeError: SOCKETIFY_BACKEND must be epoll or io_uring, not 'kqueue'\n"


def test_where_the_kernel_refuses_epoll_serves() -> None:
    assert served_by(None, refused=True) == "epoll"
    shown = run("-m", "socketify", "--print-config", "json:loads", refused=True)
    assert '"backend": "epoll"' in shown.stdout
    assert '"backend_refusal": "the kernel refuses io_uring (Operation not permitted)"' in shown.stdout


def test_forcing_what_the_kernel_refuses_is_an_error() -> None:
    result = run("-c", "from socketify import App; App()", backend="io_uring", refused=True)
    assert "RuntimeError: SOCKETIFY_BACKEND=io_uring: the kernel refuses io_uring (Operation not permitted)" in result.stderr


def test_the_loop_tells_what_it_has(serve: Any) -> None:
    def build(app: App) -> None:
        app.get("/", lambda res, req: res.end(app.loop.backend))

    assert httpx.get(f"http://127.0.0.1:{serve(build).port}/").text == chosen_backend() == loop_backend()
