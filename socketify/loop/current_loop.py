"""The event loop that a thread is going to run, before it runs: programs begin tasks there before they serve."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from typing import Any, Callable, Optional

from .event_loop import new_event_loop

_here = threading.local()


def loop_to_come() -> asyncio.AbstractEventLoop:
    """Return the running loop of this thread, else its current one, else a new one, which becomes current."""
    with contextlib.suppress(RuntimeError):
        return asyncio.get_running_loop()
    found = _current_loop()
    if found is None:
        found = _here.__dict__.get("factory", new_event_loop)()
        asyncio.set_event_loop(found)
    expect_loop(found)
    return found


def expect_loops_of(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Take note of what will make the loop of this thread, for what the program begins before that."""
    _here.factory = loop_factory


def expect_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Take note that this thread will run a loop."""
    _here.expected = loop, os.getpid()


def take_loop(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> asyncio.AbstractEventLoop:
    """Return the loop that :func:`loop_to_come` promised, or a current one that has tasks, else a new one.

    Args:
        loop_factory: makes a new one.

    """
    expected, process = _here.__dict__.pop("expected", (None, 0))
    current = _current_loop()
    if expected is not None and process == os.getpid() and not expected.is_closed() and not expected.is_running():
        return expected  # type: ignore[no-any-return] # attributes of thread-local objects have no types
    if current is not None and asyncio.all_tasks(current):
        return current
    return loop_factory()


def _current_loop() -> Optional[asyncio.AbstractEventLoop]:
    """Return the loop that a program made current in this thread; does not make one, as asyncio does before CPython 3.14."""
    found: Any = None
    if sys.version_info >= (3, 14):
        with contextlib.suppress(RuntimeError):
            found = asyncio.get_event_loop()
    else:
        found = getattr(getattr(asyncio.get_event_loop_policy(), "_local", None), "_loop", None)
    return None if found is None or found.is_closed() or found.is_running() else found
