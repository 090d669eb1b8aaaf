"""The spans and metrics of an app, through the API of OpenTelemetry. Only an app that was asked for them imports this."""

from __future__ import annotations

from typing import Optional

from ..core.core import Core
from ..core.telemetry import Telemetry
from ..http.handlers import Handler
from ..http.tracing import traced, traced_response_class
from ..websocket.session import Handler as WebSocketHandler
from ..websocket.tracing import traced_handlers


class OpenTelemetryTracing:
    """Traces the handlers of an app, which are wrapped as they are added."""

    def __init__(self) -> None:
        self._telemetry = Telemetry()
        #: For the app.
        self.response_class = traced_response_class()

    def observe(self, core: Core) -> None:
        """Follow the responses of an app."""
        self._telemetry.observe(core)

    def traced(self, handler: Handler, route: Optional[str]) -> Handler:
        """Return a handler that does the same, and is traced; see :func:`socketify.http.tracing.traced`."""
        return traced(self._telemetry, handler, route)

    def traced_handlers(
        self, handlers: dict[str, Optional[WebSocketHandler]], route: str
    ) -> dict[str, Optional[WebSocketHandler]]:
        """Return handlers of websockets that do the same, and are traced."""
        return traced_handlers(self._telemetry, handlers, route)
