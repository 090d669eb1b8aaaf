"""Coroutine handlers: stepped at once, and asyncio tasks from their first real wait."""

from __future__ import annotations

import asyncio
import contextvars
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Coroutine
from typing import Any, Optional

from ..native import abi
from ..native import begin as _begin
from ..native import carry_on as _carry_on
from ..native import prepare_task as _prepare_task
from .continuation import Continuation, ErrorReport, Finish, continuation_class

#: What a coroutine waits for, and the context it runs in.
Waits = tuple[Any, contextvars.Context]


class StoppedError(asyncio.CancelledError):
    """The error of a handler that the server cancelled because it stops. That is not a failure of the handler."""


def new_task(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Make a task of the server's own: an :class:`asyncio.Task`, whatever factory the loop has.

    A factory may begin a coroutine at once, may return something else than a task, or may not take what the loop passes
    to it (uvloop 0.23 passes ``eager_start``, which ``asyncio.eager_task_factory`` of CPython 3.13.0 refuses).
    """
    return asyncio.Task(coroutine, loop=loop)


class _SpareTask(asyncio.Task[Any]):
    """A task that informs the runner when it is cancelled while it is spare."""

    __slots__ = ()

    def cancel(self, *arguments: Any, **keywords: Any) -> bool:
        """Cancel, as every task does."""
        spare: Any = self.get_coro()
        if spare.coroutine is None:
            spare.is_cancelled = True
            spare.runner.retire(spare)
        return super().cancel(*arguments, **keywords)


class CoroutineRunner:
    """Runs coroutines of handlers on one event loop.

    A coroutine that finishes without waiting never becomes a task of its own: it is begun in the name of a spare one, so
    that ``asyncio.current_task()``, time-outs and context variables work from its first line. When it waits, the spare
    task is its task from then on.

    Args:
        loop: the event loop.
        state: a list that native code knows the runner by; its items are set here.

    """

    def __init__(self, loop: asyncio.AbstractEventLoop, state: list[Any]) -> None:
        self._loop = loop
        # The spare task for a coroutine that is begun while another one runs.
        self._inner: Optional[Continuation] = None
        # Other tasks than the spare one in whose name coroutines were begun; the innermost is the last.
        self._begun: list[Continuation] = []
        # Tasks that go on when the coroutines that were begun inside them finish or wait; the innermost is the last.
        self._outer: list[asyncio.Task[Any]] = []
        self._running: set[Continuation] = set()
        self._stops = False
        state[:] = [None] * abi.RUNNER_ITEMS
        state[abi.RUNNER_LOOP] = loop
        state[abi.RUNNER_BEGUN] = self._begun
        state[abi.RUNNER_RUNNING] = self._running
        state[abi.RUNNER_TASK_TYPE] = _SpareTask
        state[abi.RUNNER_ITSELF] = self
        # With the spare task and its continuation, which native code makes and uses, too.
        self._state = state

    def _take_spare(self) -> Optional[Continuation]:
        spare: Optional[Continuation] = self._state[abi.RUNNER_SPARE]
        self._state[abi.RUNNER_SPARE] = self._state[abi.RUNNER_TASK] = None
        return spare

    def prepare(self) -> asyncio.Task[Any]:
        """Make the spare task, in whose name the next coroutine begins."""
        if self._begun and asyncio.current_task(self._loop) is None:
            # They belong to a coroutine that finished in spite of the cancellation.
            self._begun.clear()
        spare, task = self._new_spare()
        self._state[abi.RUNNER_SPARE] = spare
        self._state[abi.RUNNER_TASK] = task
        return task

    def new_future(self) -> asyncio.Future[None]:
        """Make a future of the loop."""
        return self._loop.create_future()

    def _new_spare(self) -> tuple[Continuation, asyncio.Task[Any]]:
        spare: Continuation = continuation_class()
        spare.runner = self
        spare.running = self._running
        spare.task = task = _SpareTask(spare, loop=self._loop)
        return spare, task

    def retire(self, spare: Continuation) -> None:
        """Stop using a spare task that was cancelled, most likely by the coroutine that runs in its name."""
        if self._state[abi.RUNNER_SPARE] is spare:
            self._take_spare()
            if spare.task is asyncio.current_task(self._loop) or spare.task in self._outer:
                self._begun.append(spare)
        elif self._inner is spare:
            self._inner = None

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> Optional[Waits]:
        """Begin a coroutine.

        Returns:
            None when it finished; else the argument of :meth:`carry_on`, which must be called next.

        Raises:
            BaseException: what the coroutine raises.

        """
        try:
            return _begin(self._loop, _prepare_task(self._state), coroutine)
        except RuntimeError:
            running = asyncio.current_task(self._loop)
            if running is None:
                raise
        # The coroutine was not begun, as a task cannot be entered while another one runs.
        return self._begin_inside(running, coroutine)

    def _begin_inside(self, running: asyncio.Task[Any], coroutine: Coroutine[Any, Any, Any]) -> Optional[Waits]:
        """Begin a coroutine while another one runs, whose call led to this one."""
        spare, self._inner = self._inner, None
        if spare is None:
            spare, _ = self._new_spare()
        assert spare.task is not None
        waits: Optional[Waits] = None
        self._outer.append(running)
        _leave_task(self._loop, running)
        try:
            waits = _begin(self._loop, spare.task, coroutine)
        finally:
            _enter_task(self._loop, running)
            self._outer.pop()
            if waits is not None:
                self._begun.append(spare)
            elif not spare.is_cancelled:
                self._inner = spare
        return waits

    def carry_on(
        self, coroutine: Any, waits: Waits, report: ErrorReport, finish: Optional[Finish] = None
    ) -> asyncio.Task[None]:
        """Continue a coroutine that waits in a task of its own, and return that.

        Args:
            coroutine: the one that was begun.
            waits: what :meth:`begin` returned.
            report: gets the exception that it raises, which may be any ``BaseException``: :class:`StoppedError` when the
                server cancelled it. It must not raise.
            finish: called when it returned.

        """
        return _carry_on(self._state, coroutine, waits, report, finish)

    def adopt(self, coroutine: Any, waits: Waits, report: ErrorReport, finish: Optional[Finish]) -> asyncio.Task[None]:
        """Continue a coroutine as :meth:`carry_on` does; native code leaves to this what is not the usual case."""
        spare = self._begun.pop() if self._begun else self._take_spare() or self._new_spare()[0]
        return spare.adopt(coroutine, waits, report, finish)

    def outcome_of(self, error: BaseException) -> BaseException:
        """Return what ended a coroutine: the error, or a StoppedError when the server stops."""
        if self._stops and isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            return StoppedError()
        return error

    @property
    def running(self) -> set[asyncio.Task[Any]]:
        """The tasks of coroutines that were carried on and have not ended."""
        return {spare.task for spare in self._running if spare.task is not None}

    def take_all(self) -> set[asyncio.Task[Any]]:
        """Return the running and the spare tasks, to be cancelled: from now on a cancellation is not a failure."""
        self._stops = True
        tasks = self.running
        spares = (self._take_spare(), self._inner)
        tasks.update(spare.task for spare in spares if spare is not None and spare.task is not None)
        self._inner = None
        self._begun.clear()
        return tasks
