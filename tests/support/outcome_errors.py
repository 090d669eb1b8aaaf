"""What handlers may end in that is no Exception, or is one, and how they come to it."""

from __future__ import annotations

import asyncio
import builtins
import re
import sys
from collections.abc import Awaitable
from typing import Any, Callable


async def another_cancelled() -> None:
    """Await what another task cancelled."""
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.cancel)
    await future


async def cancel_itself() -> None:
    """Cancel the own task, and go on to wait."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


def raising(error: Callable[[], BaseException]) -> Callable[[], Awaitable[None]]:
    async def raise_it() -> None:
        raise error()

    return raise_it


#: Name: what a coroutine awaits, and the exception that it ends in.
ENDS: dict[str, tuple[Callable[[], Awaitable[None]], str]] = {
    "an exception": (raising(lambda: ValueError("x")), "ValueError"),
    "what another task cancelled": (another_cancelled, "CancelledError"),
    "its own cancellation": (cancel_itself, "CancelledError"),
    "a cancellation that it raises": (raising(asyncio.CancelledError), "CancelledError"),
    "GeneratorExit": (raising(GeneratorExit), "GeneratorExit"),
    "KeyboardInterrupt": (raising(KeyboardInterrupt), "KeyboardInterrupt"),
    "SystemExit": (raising(lambda: SystemExit(3)), "SystemExit"),
}
if sys.version_info >= (3, 11):
    group = builtins.BaseExceptionGroup
    ENDS["a group"] = (raising(lambda: group("x", [SystemExit(3)])), "BaseExceptionGroup")


async def end_in(name: str, waits: bool) -> None:
    """End as it is said, at once or after a wait."""
    if waits:
        await asyncio.sleep(0.001)
    await ENDS[name][0]()


def failures(caplog: Any) -> list[str]:
    """Give the names of the exceptions that were logged, each with its traceback if it has one."""
    found = []
    for record in caplog.records:
        if record.levelname != "ERROR":
            continue
        if record.exc_info:
            found.append(record.exc_info[0].__name__)
        else:
            # An error handler was told of it: then the log has text.
            text = record.getMessage()
            assert "raceback (most recent call last)" in text
            names = [name for _, name in ENDS.values() if re.search(rf"^(  \| )?[\w.]*{name}\b", text, re.MULTILINE)]
            found.append(names[0])
    return found
