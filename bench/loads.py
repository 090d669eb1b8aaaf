"""The kinds of load that a scenario puts on a server, and which figures each gives."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import ClassVar, Union

import clients
from clients import Measurement, Request, Throughput
from harness import BenchmarkError, Server
from memory import growth_over_connections, growth_over_requests, growth_over_waiting, idle_cost

#: What a load gave, by name, as the results keep it.
Figures = dict[str, float]
#: What one server gave in one turn, by load; a failure is told in words.
Outcome = dict[str, Union[Figures, str]]


@dataclass(frozen=True)
class Column:
    """A figure in a table: its name in the figures, its title, its digits, and whether its spread is shown."""

    key: str
    title: str
    digits: int = 0
    spread: bool = False


@dataclass(frozen=True)
class Budget:
    """How long and how much is measured."""

    #: Of one load on one server in one round, all its turns together.
    seconds: float
    warm_up: float
    idle_seconds: float
    idle_connections: int
    growth_requests: int


@dataclass(frozen=True)
class Target:
    """What a load is put on."""

    server: Server
    request: Request
    budget: Budget
    cpu: int | None = None
    #: What the loads before gave in each of their turns, by their names.
    earlier: dict[str, list[Figures]] = field(default_factory=dict)
    #: Loads whose request is answered wrongly, and how.
    wrong: Outcome = field(default_factory=dict)


def _figures(measured: Throughput, server: Server) -> Figures:
    figures = {
        "per_second": measured.requests_per_second,
        "cpu_us": measured.cpu_us_per_request,
        "per_cpu_second": 1e6 / measured.cpu_us_per_request,
        "busy_percent": 100 * measured.cpu_seconds / measured.seconds,
        "peak_mb": server.peak_bytes() / 1e6,
    }
    if isinstance(measured, Measurement):
        figures["p50_us"] = measured.latency_p50_us
        figures["p99_us"] = measured.latency_p99_us
        figures["p999_us"] = measured.latency_p999_us
    return figures


_LATENCY = (Column("p50_us", "p50, µs"), Column("p99_us", "p99, µs"), Column("p999_us", "p99.9, µs"))
_COSTS = (Column("busy_percent", "CPU busy, %"), Column("peak_mb", "peak memory, MB"))


class Piecewise:
    """A load: in one piece, or cut in turns that alternate between the servers (see bench/rounds.py)."""

    turns: int = 1

    def seconds(self, budget: Budget) -> float:
        """Returns how long one turn takes."""
        return budget.seconds / self.turns


@dataclass(frozen=True)
class Http(Piecewise):
    """Requests as fast as the server answers them, by wrk."""

    name: str
    connections: int
    pipelined: int = 1
    turns: int = 1
    #: What is asked for; None: what the scenario says.
    request: Request | None = None
    plotted: ClassVar[tuple[Column, ...]] = (
        Column("per_second", "requests a second"),
        Column("cpu_us", "CPU µs for a request", 1),
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("per_second", "requests/s", spread=True),
        Column("cpu_us", "CPU µs/request", 2, spread=True),
        *_LATENCY,
        *_COSTS,
    )

    def run(self, target: Target) -> Figures:
        """Measures one turn."""
        load = clients.Load(self.name, self.connections, self.pipelined)
        measured = clients.run_wrk(target.server, load, self.seconds(target.budget), target.cpu, self.request or target.request)
        figures = _figures(measured, target.server)
        if self.pipelined > 1:
            # wrk notes the time of each batch, and corrects it by the number of requests: it means nothing.
            for latency in _LATENCY:
                del figures[latency.key]
        return figures


@dataclass(frozen=True)
class Paced(Piecewise):
    """Requests at a part of the rate that another load of the same round reached."""

    name: str
    connections: int
    of: str
    share: float = 0.5
    turns: int = 1
    plotted: ClassVar[tuple[Column, ...]] = (Column("p99_us", "p99, µs (less is better)"),)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("per_second", "requests/s"),
        Column("p50_us", "p50, µs", spread=True),
        Column("p99_us", "p99, µs", spread=True),
        Column("p999_us", "p99.9, µs", spread=True),
        Column("cpu_us", "CPU µs/request", 2),
    )

    def run(self, target: Target) -> Figures:
        """Measures one turn. Raises BenchmarkError when the other load failed."""
        if self.of not in target.earlier:
            raise BenchmarkError("its peak rate is not known")
        rate = statistics.median(figures["per_second"] for figures in target.earlier[self.of]) * self.share
        measured = clients.run_paced(target.server, self.connections, rate, self.seconds(target.budget), target.cpu)
        return _figures(measured, target.server)


@dataclass(frozen=True)
class WebSocket(Piecewise):
    """Messages that are echoed, or broadcast to all connections."""

    name: str
    mode: str
    connections: int
    message_bytes: int
    in_flight: int = 1
    turns: int = 1
    plotted: ClassVar[tuple[Column, ...]] = (
        Column("per_second", "messages a second"),
        Column("cpu_us", "CPU µs for a message", 2),
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("per_second", "messages/s", spread=True),
        Column("cpu_us", "CPU µs/message", 3, spread=True),
        *_COSTS,
    )

    def run(self, target: Target) -> Figures:
        """Measures one turn."""
        words = (self.mode, self.connections, self.message_bytes, self.in_flight)
        measured = clients.run_websocket_load(target.server, words, self.seconds(target.budget), target.cpu)
        return _figures(measured, target.server)


@dataclass(frozen=True)
class Download(Piecewise):
    """A big file on one connection, for some seconds at most."""

    name: str
    file_bytes: int
    plotted: ClassVar[tuple[Column, ...]] = (Column("per_second", "MB a second"), Column("cpu_us", "CPU µs for a MB"))
    columns: ClassVar[tuple[Column, ...]] = (
        Column("per_second", "MB/s", spread=True),
        Column("cpu_us", "CPU µs/MB", spread=True),
        *_COSTS,
    )

    def run(self, target: Target) -> Figures:
        """Reads the file, or as much as the seconds of the budget allow."""
        seconds = max(target.budget.seconds, 1)
        measured = clients.download(target.server, target.request.path, self.file_bytes, seconds, target.cpu)
        return _figures(measured, target.server)


@dataclass(frozen=True)
class Idle(Piecewise):
    """Nothing: the CPU time of a server that has nothing to do."""

    name: str
    plotted: ClassVar[tuple[Column, ...]] = (Column("idle_us", "CPU µs in an idle second (less is better)"),)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("idle_us", "CPU µs/s"),
        Column("resident_mb", "memory at start, MB", 1),
    )

    def seconds(self, budget: Budget) -> float:
        """Returns how long it takes."""
        return budget.idle_seconds + 1

    def run(self, target: Target) -> Figures:
        """Waits."""
        resident = target.server.resident_bytes()
        seconds = idle_cost(target.server, target.budget.idle_seconds)[1]
        return {"idle_us": seconds * 1e6 / target.budget.idle_seconds, "resident_mb": resident / 1e6}


@dataclass(frozen=True)
class IdleConnections(Piecewise):
    """Connections that made one request and are idle."""

    name: str
    plotted: ClassVar[tuple[Column, ...]] = (Column("bytes_each", "bytes for each idle connection (less is better)"),)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("connections", "connections"),
        Column("bytes_each", "bytes each"),
        Column("peak_mb", "peak memory, MB", 1),
    )

    def seconds(self, budget: Budget) -> float:
        """Returns about how long it takes."""
        return budget.idle_connections / 2500

    def run(self, target: Target) -> Figures:
        """Opens them."""
        count = target.budget.idle_connections
        grown = growth_over_connections(target.server, count)
        each = grown.bytes / count
        return {"connections": count, "bytes_each": each, "peak_mb": target.server.peak_bytes() / 1e6}


@dataclass(frozen=True)
class Waiting(Piecewise):
    """Requests that all wait in their handlers at the same time."""

    name: str
    plotted: ClassVar[tuple[Column, ...]] = (
        Column("bytes_each", "bytes for each request (less is better)"),
        Column("resident_mb", "memory of the server, MB (less is better)", 1),
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("connections", "requests"),
        Column("bytes_each", "bytes each"),
        Column("resident_mb", "memory, MB", 1),
    )

    def seconds(self, budget: Budget) -> float:
        """Returns about how long it takes."""
        return budget.idle_connections / 1500

    def run(self, target: Target) -> Figures:
        """Lets them wait."""
        count = target.budget.idle_connections
        grown = growth_over_waiting(target.server, count)
        return {"connections": count, "bytes_each": grown.bytes / count, "resident_mb": grown.after / 1e6}


@dataclass(frozen=True)
class Growth(Piecewise):
    """Memory after very many requests, pipelined where the server can."""

    name: str
    share: float = 1
    plotted: ClassVar[tuple[Column, ...]] = (Column("grown_kib", "KiB grown (less is better)"),)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("requests", "requests"),
        Column("before_kib", "memory before, KiB"),
        Column("grown_kib", "grown, KiB"),
    )

    def seconds(self, budget: Budget) -> float:
        """Returns about how long it takes."""
        return 1 + budget.growth_requests * self.share / 200_000

    def run(self, target: Target) -> Figures:
        """Makes the requests."""
        count = int(target.budget.growth_requests * self.share)
        grown = growth_over_requests(target.server, count, target.cpu)
        return {"requests": count, "before_kib": grown.before / 1024, "grown_kib": grown.bytes / 1024}
