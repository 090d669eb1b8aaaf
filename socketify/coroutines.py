"""Coroutine handlers: stepped at once, and asyncio tasks from their first real wait."""

from __future__ import annotations

import asyncio
import contextvars
import types
from collections.abc import Coroutine, Generator
from typing import Any, Callable, Optional

_enter_task: Callable[[asyncio.AbstractEventLoop, asyncio.Task[Any]], None] = asyncio.tasks._enter_task
_leave_task: Callable[[asyncio.AbstractEventLoop, asyncio.Task[Any]], None] = asyncio.tasks._leave_task

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
        self._work: Optional[tuple[Any, Any, contextvars.Context, ErrorReport, Optional[Finish]]] = None
        self.task: asyncio.Task[None] = loop.create_task(self._main())

    def give(
        self, coroutine: Any, yielded: Any, context: contextvars.Context, report: ErrorReport, finish: Optional[Finish]
    ) -> None:
        self._work = (coroutine, yielded, context, report, finish)
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
        coroutine, yielded, context, report, finish = self._work
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

    A coroutine that finishes without waiting never becomes a task of its own: it is stepped in the name of a spare one, so
    that ``asyncio.current_task()``, time-outs and context variables work from its first line. When it waits, the spare
    task is its task from then on.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._spare: Optional[_Spare] = None
        self._running: set[asyncio.Task[None]] = set()

    def start(
        self,
        coroutine: Coroutine[Any, Any, Any],
        on_wait: Callable[[], object],
        report: ErrorReport,
        finish: Optional[Finish] = None,
    ) -> bool:
        """Step a coroutine; True when it is done.

        Args:
            coroutine: what a handler returned.
            on_wait: called before it waits for the first time.
            report: gets the exception that it raised.
            finish: called when it returned after it had waited.

        """
        spare = self._spare
        if spare is None or spare.task.done():
            self._spare = spare = _Spare(self._loop)
        context = contextvars.copy_context()
        failure: Optional[BaseException] = None
        _enter_task(self._loop, spare.task)
        try:
            yielded = context.run(coroutine.send, None)
        except StopIteration:
            return True
        except BaseException as error:
            failure = error
        finally:
            _leave_task(self._loop, spare.task)
        if failure is not None:
            report(failure)
            return True
        on_wait()
        self._spare = None
        self._running.add(spare.task)
        spare.task.add_done_callback(self._running.discard)
        spare.give(coroutine, yielded, context, report, finish)
        return False

    async def wait(self, timeout: float) -> None:
        """Wait until nothing runs, for at most some seconds."""
        if self._running:
            await asyncio.wait(self._running, timeout=timeout)

    def cancel(self) -> None:
        """Cancel what runs."""
        for task in self._running:
            task.cancel()

    async def close(self) -> None:
        """Cancel what still runs, and wait until it is done."""
        tasks = list(self._running)
        if self._spare is not None:
            tasks.append(self._spare.task)
            self._spare = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
