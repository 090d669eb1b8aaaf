"""What watches the descriptors of connections: Linux's io_uring or epoll, kqueue on macOS."""

from __future__ import annotations

import os
import sys

from ..native import abi, lib

#: The variable that names the backend to take; empty or not set for the best that the kernel has.
VARIABLE = "SOCKETIFY_BACKEND"

_NAMES = {abi.BACKEND_EPOLL: "epoll", abi.BACKEND_IO_URING: "io_uring", abi.BACKEND_KQUEUE: "kqueue"}

#: What this system may have.
_HERE = "kqueue" if sys.platform == "darwin" else "epoll or io_uring"


def check_backend() -> None:
    """Check that the native loop can be made.

    Raises:
        RuntimeError: SOCKETIFY_BACKEND names no backend, or one that the kernel refuses.

    """
    if os.environ.get(VARIABLE):
        chosen_backend()


def open_loop() -> None:
    """Make the native loop of this thread, if it has none.

    Raises:
        OSError: the system refuses what it needs, mostly because descriptors are exhausted.
        RuntimeError: see :func:`check_backend`.

    """
    check_backend()
    code = lib.sk_loop_open()
    if code < 0:
        message = f"cannot make the event loop of this thread: {os.strerror(-code)}"
        raise OSError(-code, message)


def chosen_backend() -> str:
    """Return what a native loop of this process will have: ``"io_uring"``, ``"epoll"`` or ``"kqueue"``.

    Raises:
        RuntimeError: SOCKETIFY_BACKEND names no backend, or one that the kernel refuses.

    """
    found = lib.sk_backend()
    if found == abi.BACKEND_UNKNOWN:
        message = f"{VARIABLE} must be {_HERE}, not {os.environ.get(VARIABLE)!r}"
        raise RuntimeError(message)
    if found == abi.BACKEND_UNAVAILABLE:
        message = f"{VARIABLE}={os.environ.get(VARIABLE)}: {backend_refusal()}"
        raise RuntimeError(message)
    return _NAMES[found]


def loop_backend() -> str:
    """Return what the native loop of this thread has: ``"io_uring"``, ``"epoll"`` or ``"kqueue"``."""
    open_loop()
    return _NAMES[lib.sk_loop_backend()]


def backend_refusal() -> str:
    """Return why there is no io_uring; empty if there is."""
    error = lib.sk_backend_refusal()
    return f"the kernel refuses io_uring ({os.strerror(error)})" if error else ""
