"""A stop, which a second request hurries, and the bounds of what it waits for."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Iterable
from typing import Any, Callable, Optional

from ..loop.coroutines import new_task

logger = logging.getLogger("socketify")

#: The most seconds of the time-out (else a fifth of it) that requests in flight leave to tasks and shutdown handlers.
_RESERVED_SECONDS = 1.0
#: Seconds that shutdown handlers get at least, and in which cancelled tasks have to end.
_LEAST_SECONDS = 1.0

LifecycleHandler = Callable[[], Any]


class Stop:
    """The stop of an app that is served.

    Args:
        loop: the event loop.
        timeout: seconds that all of it may take, from when it is asked for.

    """

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        self._loop = loop
        self._timeout = timeout
        #: Done when the stop is requested.
        self.asked: asyncio.Future[None] = loop.create_future()
        self._deadline: Optional[float] = None
        self._timer: Optional[asyncio.TimerHandle] = None
        self._hurry: asyncio.Future[None] = loop.create_future()
        # The serving task, while it is in a handler that may be interrupted, and whether it was interrupted.
        self._handling: Optional[asyncio.Task[Any]] = None
        self._interrupted = False
        self._ending = False
        self._failure: Optional[BaseException] = None
        #: Whether it was requested a second time, so that it does not wait for requests in flight any more.
        self.is_hurried = False

    def ask(self, by_signal: bool = False) -> None:
        """Request the stop; a further request ends the present wait.

        Args:
            by_signal: whether it interrupts shutdown handlers, too, if it is a further request.

        """
        if not self.asked.done():
            self.asked.set_result(None)
            self._deadline = self._loop.time() + self._timeout
            # Start handlers may be running.
            self._timer = self._loop.call_at(self._deadline, self._interrupt)
        elif by_signal or not self._ending:
            self.is_hurried = True
            hurry, self._hurry = self._hurry, self._loop.create_future()
            hurry.set_result(None)
            self._interrupt()

    def _interrupt(self) -> None:
        if self._handling is not None and not self._interrupted:
            self._interrupted = True
            self._handling.cancel()

    def close(self) -> None:
        """Cancel the time-out."""
        if self._timer is not None:
            self._timer.cancel()

    def remaining(self, reserved: bool = False) -> float:
        """Return how many seconds are left, without those that are reserved for what follows the requests."""
        if self._deadline is None:
            return self._timeout
        kept = min(_RESERVED_SECONDS, self._timeout / 5) if reserved else 0.0
        return max(0.0, self._deadline - kept - self._loop.time())

    async def wait_for_requests(self, awaitables: Iterable[Any], seconds: float) -> bool:
        """Wait as :meth:`wait` does, but not at all when the stop was hurried before."""
        return await self.wait(awaitables, 0 if self.is_hurried else seconds)

    async def wait(self, awaitables: Iterable[Any], seconds: float) -> bool:
        """Wait until all are done, the seconds are over, or the stop is hurried; return whether all are done."""
        waited = {each for each in map(asyncio.ensure_future, awaitables) if not each.done()}
        hurry = self._hurry
        end = self._loop.time() + seconds
        while waited and not hurry.done():
            left = end - self._loop.time()
            if left <= 0:
                break
            done, _ = await asyncio.wait({*waited, hurry}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            waited -= done
        return not waited

    async def cancel(self, tasks: Iterable[asyncio.Task[Any]]) -> None:
        """Cancel tasks and wait until they are done; those that go on in spite of it are left, and named in the log."""
        tasks = [task for task in tasks if not task.done()]
        for task in tasks:
            task.cancel()
        if await self.wait(tasks, max(self.remaining(), _LEAST_SECONDS)):
            return
        for task in tasks:
            if not task.done():
                logger.warning("a task goes on though it was cancelled, and is left: %r", task)
                _leave(task)

    async def start(self, handlers: Iterable[LifecycleHandler]) -> bool:
        """Run start handlers; return False when the stop interrupted them."""
        for handler in handlers:
            if not await self._handle(handler):
                return False
        return True

    async def end(self, handlers: Iterable[LifecycleHandler]) -> None:
        """Run shutdown handlers within the time that is left, even after one of them raised (see :meth:`fail`)."""
        self._ending = True
        self.close()
        self._timer = self._loop.call_later(max(self.remaining(), _LEAST_SECONDS), self._interrupt)
        self._interrupted = False
        for handler in handlers:
            try:
                await self._handle(handler)
            except BaseException as error:
                self.fail(error)
            if self._interrupted:
                logger.warning("a shutdown handler did not end in time and is cancelled")
                break
        self.close()

    def fail(self, error: BaseException) -> None:
        """Keep the first error, to be raised when everything is released; log the others."""
        if self._failure is None:
            self._failure = error
        else:
            logger.error("something else failed as the server stopped", exc_info=error)

    def take_failure(self) -> Optional[BaseException]:
        """Return the error that is to be raised, and forget it."""
        failure, self._failure = self._failure, None
        return failure

    async def _handle(self, handler: LifecycleHandler) -> bool:
        result = handler()
        if not inspect.isawaitable(result):
            return True
        # In this task, so that what a handler sets in its context is seen by the requests.
        task = self._handling = asyncio.current_task()
        try:
            await result
        except asyncio.CancelledError:
            if not self._interrupted:
                raise
            return False
        finally:
            self._handling = None
            if self._interrupted and hasattr(task, "uncancel"):
                task.uncancel()  # type: ignore[union-attr]
        return True


async def end_loop(loop: asyncio.AbstractEventLoop, stop: Stop) -> None:
    """End what the program left in the loop, as :func:`asyncio.run` does, but within the time of the stop."""
    await stop.cancel(left := asyncio.all_tasks(loop) - {asyncio.current_task(loop)})
    for task in left:
        if task.done() and not task.cancelled() and task.exception() is not None:
            loop.call_exception_handler(
                {"message": "a task failed as the server stopped", "exception": task.exception(), "task": task}
            )
    for ending in (loop.shutdown_asyncgens(), loop.shutdown_default_executor()):
        task = new_task(loop, ending)
        if not await stop.wait([task], max(stop.remaining(), _LEAST_SECONDS)):
            # If it were cancelled, it would wait for the thread that does not end.
            _leave(task)
            logger.warning("a thread of the loop's default executor, or an asynchronous generator, does not end, and is left")


def _leave(task: asyncio.Task[Any]) -> None:
    """Leave a task that does not end, and keep asyncio from logging it again when it is collected."""
    task._log_destroy_pending = False  # type: ignore[attr-defined] # noqa: SLF001 - as asyncio.gather does
