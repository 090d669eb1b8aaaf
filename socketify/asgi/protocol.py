"""The types of ASGI, and the error by which an application learns that its client left."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from typing import Any, Callable, NoReturn, Optional

Message = dict[str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
#: Called as ``app(scope, receive, send)``: frameworks describe these in ways that exclude each other, as mappings of any kind,
#: or as typed dicts.
ASGIApplication = Callable[[Any, Any, Any], Awaitable[Any]]


class ClientDisconnectedError(OSError):
    """The client left before the response was complete, or the websocket closed: nothing can be sent."""


def raise_client_left() -> NoReturn:
    """Raise the error for a response that cannot be completed."""
    message = "the client left before the response was complete"
    raise ClientDisconnectedError(message)


def as_coroutine(result: Any) -> Coroutine[Any, Any, Any]:
    """Make a coroutine of another awaitable that an application returned.

    Raises:
        TypeError: it cannot be awaited.

    """

    async def awaiting() -> Any:
        return await result

    if not hasattr(result, "__await__"):
        message = f"an ASGI application must give an awaitable, not {type(result).__name__}: is it an ASGI 3 application?"
        raise TypeError(message)
    return awaiting()


def is_disconnect(error: Optional[BaseException]) -> bool:
    """Return whether an error is the client's leaving, which is no fault of the application, or names that as its cause.

    An error that was merely raised while that was handled (``__context__``) may be any bug.
    """
    while error is not None:
        if isinstance(error, ClientDisconnectedError):
            return True
        # An exception group (of a task group) counts if all of its errors do.
        members = getattr(error, "exceptions", None)
        if isinstance(members, tuple) and members:
            return all(is_disconnect(member) for member in members)
        error = error.__cause__
    return False
