"""What an app says about itself: metrics, and whether it is well."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Optional, TypeVar

from ..core.core import Core
from ..http.request import Request
from ..http.response import Response
from ..metrics.exposition import OPEN_METRICS, PROMETHEUS, exposition, prefers_open_metrics
from ..metrics.memory import metrics_memory
from ..metrics.totals import Totals
from ..topics.topics import Topics
from .routers import Verbs

if TYPE_CHECKING:
    from .tracing import OpenTelemetryTracing

Self = TypeVar("Self", bound="Observed")


class Observed(Verbs):
    """The methods of an app by which others watch it."""

    #: For the framework.
    core: Core
    topics: Topics

    def metrics(self: Self, path: Optional[str] = "/metrics") -> Self:
        """Count what the app does, and answer the counts of all processes of its supervisor: see ``docs/metrics.md``.

        Call it before the first connection. Whoever can send requests to the app can read them: think of a host name or a
        middleware of its own, or of ``--metrics``, which has a port of its own.

        Args:
            path: where, in the text format of Prometheus or as OpenMetrics; None to count only.

        Raises:
            RuntimeError: the app is closed.
            ValueError: it is not a valid path.

        """
        self.core.count().broker = lambda: self.topics.counters
        if path is not None:
            self.get(path, answer_metrics)
        return self

    def health(self: Self, live: Optional[str] = "/healthz", ready: Optional[str] = "/readyz") -> Self:
        """Answer whether the app is well, for load balancers and orchestrators.

        Args:
            live: a path whose answer is 200 whenever there is one; None for none.
            ready: a path whose answer is 200 while the app takes requests, and 503 when it stops; while it starts, no
                connection is accepted. None for none.

        Raises:
            RuntimeError: the app is closed.
            ValueError: it is not a valid path.

        """
        core = self.core

        def answer_ready(res: Response, _req: Request) -> None:
            answer_health(res, not core.is_stopping)

        if live is not None:
            self.get(live, lambda res, _req: answer_health(res, True))
        if ready is not None:
            self.get(ready, answer_ready)
        return self


def new_tracing(otel: bool) -> Optional[OpenTelemetryTracing]:
    """Make what traces an app; None for nothing.

    Raises:
        ModuleNotFoundError: the API of OpenTelemetry is not installed; the message says how to install it.
        TypeError: otel is no bool.

    """
    if not isinstance(otel, bool):
        message = f"otel must be a bool, not {type(otel).__name__}"
        raise TypeError(message)
    if not otel:
        return None
    try:
        module = importlib.import_module("socketify.app.tracing")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        message = f'otel needs the package {error.name}: pip install "socketify[otel]"'
        raise ModuleNotFoundError(message, name=error.name) from None
    made: OpenTelemetryTracing = module.OpenTelemetryTracing()
    return made


def answer_metrics(res: Response, req: Request) -> None:
    """Answer what all apps of this memory counted, in the format that the client asks for."""
    is_open = prefers_open_metrics(req.get_header("accept") or "")
    text = exposition(Totals(metrics_memory()), is_open)
    res.send(text, content_type=OPEN_METRICS if is_open else PROMETHEUS)


def answer_health(res: Response, is_well: bool) -> None:
    """Answer 200 or 503, which nobody may keep."""
    headers = {"Cache-Control": "no-store"}
    if is_well:
        res.send("ok\n", headers=headers)
    else:
        res.send("not ready\n", status=503, headers=headers)
