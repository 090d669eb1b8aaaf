"""The lifespan protocol of ASGI: an application is notified of start and shutdown."""

from __future__ import annotations

import asyncio
import logging
from typing import Optional

from ..loop.coroutines import new_task
from .protocol import ASGIApplication, Message, Scope

logger = logging.getLogger("socketify")

#: Seconds that an application gets to return after it said that its shutdown is complete.
_RETURN_TIMEOUT = 5.0
#: Seconds that it gets to end after it is cancelled.
_CANCEL_TIMEOUT = 1.0


class LifespanError(RuntimeError):
    """The application refused to start; the message contains its reason."""


class Lifespan:
    """The lifespan of one application.

    Args:
        application: an ASGI application.
        mode: ``auto`` to serve an application that does not know the protocol without it, ``on`` to require the protocol.
        state: of the application, which it may fill; every later scope gets a copy.

    """

    def __init__(self, application: ASGIApplication, mode: str, state: Scope) -> None:
        self._application = application
        self._is_required = mode == "on"
        self._state = state
        self._task: Optional[asyncio.Task[None]] = None
        self._started: Optional[asyncio.Future[None]] = None
        self._stopping: Optional[asyncio.Future[None]] = None
        self._stopped: Optional[asyncio.Future[None]] = None
        self._received = 0

    async def startup(self) -> None:
        """Let the application start.

        Raises:
            LifespanError: it refused, or it does not know the protocol in mode ``on``.

        """
        loop = asyncio.get_running_loop()
        self._started, self._stopping, self._stopped = loop.create_future(), loop.create_future(), loop.create_future()
        self._received = 0
        task = self._task = new_task(loop, self._main())
        await self._first_of(task, self._started)
        if self._started.done():
            error = self._started.exception()
            if error is None:
                task.add_done_callback(self._on_end)
                return
            await self._finish(task)
            raise error
        self._task = None
        reason = task.exception()
        if self._is_required:
            message = "the application does not support lifespan: it " + (
                f"raised {reason!r}" if reason else "returned at once"
            )
            raise LifespanError(message) from reason
        # As it received the start event, it knows the protocol, and has failed.
        level = logging.WARNING if self._received and reason is not None else logging.DEBUG
        logger.log(level, "the application is served without lifespan", exc_info=reason)

    async def shutdown(self) -> None:
        """Let the application stop, and wait until it has."""
        task, self._task = self._task, None
        if task is None or task.done():
            return
        assert self._stopping is not None
        assert self._stopped is not None
        self._stopping.set_result(None)
        await self._first_of(task, self._stopped)
        await self._finish(task)

    async def _first_of(self, task: asyncio.Task[None], event: asyncio.Future[None]) -> None:
        try:
            await asyncio.wait({task, event}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            # A second request to stop means not to wait for the application.
            self._task = None
            await _cancel(task)
            raise

    async def _finish(self, task: asyncio.Task[None]) -> None:
        try:
            await asyncio.wait({task}, timeout=_RETURN_TIMEOUT)
        except asyncio.CancelledError:
            await _cancel(task)
            raise
        if not task.done():
            await _cancel(task)
        elif not task.cancelled() and task.exception() is not None and self._stopping is not None and self._stopping.done():
            logger.error("the application failed as it stopped", exc_info=task.exception())

    def _on_end(self, task: asyncio.Task[None]) -> None:
        if self._task is task and not task.cancelled() and task.exception() is not None:
            logger.error("the lifespan of the application failed", exc_info=task.exception())

    async def _main(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self._state}
        await self._application(scope, self._receive, self._send)

    async def _receive(self) -> Message:
        self._received += 1
        if self._received == 1:
            return {"type": "lifespan.startup"}
        assert self._stopping is not None
        await asyncio.shield(self._stopping)
        if self._received > 2:
            # No message follows; an application that waits is cancelled in the end.
            await asyncio.get_running_loop().create_future()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        assert self._started is not None
        assert self._stopping is not None
        assert self._stopped is not None
        kind = message["type"]
        text = str(message.get("message", ""))
        if not self._started.done() and kind == "lifespan.startup.complete":
            self._started.set_result(None)
        elif not self._started.done() and kind == "lifespan.startup.failed":
            self._started.set_exception(LifespanError(text or "the application refused to start, without a message"))
        elif self._stopping.done() and not self._stopped.done() and kind == "lifespan.shutdown.complete":
            self._stopped.set_result(None)
        elif self._stopping.done() and not self._stopped.done() and kind == "lifespan.shutdown.failed":
            logger.error("the application failed to stop: %s", text)
            self._stopped.set_result(None)
        else:
            phase = "shutdown" if self._stopping.done() else "startup"
            expected = (
                "no message"
                if (self._stopped.done() or (self._started.done() and phase == "startup"))
                else (f"the ASGI message 'lifespan.{phase}.complete' or 'lifespan.{phase}.failed'")
            )
            error = f"expected {expected}, not {kind!r}"
            raise RuntimeError(error)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task}, timeout=_CANCEL_TIMEOUT)
