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
    """Make an event loop: that of the policy that the program has set, else uvloop's where it is installed, else asyncio's."""
    if _has_policy():
        return recognized(asyncio.new_event_loop())
    try:
        return new_uv_loop()
    except ImportError:
        return new_asyncio_loop()


def new_asyncio_loop() -> asyncio.AbstractEventLoop:
    """Make an event loop of asyncio itself, whatever the policy."""
    selector = NativeSelector()
    loop = asyncio.SelectorEventLoop(selector)
    _selectors[loop] = selector
    return loop


def recognized(loop: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
    """Return a loop that a program made; one of uvloop drives the native loop as ours do."""
    if f"{type(loop).__module__}.{type(loop).__qualname__}" == "uvloop.Loop":
        _uv_loops.add(loop)
    return loop


def _has_policy() -> bool:
    """Return whether the program has set a policy of event loops, which asyncio has until CPython 3.15."""
    # The public name warns from CPython 3.14 on.
    find = getattr(asyncio.events, "_get_event_loop_policy", None) or getattr(asyncio, "get_event_loop_policy", None)
    return find is not None and type(find()).__module__ != "asyncio.unix_events"


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
