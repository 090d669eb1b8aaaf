"""The object that a task steps when its coroutine was begun elsewhere."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any, Callable, NoReturn, Optional, Protocol

from ..native import continuation_type

ErrorReport = Callable[[BaseException], None]
Finish = Callable[[], object]

#: The attributes that asyncio, debuggers and programs read of a task's coroutine.
_FORWARDED = frozenset({"cr_await", "cr_code", "cr_frame", "cr_origin", "cr_running", "cr_suspended"})
_NAMES = frozenset({"__name__", "__qualname__"})


class Runner(Protocol):
    """What passes coroutines to continuations."""

    def new_future(self) -> asyncio.Future[None]:
        """Make a future of the loop."""

    def retire(self, spare: Continuation) -> None:
        """Take note that somebody cancelled the task of one that has no coroutine."""

    def outcome_of(self, error: BaseException) -> BaseException:
        """Return what ended a coroutine."""


class Continuation:
    """The coroutine of a task, as a stand-in: the real one is set later, when it was begun already.

    Nothing runs in it before that. Then each step steps the real one, in the context of that, and attributes are read from
    it. Attributes that were not set, or not any more, are None.
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
    #: The task, and the set that this is in while a coroutine runs, until that ends.
    task: Optional[asyncio.Task[Any]]
    running: Optional[set[Continuation]]
    #: Whether the task was cancelled while it had no coroutine.
    is_cancelled: Optional[bool]
    #: What the task waits for if it had its first turn before a coroutine was set.
    waker: Optional[asyncio.Future[None]]
    #: The coroutine, and its context while it runs.
    coroutine: Any
    context: Optional[contextvars.Context]
    report: Optional[ErrorReport]
    finish: Optional[Finish]
    #: What its first step yielded, and whether that must still be yielded to the task.
    yielded: Any
    is_pending: Optional[bool]

    if TYPE_CHECKING:
        # Classes of it have this; it is not abstract, as the native one cannot have a metaclass.
        def throw(self, error: Any, *more: Any) -> Any:
            """Raise an error in the coroutine."""

    def __getattr__(self, name: str) -> Any:
        """Return what the coroutine has, or None for what is not set."""
        if name in Continuation.__slots__:
            return None
        coroutine = self.coroutine
        if coroutine is not None and (name in _FORWARDED or name in _NAMES):
            return getattr(coroutine, name)
        if name in _NAMES:
            return Continuation.__name__
        if name in _FORWARDED:
            return None
        message = f"a continuation has no attribute {name!r}"
        raise AttributeError(message)

    def __await__(self) -> NoReturn:
        """Raise, as coroutines do that a task awaits already."""
        message = "coroutine is being awaited already"
        raise RuntimeError(message)

    def close(self) -> None:
        """End the coroutine with ``GeneratorExit``."""
        try:
            self.throw(GeneratorExit())
        except (StopIteration, GeneratorExit):
            return
        message = "coroutine ignored GeneratorExit"
        raise RuntimeError(message)

    def adopt(
        self, coroutine: Any, waits: tuple[Any, contextvars.Context], report: ErrorReport, finish: Optional[Finish]
    ) -> asyncio.Task[Any]:
        """Go on with a coroutine that was begun, and return its task."""
        assert self.running is not None
        assert self.task is not None
        self.coroutine = coroutine
        self.yielded, self.context = waits
        self.report = report
        self.finish = finish
        self.is_pending = True
        self.running.add(self)
        self.wake()
        return self.task

    def idle(self) -> Any:
        """Return what the task waits for until a coroutine is set."""
        if self.coroutine is not None:
            message = "cannot reuse already awaited coroutine"
            raise RuntimeError(message)
        self.waker = self.runner.new_future()
        # Iterating yields the future as a coroutine's await would.
        return next(iter(self.waker))

    def wake(self) -> None:
        """Let the task go on that waits already."""
        waker = self.waker
        # It is done if the coroutine cancelled its task before it waited.
        if waker is not None and not waker.done():
            waker.set_result(None)

    def fail(self, report: ErrorReport, error: BaseException) -> bool:
        """Report what the coroutine raised, and return whether it ends the task: the loop would re-raise most of them."""
        report(self.runner.outcome_of(error))
        return isinstance(error, asyncio.CancelledError)


class InterpretedContinuation(Continuation):
    """A continuation without native code. It does what the native one does."""

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
        except StopIteration as stop:
            returned = self._on_return(stop.value)
        except BaseException as error:
            if self._on_error(error):
                raise
            returned = None
        raise StopIteration(returned)

    def throw(self, error: Any, *more: Any) -> Any:
        """Raise an error in the coroutine."""
        if self.context is None:
            raise error
        # The task does not wait for the future any more.
        self.is_pending = False
        self.yielded = None
        try:
            return self.context.run(self.coroutine.throw, error, *more)
        except StopIteration as stop:
            returned = self._on_return(stop.value)
        except BaseException as failure:
            if self._on_error(failure):
                raise
            returned = None
        raise StopIteration(returned)

    def _on_return(self, returned: Any) -> Any:
        report, finish = self._end()
        try:
            if finish is not None:
                finish()
        except BaseException as error:
            if self.fail(report, error):
                raise
            return None
        return returned

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
