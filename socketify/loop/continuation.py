"""What a task steps whose coroutine was begun elsewhere."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any, Callable, NoReturn, Optional, Protocol

from ..native import continuation_type

ErrorReport = Callable[[BaseException], None]
Finish = Callable[[], object]

#: What asyncio, debuggers and programs ask of a task's coroutine.
_SHOWN = frozenset({"cr_await", "cr_code", "cr_frame", "cr_origin", "cr_running", "cr_suspended"})
_NAMES = frozenset({"__name__", "__qualname__"})


class Runner(Protocol):
    """What gives coroutines to continuations."""

    def new_future(self) -> asyncio.Future[None]:
        """Make a future of the loop."""

    def retire(self, spare: Continuation) -> None:
        """Take note that somebody cancelled the task of one that has no coroutine."""

    def outcome_of(self, error: BaseException) -> BaseException:
        """Tell what ended a coroutine."""


class Continuation:
    """A coroutine as a task sees it: one that is given to it later, and was begun by then.

    Nothing runs in it before. Then each step goes on to what was given, in its own context, and whoever asks is told about
    that. Attributes that nobody set, or that are over, are None.
    """

    __slots__ = (
        "context",
        "coroutine",
        "finish",
        "is_cancelled",
        "is_pending",
        "report",
        "runner",
        "running",
        "task",
        "waker",
        "yielded",
    )
    runner: Runner
    #: The task, and the set that this is in, until the coroutine ends.
    task: Optional[asyncio.Task[Any]]
    running: Optional[set[Continuation]]
    #: Whether somebody cancelled the task while it had no coroutine.
    is_cancelled: Optional[bool]
    #: What a task waits for that had its first turn before a coroutine was given.
    waker: Optional[asyncio.Future[None]]
    #: What was given; the context only as long as that runs.
    coroutine: Any
    context: Optional[contextvars.Context]
    report: Optional[ErrorReport]
    finish: Optional[Finish]
    #: What its first step yielded, and whether the task still has to be handed that.
    yielded: Any
    is_pending: Optional[bool]

    def __getattr__(self, name: str) -> Any:
        """Return what the coroutine has, or None for what is not set."""
        if name in Continuation.__slots__:
            return None
        coroutine = self.coroutine
        if coroutine is not None and (name in _SHOWN or name in _NAMES):
            return getattr(coroutine, name)
        if name in _NAMES:
            return Continuation.__name__
        if name in _SHOWN:
            return None
        message = f"a continuation has no attribute {name!r}"
        raise AttributeError(message)

    def __await__(self) -> NoReturn:
        """Refuse, as coroutines do that a task awaits already."""
        message = "coroutine is being awaited already"
        raise RuntimeError(message)

    def throw(self, error: Any, *more: Any) -> Any:
        """Raise an error in the coroutine."""
        raise NotImplementedError

    def close(self) -> None:
        """End the coroutine with ``GeneratorExit``."""
        try:
            self.throw(GeneratorExit())
        except (StopIteration, GeneratorExit):
            return
        message = "coroutine ignored GeneratorExit"
        raise RuntimeError(message)

    def idle(self) -> Any:
        """Return what the task waits for until a coroutine is given."""
        if self.coroutine is not None:
            message = "cannot reuse already awaited coroutine"
            raise RuntimeError(message)
        self.waker = self.runner.new_future()
        # As a coroutine yields it.
        return next(iter(self.waker))

    def fail(self, report: ErrorReport, error: BaseException) -> bool:
        """Report what the coroutine raised, and return whether it ends the task: most would be thrown out of the loop."""
        report(self.runner.outcome_of(error))
        return isinstance(error, asyncio.CancelledError)


class InterpretedContinuation(Continuation):
    """One that the native side takes no part in. It does what that does."""

    __slots__ = ()

    def send(self, value: Any) -> Any:
        """Step the coroutine."""
        if self.is_pending:
            self.is_pending = False
            yielded, self.yielded = self.yielded, None
            return yielded
        if self.context is None:
            return self.idle()
        try:
            return self.context.run(self.coroutine.send, value)
        except StopIteration:
            self._on_return()
        except BaseException as error:
            if self._on_error(error):
                raise
        raise StopIteration

    def throw(self, error: Any, *more: Any) -> Any:
        """Raise an error in the coroutine."""
        if self.context is None:
            raise error
        # It is not waited for any more.
        self.is_pending = False
        self.yielded = None
        try:
            return self.context.run(self.coroutine.throw, error, *more)
        except StopIteration:
            self._on_return()
        except BaseException as failure:
            if self._on_error(failure):
                raise
        raise StopIteration

    def _on_return(self) -> None:
        report, finish = self._end()
        try:
            if finish is not None:
                finish()
        except BaseException as error:
            if self.fail(report, error):
                raise

    def _on_error(self, error: BaseException) -> bool:
        report, _ = self._end()
        return self.fail(report, error)

    def _end(self) -> tuple[Any, Optional[Finish]]:
        report, finish = self.report, self.finish
        if self.running is not None:
            self.running.discard(self)
        self.context = self.report = self.finish = self.running = self.task = None
        return report, finish

    def __del__(self) -> None:
        """End the coroutine when its task is dropped."""
        if self.context is not None:
            self.close()


continuation_class: type[Any] = continuation_type(Continuation, InterpretedContinuation)
