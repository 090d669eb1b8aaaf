"""HTTP over ASGI: one request and its response, without Request or Response objects."""

from __future__ import annotations

import asyncio
import contextvars
import types
from typing import Any, Optional

from ..core.core import Core
from ..http.body_queue import BodyQueue
from ..native import lib
from .protocol import ASGIApplication, Message, Scope, as_coroutine, is_disconnect
from .response import DONE, FAILED, LEFT, START, ASGIResponse
from .waiters import wait, wake

#: How often an application is notified that the server stops before its event stream is ended.
_STOP_NOTICES_MAX = 2
#: When an application that did not notice that is cancelled.
_CANCEL_SECONDS = 1.0

_CoroutineType = types.CoroutineType

#: The body of a request that has none, or whose body was received to its end.
_NOTHING_MORE = BodyQueue()


class ASGIExchange(ASGIResponse):
    """One request and its response, with the application that answers it."""

    __slots__ = ("_application", "_stop_notices", "body", "scope", "task")

    def __init__(self, core: Core, handle: int, application: ASGIApplication) -> None:
        super().__init__(core, handle)
        self._application = application
        #: The body that was not received yet; None if that is the one empty message of a request without a body.
        self.body: Optional[BodyQueue] = None
        #: The scope, while the application is not called before the first piece of the body has arrived.
        self.scope: Optional[Scope] = None
        #: The task of an application that waits.
        self.task: Optional[asyncio.Task[None]] = None
        # How often ``receive`` reported the client's leaving because the server stops.
        self._stop_notices = 0

    # ---- running the application

    def run(self, scope: Scope) -> None:
        """Step the application; nothing is raised."""
        try:
            result = self._application(scope, self.receive, self.send)
        except BaseException as error:
            self.on_error(error)
            return
        self.run_awaitable(result)

    def run_awaitable(self, coroutine: Any) -> None:
        """Begin the awaitable that the application returned."""
        runner = self.core.runner
        try:
            if coroutine.__class__ is not _CoroutineType:
                coroutine = as_coroutine(coroutine)
            assert runner is not None
            waits = runner.begin(coroutine)
        except BaseException as error:
            self.on_error(error)
            return
        if waits is not None:
            self.carry_on(coroutine, *waits)
        elif self.phase < DONE:
            self.on_return()

    def carry_on(self, coroutine: Any, yielded: Any, context: contextvars.Context) -> None:
        """Continue a coroutine that waits in a task."""
        runner = self.core.runner
        assert runner is not None
        self.follow()
        self.task = runner.carry_on(coroutine, (yielded, context), self.on_error, self.on_return)

    def _itself(self) -> ASGIExchange:
        return self

    def follow(self) -> None:
        """Be notified of events on the connection from now on."""
        if self.handle:
            self.core.live[self.handle] = self._itself

    def on_return(self) -> None:
        """Take note that the application returned."""
        if self.phase >= DONE:
            return
        if self._stop_notices:
            self.give_up()
            return
        missing = "starting a response" if self.phase == START else "completing its response"
        self.on_error(RuntimeError(f"the ASGI application returned without {missing}"))

    def on_error(self, error: BaseException) -> None:
        """Take an error that the application raised."""
        if self.phase == FAILED or (self.phase == LEFT and is_disconnect(error)):
            return
        if self._stop_notices and (is_disconnect(error) or isinstance(error, asyncio.CancelledError)):
            if self.phase < DONE:
                self.give_up()
            return
        handle = self.handle
        if self.phase < DONE:
            self.leave()
        self.core.outcome.fail_handle(error, handle, "the ASGI application failed")

    # ---- events of the native side

    #: Pieces of a body are passed on one by one.
    collected = None

    def on_abort(self) -> None:
        """Handle that the client left."""
        if self.phase < DONE:
            self.leave()

    def on_failure(self) -> None:
        """Handle that the request failed, which was reported."""
        self.on_abort()
        if self.phase == LEFT:
            self.phase = FAILED

    def on_writable(self) -> None:
        """Go on sending."""
        if self.writers:
            wake(self.writers)

    def on_body(self, chunk: bytes, last: bool) -> None:
        """Take a piece of the request's body."""
        body = self.body
        assert body is not None
        if body.add(chunk, last) and self.handle:
            lib.sk_res_pause(self.handle)
        scope, self.scope = self.scope, None
        if scope is not None:
            self.run(scope)
        elif self.readers:
            wake(self.readers)

    def on_stop(self, late: bool) -> None:
        """Let ``receive`` report that the client left: at once for event streams, late for those with the whole request."""
        if self.phase >= DONE:
            return
        if self.is_event_stream:
            if self._stop_notices >= _STOP_NOTICES_MAX:
                # It goes on in spite of that. Sending is an error from now on; an application that never sends is cancelled.
                self.give_up()
                if self.task is not None:
                    asyncio.get_running_loop().call_later(_CANCEL_SECONDS, self.task.cancel)
                return
        elif not late or not (self.body is None or self.body is _NOTHING_MORE):
            return
        self._stop_notices += 1
        if self.readers:
            wake(self.readers)

    # ---- receive

    def end_body(self) -> None:
        """Take note that the whole request was received."""
        self.body = _NOTHING_MORE

    async def receive(self) -> Message:
        """Return the next piece of the body; after its end wait until the client leaves or the response is complete.

        When the server stops it is as if the client left.
        """
        body = self.body
        if body is None:
            self.body = _NOTHING_MORE
            if self.phase < DONE:
                return {"type": "http.request", "body": b"", "more_body": False}
        elif body is not _NOTHING_MORE:
            while self.phase < DONE and not self._stop_notices:
                if body.is_ready:
                    return self._take(body)
                if body.is_asked:
                    await self._event()
                    continue
                body.is_asked = True
                self.follow()
                # A piece that has arrived already is delivered at once.
                lib.sk_res_read_body(self.handle)
        while self.phase < DONE and not self._stop_notices:
            await self._event()
        return {"type": "http.disconnect"}

    async def _event(self) -> None:
        """Wait for more of the body, or the end of the exchange."""
        if self.readers is None:
            self.readers = []
        await wait(self.readers)

    def _take(self, body: BodyQueue) -> Message:
        data, more, resume = body.take()
        if resume:
            lib.sk_res_resume(self.handle)
        if not more:
            self.body = _NOTHING_MORE
        return {"type": "http.request", "body": data, "more_body": more}
