"""What all apps counted until now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Optional

from ..native import abi
from ..system.processes import open_descriptors, resident_bytes
from .memory import MetricsMemory

#: Upper bounds of buckets in seconds; the last bucket has none.
BOUNDS = tuple(int(each) / 1_000_000 for each in abi.METRICS_BOUNDS.split())
METHODS = tuple(abi.METRICS_METHODS.split())
STATUSES = tuple(f"{first}xx" for first in range(1, abi.METRICS_STATUS_COUNT + 1))
PHASES = {abi.PHASE_STARTING: "starting", abi.PHASE_SERVING: "serving", abi.PHASE_DRAINING: "draining"}
#: How routes are called that are none: no app has such a pattern, as patterns begin with a slash.
NO_ROUTE, OTHER_ROUTES = "none", "other"

_CELLS = abi.METRICS_METHOD_COUNT * abi.METRICS_STATUS_COUNT
_NANOSECONDS = 1_000_000_000


@dataclass
class Histogram:
    """How often something took how long."""

    #: One for each of BOUNDS, and one for what took longer.
    buckets: list[int] = field(default_factory=lambda: [0] * abi.METRICS_BUCKETS)
    nanoseconds: int = 0

    def add(self, words: memoryview[int], first: int) -> None:
        """Add what a block has from a word on."""
        self.buckets = [sum(pair) for pair in zip(self.buckets, words[first : first + abi.METRICS_BUCKETS])]
        self.nanoseconds += words[first + abi.METRICS_BUCKETS]

    def merge(self, other: Histogram) -> None:
        """Add what another one has."""
        self.buckets = [sum(pair) for pair in zip(self.buckets, other.buckets)]
        self.nanoseconds += other.nanoseconds

    @property
    def count(self) -> int:
        """How often it happened."""
        return sum(self.buckets)

    @property
    def seconds(self) -> float:
        """How long all took together."""
        return self.nanoseconds / _NANOSECONDS


@dataclass
class Route:
    """What came of the requests of a route."""

    durations: Histogram = field(default_factory=Histogram)
    #: By method and status, in turn.
    counts: list[int] = field(default_factory=lambda: [0] * _CELLS)

    def requests(self) -> Iterator[tuple[str, str, int]]:
        """Yield methods, classes of statuses, and how many requests had both, without those that none had."""
        for index, count in enumerate(self.counts):
            if count:
                yield METHODS[index // len(STATUSES)], STATUSES[index % len(STATUSES)], count


@dataclass
class CountingApp:
    """An app that counts, or the process that looks after the others, now."""

    #: Stays small: a process that took the place of another one has its number.
    name: str
    pid: int
    phase: str
    in_flight: int
    connections: int
    websockets: int
    lag_seconds: float
    #: Of its process; None where that is not known, or another app of the same process says it.
    resident_bytes: Optional[int]
    open_descriptors: Optional[int]


class Totals:
    """The sums over all apps of all processes that share a memory, and what each of them does now."""

    def __init__(self, memory: MetricsMemory) -> None:
        #: Sums of the words at the begin of each block.
        self.words = [0] * abi.METRIC_COUNT
        self.lags = Histogram()
        self.routes: dict[str, Route] = {}
        self.workers: list[CountingApp] = []
        blocks = memory.used_blocks()
        described: set[int] = set()
        #: Whether there is one that looks after the others, and whether it ends them.
        self.has_supervisor = blocks[0][abi.METRIC_OWNER] != 0
        self.is_stopping = blocks[0][abi.METRIC_PHASE] == abi.PHASE_DRAINING
        for number, block in enumerate(blocks):
            self.words = [sum(pair) for pair in zip(self.words, block)]
            if number:
                self.lags.add(block, abi.METRICS_LAGS)
                self._add_routes(block)
            if block[abi.METRIC_OWNER]:
                self.workers.append(_worker(number, block, described))

    def _add_routes(self, block: memoryview[int]) -> None:
        for number, name in _routes(block):
            route = self.routes.setdefault(name, Route())
            route.durations.add(block, abi.METRICS_DURATIONS + number * abi.METRICS_HISTOGRAM)
            first = abi.METRICS_REQUESTS + number * _CELLS
            route.counts = [sum(pair) for pair in zip(route.counts, block[first : first + _CELLS])]

    @property
    def is_ready(self) -> bool:
        """Whether requests are served, and will be for now."""
        return not self.is_stopping and any(each.phase == "serving" for each in self.workers if each.name != "supervisor")

    @property
    def lag_seconds(self) -> float:
        """How late the loop was that was latest when it was last asked."""
        return max((each.lag_seconds for each in self.workers), default=0.0)


def _worker(number: int, block: memoryview[int], described: set[int]) -> CountingApp:
    pid = block[abi.METRIC_OWNER]
    is_first = pid not in described
    described.add(pid)
    return CountingApp(
        name=f"worker-{number}" if number else "supervisor",
        pid=pid,
        phase=PHASES.get(block[abi.METRIC_PHASE], "starting"),
        in_flight=block[abi.METRIC_IN_FLIGHT],
        connections=block[abi.METRIC_CONNECTIONS],
        websockets=block[abi.METRIC_WEBSOCKETS],
        lag_seconds=block[abi.METRIC_LAG_NS] / _NANOSECONDS,
        resident_bytes=resident_bytes(pid) if is_first else None,
        open_descriptors=open_descriptors(pid) if is_first else None,
    )


def _routes(block: memoryview[int]) -> Iterator[tuple[int, str]]:
    yield abi.METRICS_ROUTE_NONE, NO_ROUTE
    yield abi.METRICS_ROUTE_OTHER, OTHER_ROUTES
    labels = block[abi.METRICS_LABELS :].cast("B")
    for number in range(abi.METRICS_ROUTE_FIRST, abi.METRICS_ROUTE_COUNT):
        first = number * abi.METRICS_LABEL_BYTES
        if not labels[first]:
            break
        # A pattern that was cut may end inside of a character.
        text = bytes(labels[first : first + abi.METRICS_LABEL_BYTES]).partition(b"\0")[0]
        yield number, text.decode(errors="replace")
