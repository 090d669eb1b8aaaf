"""Event loops for apps that own their process."""

from __future__ import annotations

import asyncio
import weakref
from typing import Optional, Protocol

from .selector_loop import NativeSelector
from .uv_loop import drive_by_uv

#: Loops that were made here, and the selectors of those that are asyncio's.
_uv_loops: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()
_selectors: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, NativeSelector] = weakref.WeakKeyDictionary()


class Driver(Protocol):
    """What drives the native loop of a thread by an event loop, without being a reader of it."""

    def give_way(self) -> None:
        """Let other loops drive the native one, too."""

    def detach(self) -> None:
        """End it."""


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Make an event loop: uvloop's where it is installed, else asyncio's own."""
    try:
        return new_uv_loop()
    except ImportError:
        return new_asyncio_loop()


def new_asyncio_loop() -> asyncio.AbstractEventLoop:
    """Make an event loop of asyncio, or of the policy that a program has set."""
    loop = asyncio.new_event_loop()
    if type(loop) is not asyncio.SelectorEventLoop:
        return loop
    loop.close()
    selector = NativeSelector()
    loop = asyncio.SelectorEventLoop(selector)
    _selectors[loop] = selector
    return loop


def new_uv_loop() -> asyncio.AbstractEventLoop:
    """Make an event loop of uvloop.

    Raises:
        ImportError: it is not installed.

    """
    import uvloop  # noqa: PLC0415 - it is optional

    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    _uv_loops.add(loop)
    return loop


def find_driver(loop: asyncio.AbstractEventLoop) -> Optional[Driver]:
    """Begin to drive the native loop of this thread by a loop that was made here; None where it has to be a reader of it."""
    if loop in _uv_loops:
        return drive_by_uv(loop)
    selector = _selectors.get(loop)
    # In debug mode, asyncio tells which of the calls that it makes take long.
    if selector is None or loop.get_debug() or not selector.drive(loop):
        return None
    return selector
