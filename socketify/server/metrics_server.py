"""The process that answers on the metrics port, also while all workers are busy."""

from __future__ import annotations

from typing import Callable

from ..app.app import App
from ..app.observed import answer_health, answer_metrics
from ..core.listeners import Listener
from ..core.options import AppListenOptions
from ..http.request import Request
from ..http.response import Response
from ..loop.loop_thread import forget_loop
from ..metrics.memory import metrics_memory
from ..metrics.totals import Totals

#: Connections that may wait.
_BACKLOG = 128
_EXCLUSIVE = 1


def open_metrics_port(host: str, port: int) -> Listener:
    """Listen for who reads metrics.

    Args:
        host: name or address.
        port: 0 lets the system pick one.

    Raises:
        OSError: the port is taken, the host unknown, or not permitted; the message says which.

    """
    return Listener(AppListenOptions(port=port, host=host, options=_EXCLUSIVE), _BACKLOG)


def serve_metrics(listener: Listener, release: Callable[[], object]) -> None:
    """Answer metrics and health until SIGTERM, in a process of its own.

    Args:
        listener: where; see :func:`open_metrics_port`.
        release: called first, to close what the process inherited and other ones use.

    """
    forget_loop()
    release()
    app = App(broker="none", lifespan=False)
    app.get("/metrics", answer_metrics)
    for path in ("/healthz", "/livez"):
        app.get(path, lambda res, _req: answer_health(res, True))
    app.get("/readyz", _answer_ready)
    app.listen(AppListenOptions(fd=listener.fd))
    app.run()


def _answer_ready(res: Response, _req: Request) -> None:
    answer_health(res, Totals(metrics_memory()).is_ready)
