"""Metrics as text: the format of Prometheus (0.0.4), and OpenMetrics 1.0.

https://prometheus.io/docs/instrumenting/exposition_formats/, https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Union

from ..native import abi
from .totals import BOUNDS, PHASES, Histogram, Totals

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

Number = Union[int, float]
#: What distinguishes samples of a family: names and values.
Labels = dict[str, str]

_NANOSECONDS = 1_000_000_000


@dataclass
class Family:
    """Samples of one name.

    Args:
        name: without the suffix of counters.
        kind: ``counter``, ``gauge`` or ``histogram``.
        text: what it says, for people.
        samples: suffix of the name, labels, and value.

    """

    name: str
    kind: str
    text: str
    samples: list[tuple[str, Labels, Number]]


def exposition(totals: Totals, open_metrics: bool = False) -> str:
    """Return metrics as text.

    Args:
        totals: what was counted.
        open_metrics: whether it is OpenMetrics rather than the older format.

    """
    lines: list[str] = []
    for family in _families(totals):
        name = f"socketify_{family.name}"
        described = f"{name}_total" if family.kind == "counter" and not open_metrics else name
        lines += (f"# HELP {described} {family.text}", f"# TYPE {described} {family.kind}")
        lines += (f"{name}{suffix}{_labels(labels)} {value}" for suffix, labels, value in family.samples)
    if open_metrics:
        lines.append("# EOF")
    return "\n".join(lines) + "\n"


def prefers_open_metrics(accept: str) -> bool:
    """Return whether an Accept field (RFC 9110 section 12.5.1) names OpenMetrics: who does so can read it."""
    return "application/openmetrics-text" in accept.lower()


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _families(totals: Totals) -> Iterator[Family]:
    yield from _requests(totals)
    yield from _connections(totals)
    yield from _websockets(totals)
    yield from _processes(totals)


def _counter(name: str, text: str, value: Number) -> Family:
    return Family(name, "counter", text, [("_total", {}, value)])


def _gauge(name: str, text: str, value: Number) -> Family:
    return Family(name, "gauge", text, [("", {}, value)])


def _by(name: str, text: str, label: str, values: Iterable[tuple[str, Number]]) -> Family:
    return Family(name, "counter", text, [("_total", {label: each}, value) for each, value in values])


def _histogram(labels: Labels, histogram: Histogram) -> Iterator[tuple[str, Labels, Number]]:
    below = 0
    for bound, count in zip((*BOUNDS, None), histogram.buckets):
        below += count
        yield "_bucket", {**labels, "le": "+Inf" if bound is None else repr(float(bound))}, below
    yield "_count", labels, below
    yield "_sum", labels, histogram.seconds


def _requests(totals: Totals) -> Iterator[Family]:
    words = totals.words
    requests: list[tuple[str, Labels, Number]] = []
    durations: list[tuple[str, Labels, Number]] = []
    for name, route in sorted(totals.routes.items()):
        for method, status, count in route.requests():
            requests.append(("_total", {"method": method, "status": status, "route": name}, count))
        if route.durations.count:
            durations += _histogram({"route": name}, route.durations)
    yield Family(
        "requests", "counter", "Requests by method, class of status and route; 4xx without an answer as well.", requests
    )
    yield Family("request_duration_seconds", "histogram", "From a request's head to the end of its response.", durations)
    yield _gauge("requests_in_flight", "Requests whose response is not complete.", words[abi.METRIC_IN_FLIGHT])
    yield _counter("requests_aborted", "Responses that were not sent whole.", words[abi.METRIC_ABORTED])
    yield _by(
        "requests_refused",
        "Requests that the server answered by itself: concurrency 503, timeout 408, name 421, version 505, others request.",
        "reason",
        (
            ("concurrency", words[abi.METRIC_REFUSED_CONCURRENCY]),
            ("timeout", words[abi.METRIC_REFUSED_TIMEOUT]),
            ("name", words[abi.METRIC_REFUSED_NAME]),
            ("version", words[abi.METRIC_REFUSED_VERSION]),
            ("request", words[abi.METRIC_REFUSED_REQUEST]),
        ),
    )
    yield _counter("request_body_bytes", "Bytes of bodies that arrived.", words[abi.METRIC_RECEIVED_BYTES])
    yield _counter("response_body_bytes", "Bytes of bodies that were sent.", words[abi.METRIC_SENT_BYTES])


def _connections(totals: Totals) -> Iterator[Family]:
    words = totals.words
    yield _gauge("connections", "Connections that are open.", words[abi.METRIC_CONNECTIONS])
    yield _counter("connections_accepted", "Connections that were accepted.", words[abi.METRIC_ACCEPTED])
    yield _counter("http2_connections", "Those that speak HTTP/2.", words[abi.METRIC_ACCEPTED_HTTP_2])
    yield _by(
        "connections_refused",
        "Connections that ended before their first request: tls as the handshake failed, handles at a million of connections.",
        "reason",
        (("tls", words[abi.METRIC_TLS_FAILURES]), ("handles", words[abi.METRIC_REFUSED_HANDLES])),
    )
    yield _by(
        "accept_pauses",
        "How often clients had to wait to be accepted: limit at max_connections, system without descriptors or memory.",
        "reason",
        (("limit", words[abi.METRIC_WAITED_LIMIT]), ("system", words[abi.METRIC_WAITED_SYSTEM])),
    )
    yield _counter("tls_handshakes", "TLS handshakes that were completed.", words[abi.METRIC_TLS_HANDSHAKES])
    yield _counter("tls_handshake_failures", "TLS handshakes that failed.", words[abi.METRIC_TLS_FAILURES])


def _websockets(totals: Totals) -> Iterator[Family]:
    words = totals.words
    yield _gauge("websockets", "WebSockets that are open.", words[abi.METRIC_WEBSOCKETS])
    yield _counter("websockets_opened", "WebSockets that were opened.", words[abi.METRIC_WS_OPENED])
    for name, text, received, sent in (
        ("messages", "Messages", words[abi.METRIC_WS_RECEIVED], words[abi.METRIC_WS_SENT]),
        ("message_bytes", "Bytes of messages", words[abi.METRIC_WS_RECEIVED_BYTES], words[abi.METRIC_WS_SENT_BYTES]),
    ):
        yield _by(f"websocket_{name}", f"{text} of websockets.", "direction", (("received", received), ("sent", sent)))
    dropped = words[abi.METRIC_WS_DROPPED]
    yield _counter("websocket_messages_dropped", "Messages that max_backpressure kept from a client.", dropped)
    yield _gauge("topics", "Topics of all processes that have a subscriber there.", words[abi.METRIC_TOPICS])
    yield _gauge("topic_subscriptions", "Subscriptions of websockets.", words[abi.METRIC_SUBSCRIPTIONS])
    yield _counter("publications", "Messages that were published to the websockets of a process.", words[abi.METRIC_PUBLISHED])
    for name, text, word in (
        ("published", "Messages that were published to other processes.", abi.METRIC_BROKER_PUBLISHED),
        ("delivered", "Messages of other processes that were delivered.", abi.METRIC_BROKER_DELIVERED),
        ("lost", "Messages that some or all other processes did not get.", abi.METRIC_BROKER_LOST),
        ("reconnects", "How often the connection to the broker was made again.", abi.METRIC_BROKER_RECONNECTS),
    ):
        yield _counter(f"broker_{name}", text, words[word])
    lag = words[abi.METRIC_BROKER_LAG_NS] / _NANOSECONDS
    yield _gauge("broker_lag_seconds", "How long messages wait for their broker, of all processes together.", lag)


def _processes(totals: Totals) -> Iterator[Family]:
    words, workers = totals.words, totals.workers
    counting = [each for each in workers if each.name != "supervisor"]
    phases: list[tuple[str, Labels, Number]] = [
        ("", {"phase": phase}, sum(each.phase == phase for each in counting)) for phase in PHASES.values()
    ]
    yield Family("workers", "gauge", "Apps that count, by what they do.", phases)
    yield _by(
        "worker_restarts",
        "Workers that took the place of others: after a death, an end of their own accord, or as all were replaced.",
        "reason",
        (
            ("death", words[abi.METRIC_RESTARTS_DEATH]),
            ("end", words[abi.METRIC_RESTARTS_END]),
            ("rolling", words[abi.METRIC_RESTARTS_ROLLING]),
        ),
    )
    lags = list(_histogram({}, totals.lags))
    yield Family("loop_lag_seconds", "histogram", "How late event loops were, asked twice a second while there is work.", lags)
    latest: list[tuple[str, Labels, Number]] = [("", {"process": each.name}, each.lag_seconds) for each in counting]
    yield Family("loop_lag_last_seconds", "gauge", "How late an event loop was when it was last asked.", latest)
    for name, text, attribute in (
        ("process_resident_memory_bytes", "Memory that a process takes.", "resident_bytes"),
        ("process_open_fds", "Descriptors that a process has.", "open_descriptors"),
    ):
        known = [(each.name, getattr(each, attribute)) for each in workers]
        samples: list[tuple[str, Labels, Number]] = [
            ("", {"process": each}, value) for each, value in known if value is not None
        ]
        yield Family(name, "gauge", text, samples)
