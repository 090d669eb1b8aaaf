"""The app that serves, for applications of other interfaces."""

from __future__ import annotations

from ..topics.current import find_current
from .app import App


def current_app() -> App:
    """Return the app that this thread's loop serves, else the only one that this process serves. Any thread may call this.

    In applications of other interfaces it is what serves them, from their start (as ASGI's lifespan) to their end.

    Raises:
        RuntimeError: no app is served in this process, or several are, and none or several of them by this thread's loop.

    """
    app = find_current("socketify.current_app")[1]
    assert isinstance(app, App)
    return app
