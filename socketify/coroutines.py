"""Coroutine handlers: stepped at once, and asyncio tasks from their first real wait."""

from __future__ import annotations

import asyncio
import contextvars
import types
from collections.abc import Coroutine, Generator
from typing import Any, Callable, Optional

from .native import calls

_begin = calls.begin

#: What a coroutine waits for, and the context it runs in.
Waits = tuple[Any, contextvars.Context]
ErrorReport = Callable[[BaseException], None]
Finish = Callable[[], object]


@types.coroutine
def _continue(coroutine: Any, yielded: Any, context: contextvars.Context) -> Generator[Any, Any, Any]:
    """Go on with a coroutine that was stepped elsewhere until it yielded something to wait for."""
    while True:
        try:
            value = yield yielded
        except BaseException as error:
            step: tuple[Any, ...] = (coroutine.throw, error)
        else:
            step = (coroutine.send, value)
        try:
            yielded = context.run(*step)
        except StopIteration as stop:
            return stop.value


class _Spare:
    """A task that waits for a coroutine to carry on."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._given: asyncio.Future[None] = loop.create_future()
        self._work: Optional[tuple[Any, Waits, ErrorReport, Optional[Finish]]] = None
        self.task: asyncio.Task[None] = loop.create_task(self._main())

    def give(self, coroutine: Any, waits: Waits, report: ErrorReport, finish: Optional[Finish]) -> None:
        self._work = (coroutine, waits, report, finish)
        self._given.set_result(None)

    async def _main(self) -> None:
        cancelled: Optional[asyncio.CancelledError] = None
        try:
            await self._given
        except asyncio.CancelledError as error:
            if self._work is None:
                raise
            # The coroutine was given, and its time-out came before this task's first turn.
            cancelled = error
        assert self._work is not None
        coroutine, (yielded, context), report, finish = self._work
        self._work = None
        try:
            if cancelled is not None:
                try:
                    yielded = context.run(coroutine.throw, cancelled)
                except StopIteration:
                    if finish is not None:
                        finish()
                    return
            await _continue(coroutine, yielded, context)
            if finish is not None:
                finish()
        except Exception as error:
            report(error)


class CoroutineRunner:
    """Runs coroutines of handlers on one event loop.

    A coroutine that finishes without waiting never becomes a task of its own: it is begun in the name of a spare one, so
    that ``asyncio.current_task()``, time-outs and context variables work from its first line. When it waits, the spare
    task is its task from then on.

    Args:
        loop: the event loop.
        current: a list of two items, which gets the loop and the spare task, or None, for those who begin coroutines
            natively.

    """

    def __init__(self, loop: asyncio.AbstractEventLoop, current: list[Any]) -> None:
        self._loop = loop
        self._spare: Optional[_Spare] = None
        self._running: set[asyncio.Task[None]] = set()
        self._current = current
        current[:] = [loop, None]

    def prepare(self) -> asyncio.Task[None]:
        """Make a spare task; it is the second item of the list from now on."""
        self._spare = spare = _Spare(self._loop)
        self._current[1] = spare.task
        spare.task.add_done_callback(self._replace)
        return spare.task

    def _replace(self, task: asyncio.Task[None]) -> None:
        """Forget a spare task that somebody cancelled."""
        self._running.discard(task)
        if self._current[1] is task:
            self._current[1] = self._spare = None

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> Optional[Waits]:
        """Begin a coroutine.

        Returns:
            None when it finished; else what :meth:`carry_on` takes, which must be called next.

        Raises:
            BaseException: what the coroutine raises.

        """
        return _begin(self._loop, self._current[1] or self.prepare(), coroutine)

    def carry_on(self, coroutine: Any, waits: Waits, report: ErrorReport, finish: Optional[Finish] = None) -> None:
        """Go on with a coroutine that waits, in a task of its own.

        Args:
            coroutine: what was begun.
            waits: what :meth:`begin` gave.
            report: gets the exception that it raises.
            finish: called when it returned.

        """
        if self._spare is None or self._spare.task.done():
            # Somebody cancelled it meanwhile.
            self.prepare()
        spare = self._spare
        assert spare is not None
        self._spare = self._current[1] = None
        self._running.add(spare.task)
        spare.give(coroutine, waits, report, finish)

    @property
    def running(self) -> set[asyncio.Task[Any]]:
        """The tasks of coroutines that were carried on and have not ended."""
        return set(self._running)

    def take_all(self) -> set[asyncio.Task[Any]]:
        """Give what still runs, and the spare task, to whoever ends them."""
        tasks: set[asyncio.Task[Any]] = set(self._running)
        if self._spare is not None:
            tasks.add(self._spare.task)
            self._spare = self._current[1] = None
        return tasks
