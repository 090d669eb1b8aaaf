"""What the status page shows: what was counted, as JSON, from which the page makes rates."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from ..native import abi
from .totals import BOUNDS, Histogram, Totals

#: The routes that are shown one by one are those with the most requests.
_ROUTES_MAX = 30

_COUNTS = {
    "in_flight": abi.METRIC_IN_FLIGHT,
    "connections": abi.METRIC_CONNECTIONS,
    "accepted": abi.METRIC_ACCEPTED,
    "websockets": abi.METRIC_WEBSOCKETS,
    "received": abi.METRIC_WS_RECEIVED,
    "sent": abi.METRIC_WS_SENT,
    "dropped": abi.METRIC_WS_DROPPED,
    "aborted": abi.METRIC_ABORTED,
    "bytes": abi.METRIC_SENT_BYTES,
    "handshake_failures": abi.METRIC_TLS_FAILURES,
    "deaths": abi.METRIC_RESTARTS_DEATH,
}


def status_page() -> bytes:
    """Return the page: HTML without anything from elsewhere."""
    return Path(__file__).with_name("status.html").read_bytes()


def status_event(totals: Totals) -> bytes:
    """Return an event (``text/event-stream``) with what was counted until now."""
    return b"data: " + json.dumps(_facts(totals), separators=(",", ":")).encode() + b"\n\n"


def _facts(totals: Totals) -> dict[str, Any]:
    all_durations = Histogram()
    statuses: dict[str, int] = {}
    routes = []
    for name, route in totals.routes.items():
        counts: dict[str, int] = {}
        for _method, status, count in route.requests():
            counts[status] = counts.get(status, 0) + count
            statuses[status] = statuses.get(status, 0) + count
        all_durations.merge(route.durations)
        if counts:
            routes.append({"name": name, "statuses": counts, "buckets": route.durations.buckets})
    routes.sort(key=lambda each: -sum(each["statuses"].values()))  # type: ignore[attr-defined]
    return {
        "time": time.monotonic(),
        "bounds": BOUNDS,
        "ready": totals.is_ready,
        "statuses": statuses,
        "buckets": all_durations.buckets,
        "routes": routes[:_ROUTES_MAX],
        "lag": totals.lag_seconds,
        "workers": [
            {
                "name": each.name,
                "pid": each.pid,
                "phase": each.phase,
                "in_flight": each.in_flight,
                "connections": each.connections,
                "websockets": each.websockets,
                "lag": each.lag_seconds,
                "memory": each.resident_bytes,
                "descriptors": each.open_descriptors,
            }
            for each in totals.workers
        ],
        **{name: totals.words[word] for name, word in _COUNTS.items()},
    }
