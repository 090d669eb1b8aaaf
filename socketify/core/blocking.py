"""What blocks the event loop, found while it does. For development."""

from __future__ import annotations

import asyncio
import linecache
import logging
import selectors
import sys
import sysconfig
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Optional

from ..system.thread_stacks import CodePlace, stacks_of_threads

logger = logging.getLogger("socketify")

#: How long the loop may do one thing.
_SECONDS = 0.1
#: Between two looks.
_PAUSE_SECONDS = 0.05

_PACKAGE = str(Path(__file__).resolve().parents[1])
_ASYNCIO = str(Path(asyncio.__file__).parent)
#: What a loop is made of: one that is there waits, for events, or for the interpreter.
_LOOP = (_PACKAGE, _ASYNCIO, selectors.__file__, "<")
#: Files that are no part of the program.
_LIBRARIES = (_PACKAGE, "<", *{sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
#: Functions in which a loop runs; what called them waits for its end.
_RUNNERS = {(_ASYNCIO, "run"), (_ASYNCIO, "run_forever"), (_ASYNCIO, "run_until_complete"), (_PACKAGE + "/core", "run")}


class BlockingWatch:
    """Looks from a thread whether an event loop turns, and warns with the line of the program that keeps it from turning.

    While it looks, coroutines remember where they were made, which the warning about one that was never awaited says.
    """

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._depth = 0

    async def start(self) -> None:
        """Start to look at the running loop."""
        self._depth = sys.get_coroutine_origin_tracking_depth()
        sys.set_coroutine_origin_tracking_depth(max(self._depth, 1))
        arguments = (asyncio.get_running_loop(), threading.get_ident())
        threading.Thread(target=self._look, args=arguments, name="socketify-debug", daemon=True).start()

    async def stop(self, _seconds: float) -> None:
        """Stop looking."""
        self._ended.set()
        sys.set_coroutine_origin_tracking_depth(self._depth)

    def _look(self, loop: asyncio.AbstractEventLoop, thread: int) -> None:
        while not self._ended.wait(_PAUSE_SECONDS):
            turned = threading.Event()
            try:
                loop.call_soon_threadsafe(turned.set)
            except RuntimeError:
                # It was closed.
                return
            if turned.wait(_SECONDS):
                continue
            place = blocking_place(stacks_of_threads().get(thread, ()))
            if place is not None:
                logger.warning(
                    "the event loop is blocked at %s: meanwhile it serves nobody else; 'await' what waits, as asyncio.sleep "
                    "and asynchronous clients do, or let a thread do it: await asyncio.to_thread(...)",
                    place,
                )
            while not turned.wait(_PAUSE_SECONDS) and not self._ended.is_set():
                """One warning is enough."""


def blocking_place(stack: Iterable[CodePlace]) -> Optional[str]:
    """Return file, line, function and text of what a loop's thread does for the program; None where it is not in it.

    Args:
        stack: where the thread is, innermost first.

    """
    library: Optional[CodePlace] = None
    for place in stack:
        if (str(Path(place.file).parent), place.function) in _RUNNERS:
            break
        if not place.file.startswith(_LIBRARIES):
            return _described(place)
        if library is None and not place.file.startswith(_LOOP):
            library = place
    return None if library is None else _described(library)


def _described(place: CodePlace) -> str:
    text = linecache.getline(place.file, place.line).strip()
    return f"{place.file}:{place.line} in {place.function}: {text or '?'}"
