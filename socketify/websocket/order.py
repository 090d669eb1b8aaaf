"""The order of one connection's handlers: one after the other, even if one waits."""

from __future__ import annotations

import inspect
from collections import deque
from typing import Any

from ..loop.coroutines import StoppedError
from .session import Handler, Session


def call_in_turn(session: Session, handler: Handler, *arguments: Any) -> None:
    """Call a handler when those before it are done."""
    if session.busy:
        session.pending.append((handler, arguments))
        return
    try:
        result = handler(*arguments)
        if result is not None and inspect.iscoroutine(result):
            run_in_turn(session, result)
    except BaseException as error:
        session.fail(error)


def call_at_once(session: Session, handler: Handler, *arguments: Any) -> None:
    """Call a handler at once, even while others wait."""
    try:
        result = handler(*arguments)
        if result is not None and inspect.iscoroutine(result):
            _run(session, result)
    except BaseException as error:
        session.fail(error)


def run_in_turn(session: Session, coroutine: Any) -> None:
    """Run the coroutine that a handler returned; events until it is done are pending, and handled then."""
    session.busy = True
    _run(session, _until_nothing_is_pending(session, coroutine))


def begin_iteration(session: Session) -> None:
    """Queue messages for an iteration from now on, including those that are pending."""
    session.inbox = deque()
    on_message = session.handlers.get("message")
    calls = tuple(session.pending)
    session.pending.clear()
    session.pending.extend(each for each in calls if each[0] is not on_message)
    session.pending_bytes = 0
    for handler, arguments in calls:
        if handler is on_message:
            _, message, _ = arguments
            session.feed(message)


def _run(session: Session, coroutine: Any) -> None:
    runner = session.core.runner_for(coroutine)
    waits = runner.begin(coroutine)
    if waits is not None:
        runner.carry_on(coroutine, waits, session.fail)


async def _until_nothing_is_pending(session: Session, coroutine: Any) -> None:
    try:
        await _wait_for(session, coroutine)
        await _call_pending(session)
    except StoppedError:
        # Pending calls are dropped, except that of the close handler.
        on_close = session.handlers.get("close")
        last = [each for each in session.pending if each[0] is on_close]
        session.pending.clear()
        session.pending.extend(last)
        await _call_pending(session)
        raise
    finally:
        session.busy = False


async def _call_pending(session: Session) -> None:
    pending = session.pending
    while pending:
        handler, arguments = pending.popleft()
        if session.is_paused and not pending:
            session.pending_bytes = 0
            session.resume()
        try:
            result = handler(*arguments)
        except BaseException as error:  # the others still get their turn
            session.fail(error)
        else:
            await _wait_for(session, result)
    if session.inbox is None:
        session.pending_bytes = 0


async def _wait_for(session: Session, result: Any) -> None:
    """Await what a handler returned, if it is a coroutine.

    Raises:
        StoppedError: the app stops.

    """
    try:
        if result is not None and inspect.iscoroutine(result):
            await result
    except BaseException as error:  # as above
        cause = session.core.ended_by(error)
        if isinstance(cause, StoppedError):
            raise cause from None
        session.fail(error)
