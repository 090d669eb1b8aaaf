"""The process that answers on the metrics port, also while all workers are busy."""

from __future__ import annotations

import asyncio
from typing import Callable, Union

from ..app.app import App
from ..app.observed import answer_health, answer_metrics
from ..core.listeners import Listener
from ..core.options import AppListenOptions
from ..http.request import Request
from ..http.response import Response
from ..loop.loop_thread import forget_loop
from ..metrics.memory import metrics_memory
from ..metrics.status import status_event, status_page
from ..metrics.totals import Totals
from ..wire.authority import split_authority

_PORT_MAX = 65535
_LOCAL = "127.0.0.1"
#: Connections that may wait.
_BACKLOG = 128
_EXCLUSIVE = 1
#: Seconds between two events of the status page.
_INTERVAL = 1.0
#: The page needs nothing but itself, and nobody may show it within another one.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def metrics_place(given: Union[int, str]) -> tuple[str, int]:
    """Return the host and port of a metrics port: ``HOST:PORT``, ``[ADDRESS]:PORT``, or a port of this machine alone.

    Raises:
        TypeError: it is neither int nor str.
        ValueError: it is none of these.

    """
    if not isinstance(given, (int, str)) or isinstance(given, bool):
        message = f"metrics must be HOST:PORT or a port, not {type(given).__name__}"
        raise TypeError(message)
    text = str(given)
    host, port = split_authority(text if ":" in text else f":{text}")
    if port is None or port > _PORT_MAX:
        message = f"metrics must be HOST:PORT or a port, from 0 to {_PORT_MAX}, not {given!r}"
        raise ValueError(message)
    return host or _LOCAL, port


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
    page = status_page()
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    app = App(broker="none", lifespan=False)
    app.get("/", lambda res, _req: res.send(page, content_type="text/html; charset=utf-8", headers=headers))
    app.get("/events", _send_events)
    app.get("/metrics", answer_metrics)
    for path in ("/healthz", "/livez"):
        app.get(path, lambda res, _req: answer_health(res, True))
    app.get("/readyz", _answer_ready)
    app.listen(AppListenOptions(fd=listener.fd))
    app.run()


def _answer_ready(res: Response, _req: Request) -> None:
    answer_health(res, Totals(metrics_memory()).is_ready)


async def _send_events(res: Response, _req: Request) -> None:
    """Send what was counted, every second, until the client leaves."""
    res.write_header("Content-Type", "text/event-stream").write_header("Cache-Control", "no-store")
    while not res.aborted:
        res.write(status_event(Totals(metrics_memory())))
        await res.drain()
        await asyncio.sleep(_INTERVAL)
