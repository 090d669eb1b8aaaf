"""What the requests to one WSGI application have in common."""

from __future__ import annotations

from typing import Any, Callable

from ..core.core import Core
from .head import Heads


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
        self.core.outcome.fail_handle(error, handle, "the WSGI application failed")
