"""The bridge between asyncio and the native loop of a thread."""

from __future__ import annotations

import asyncio
import ctypes
import threading
from typing import Callable

from .native import lib
from .native.declarations import SCRATCH_BYTES

_thread = threading.local()


def scratch_view() -> memoryview:
    """Give the buffer of this thread's native loop, in which it returns text."""
    view: memoryview
    try:
        view = _thread.view
    except AttributeError:
        address = lib.sk_loop_scratch()
        view = _thread.view = memoryview((ctypes.c_char * SCRATCH_BYTES).from_address(address)).cast("B")
    return view


def attach(loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    """Let an asyncio loop drive the native loop of this thread: no polling, no timers.

    Returns:
        A function that ends it.

    """
    descriptor = lib.sk_loop_fd()
    users: dict[asyncio.AbstractEventLoop, int] = _thread.__dict__.setdefault("users", {})
    if users.get(loop, 0) == 0:
        loop.add_reader(descriptor, lib.sk_loop_pump)
    users[loop] = users.get(loop, 0) + 1

    def detach() -> None:
        users[loop] -= 1
        if users[loop] == 0:
            del users[loop]
            loop.remove_reader(descriptor)

    return detach


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Make an event loop: uvloop's where it is installed, else asyncio's own."""
    try:
        import uvloop  # noqa: PLC0415 - it is optional
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
