"""Coroutine handlers: stepped at once, and asyncio tasks from their first real wait."""

from __future__ import annotations

import asyncio
import contextvars
import types
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Coroutine, Generator
from typing import Any, Callable, Optional

from ..native import begin as _begin

#: What a coroutine waits for, and the context it runs in.
Waits = tuple[Any, contextvars.Context]
ErrorReport = Callable[[BaseException], None]
Finish = Callable[[], object]


class StoppedError(asyncio.CancelledError):
    """What a handler is reported with that the server cancelled because it stops: no failure of the handler's."""


def new_task(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Make a task of the server's own: an :class:`asyncio.Task`, whatever factory the loop has.

    A factory may begin what it is given at once, may give what is no task, or may not take what the loop passes to it
    (uvloop 0.23 passes ``eager_start``, which ``asyncio.eager_task_factory`` of CPython 3.13.0 refuses).
    """
    return asyncio.Task(coroutine, loop=loop)


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


@types.coroutine
def _first_step() -> Generator[None, None, None]:
    """Wait for the first step of the task; what cancels it before comes here, too."""
    yield


class _SpareTask(asyncio.Task[Any]):
    """A task that tells when it is cancelled while it is spare."""

    __slots__ = ("spare",)
    spare: Optional[_Spare]

    def cancel(self, *arguments: Any, **keywords: Any) -> bool:
        """Cancel, as every task does."""
        if self.spare is not None:
            self.spare.retire()
        return super().cancel(*arguments, **keywords)


class _Spare:
    """A task that waits for a coroutine to carry on."""

    __slots__ = ("_given", "_runner", "_work", "is_fresh", "task")

    def __init__(self, runner: CoroutineRunner, loop: asyncio.AbstractEventLoop) -> None:
        self._runner = runner
        #: Whether nobody cancelled it.
        self.is_fresh = True
        # Made when nothing was given before the task's first turn.
        self._given: Optional[asyncio.Future[None]] = None
        self._work: Optional[tuple[Any, Waits, ErrorReport, Optional[Finish]]] = None
        main = self._main()
        # To where a cancellation before the task's first turn can be caught.
        main.send(None)
        self.task = _SpareTask(main, loop=loop)
        self.task.spare = self

    def retire(self) -> None:
        """Be spare no longer: somebody cancelled it."""
        self.is_fresh = False
        self._runner.retire(self)

    def give(self, coroutine: Any, waits: Waits, report: ErrorReport, finish: Optional[Finish]) -> None:
        self._work = (coroutine, waits, report, finish)
        self.task.spare = None
        # Done already when the coroutine cancelled its task before it waited.
        if self._given is not None and not self._given.done():
            self._given.set_result(None)

    async def _main(self) -> None:
        cancelled: Optional[asyncio.CancelledError] = None
        try:
            await _first_step()
            if self._work is None:
                self._given = self._runner.new_future()
                await self._given
        except asyncio.CancelledError as error:
            if self._work is None:
                raise
            # The coroutine was given, and its time-out came before this task's first turn, or it cancelled itself.
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
        except BaseException as error:  # a task would throw some of these out of the loop
            report(self._runner.outcome_of(error))
            if isinstance(error, asyncio.CancelledError):
                raise


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
        # Of a coroutine that was begun while another one runs.
        self._inner: Optional[_Spare] = None
        # In whose name coroutines were begun, if that was another one than the spare; the innermost is the last.
        self._begun: list[_Spare] = []
        self._running: set[asyncio.Task[Any]] = set()
        self._current = current
        self._stops = False
        current[:] = [loop, None]

    def prepare(self) -> asyncio.Task[Any]:
        """Make a spare task; it is the second item of the list from now on."""
        if asyncio.current_task(self._loop) is None:
            # Of a coroutine that finished all the same.
            self._begun.clear()
        self._spare = spare = self._new_spare()
        self._current[1] = spare.task
        return spare.task

    def new_future(self) -> asyncio.Future[None]:
        """Make a future of the loop."""
        return self._loop.create_future()

    def _new_spare(self) -> _Spare:
        spare = _Spare(self, self._loop)
        spare.task.add_done_callback(self._running.discard)
        return spare

    def retire(self, spare: _Spare) -> None:
        """Begin nothing more in the name of a spare task that somebody cancelled; most likely the coroutine that runs in it."""
        if self._spare is spare:
            self._spare = self._current[1] = None
            self._begun.append(spare)
        elif self._inner is spare:
            self._inner = None

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> Optional[Waits]:
        """Begin a coroutine.

        Returns:
            None when it finished; else what :meth:`carry_on` takes, which must be called next.

        Raises:
            BaseException: what the coroutine raises.

        """
        try:
            return _begin(self._loop, self._current[1] or self.prepare(), coroutine)
        except RuntimeError:
            running = asyncio.current_task(self._loop)
            if running is None:
                raise
        # Nothing was begun: a task cannot be entered while another one runs.
        return self._begin_inside(running, coroutine)

    def _begin_inside(self, running: asyncio.Task[Any], coroutine: Coroutine[Any, Any, Any]) -> Optional[Waits]:
        """Begin a coroutine while another one runs that called what called for this one."""
        spare, self._inner = self._inner, None
        if spare is None:
            spare = self._new_spare()
        waits: Optional[Waits] = None
        _leave_task(self._loop, running)
        try:
            waits = _begin(self._loop, spare.task, coroutine)
        finally:
            _enter_task(self._loop, running)
            if waits is not None:
                self._begun.append(spare)
            elif spare.is_fresh:
                self._inner = spare
        return waits

    def carry_on(
        self, coroutine: Any, waits: Waits, report: ErrorReport, finish: Optional[Finish] = None
    ) -> asyncio.Task[None]:
        """Go on with a coroutine that waits, in a task of its own, which is returned.

        Args:
            coroutine: what was begun.
            waits: what :meth:`begin` gave.
            report: gets the exception that it raises, which may be any ``BaseException``: :class:`StoppedError` when the
                server cancelled it. It must not raise.
            finish: called when it returned.

        """
        if self._begun:
            spare = self._begun.pop()
        else:
            spare = self._spare or self._new_spare()
            self._spare = self._current[1] = None
        self._running.add(spare.task)
        spare.give(coroutine, waits, report, finish)
        return spare.task

    def outcome_of(self, error: BaseException) -> BaseException:
        """Tell what ended a coroutine: the error, or that the server stops."""
        if self._stops and isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            return StoppedError()
        return error

    @property
    def running(self) -> set[asyncio.Task[Any]]:
        """The tasks of coroutines that were carried on and have not ended."""
        return set(self._running)

    def take_all(self) -> set[asyncio.Task[Any]]:
        """Give what still runs, and the spare tasks, to whoever cancels them: from now on that is no failure."""
        self._stops = True
        tasks = set(self._running)
        tasks.update(spare.task for spare in (self._spare, self._inner) if spare is not None)
        self._spare = self._inner = self._current[1] = None
        self._begun.clear()
        return tasks
