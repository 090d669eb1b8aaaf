"""What the requests to one WSGI application have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from .head import Heads

if TYPE_CHECKING:
    from ..app.app import App as Core


class WSGIApplication:
    """An application and the app that serves it.

    Args:
        core: of the app.
        function: the application; takes environ and start_response.

    """

    __slots__ = ("core", "function", "heads")

    def __init__(self, core: Core, function: Callable[..., Any]) -> None:
        self.core = core
        self.function = function
        self.heads = Heads()

    def fail(self, handle: int, error: BaseException) -> None:
        """Report an error, and answer for it; see :class:`socketify.core.outcome.Outcome`. 0 is no response."""
        self.core._outcome.fail_handle(error, handle, "the WSGI application failed")
