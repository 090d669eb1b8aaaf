"""Names of the published package for tasks: the ones of :mod:`asyncio` do what its own did."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Coroutine
from typing import Any, Callable, Optional

from .loop.coroutines import new_task

__all__ = ["RequestTask", "TaskFactory", "create_task"]

RequestTask = asyncio.Task


def create_task(
    loop: asyncio.AbstractEventLoop,
    coro: Coroutine[Any, Any, Any],
    default_done_callback: Optional[Callable[[asyncio.Task[Any]], object]] = None,
    context: Optional[contextvars.Context] = None,
) -> asyncio.Task[Any]:
    """Make a task of a loop.

    Args:
        loop: of the task.
        coro: what it runs.
        default_done_callback: called with the task when it is done.
        context: that it runs in; None for a copy of the current one.

    """
    make = functools.partial(new_task, loop, coro)
    task = make() if context is None else context.run(make)
    if default_done_callback is not None:
        task.add_done_callback(default_done_callback)
    return task


class TaskFactory:
    """Makes tasks of loops, as :func:`create_task` does.

    Args:
        task_factory_max_items: accepted for compatibility: tasks are made when they are needed.

    """

    def __init__(self, task_factory_max_items: int = 100_000) -> None:
        self.max_items = task_factory_max_items

    def __call__(self, loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Make a task."""
        return create_task(loop, coro)
