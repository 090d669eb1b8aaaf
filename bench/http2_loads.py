"""The kinds of load over HTTP/2: requests, one big download, and streams that are open and wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from clients import Request, Throughput
from h2load import FIRST_REQUESTS, Streams, growth_over_streams, run_h2load
from harness import Server
from loads import Budget, Column, Figures, Piecewise, Target

_MEGABYTE = 1_000_000
_COSTS = (Column("busy_percent", "CPU busy, %"), Column("peak_mb", "peak memory, MB"))


def _figures(measured: Throughput, server: Server) -> Figures:
    return {
        "per_second": measured.requests_per_second,
        "cpu_us": measured.cpu_us_per_request,
        "per_cpu_second": 1e6 / measured.cpu_us_per_request,
        "busy_percent": 100 * measured.cpu_seconds / measured.seconds,
        "peak_mb": server.peak_bytes() / 1e6,
    }


@dataclass(frozen=True)
class Http2(Piecewise):
    """Requests as fast as the server answers them, by h2load, over HTTP/2 or, for comparison, pipelined over HTTP/1.1."""

    name: str
    connections: int
    streams: int
    version: int = 2
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
        Column("mean_us", "mean latency, µs"),
        *_COSTS,
    )

    def run(self, target: Target) -> Figures:
        """Measures one turn: as many requests as its time allows."""
        streams = Streams(self.connections, self.streams, self.version)
        request = self.request or target.request
        if known := target.earlier.get(self.name):
            rate = known[-1]["per_second"]
        else:
            tried, _ = run_h2load(target.server, streams, self._least(), target.cpu, request)
            rate = tried.requests_per_second
        count = max(self._least(), int(rate * self.seconds(target.budget)))
        measured, latency = run_h2load(target.server, streams, count, target.cpu, request)
        return {**_figures(measured, target.server), "mean_us": latency * 1e6}

    def _least(self) -> int:
        """Returns of how many requests a rate can be told: two on each stream, but not too many for a slow server."""
        return min(2 * self.connections * self.streams, FIRST_REQUESTS) + self.connections


def http2(connections: int, streams: int, *, turns: int = 1, request: Request | None = None) -> Http2:
    """Returns the load of so many connections, each with so many streams."""
    ending = "" if connections == 1 else "s"
    one_or_more = "1 stream" if streams == 1 else f"{streams} streams"
    return Http2(f"{connections} connection{ending} of {one_or_more}", connections, streams, turns=turns, request=request)


@dataclass(frozen=True)
class Http2Download(Piecewise):
    """A big answer on one connection, by h2load: the unit is 1,000,000 bytes."""

    name: str
    answer_bytes: int
    version: int = 2
    turns: int = 1
    request: Request | None = None
    plotted: ClassVar[tuple[Column, ...]] = (Column("per_second", "MB a second"), Column("cpu_us", "CPU µs for a MB"))
    columns: ClassVar[tuple[Column, ...]] = (
        Column("per_second", "MB/s", spread=True),
        Column("cpu_us", "CPU µs/MB", spread=True),
        *_COSTS,
    )

    def run(self, target: Target) -> Figures:
        """Reads the answer once."""
        request = self.request or target.request
        measured, _ = run_h2load(target.server, Streams(1, 1, self.version), 1, target.cpu, request)
        megabytes = measured.requests * self.answer_bytes / _MEGABYTE
        return _figures(Throughput(megabytes, measured.seconds, measured.cpu_seconds), target.server)


@dataclass(frozen=True)
class OpenStreams(Piecewise):
    """Requests that all wait in their handlers at the same time, a hundred on each connection."""

    name: str
    turns: int = 1
    plotted: ClassVar[tuple[Column, ...]] = (
        Column("bytes_each", "bytes for each stream (less is better)"),
        Column("resident_mb", "memory of the server, MB (less is better)", 1),
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("streams", "streams"),
        Column("bytes_each", "bytes each"),
        Column("resident_mb", "memory, MB", 1),
    )
    each: ClassVar[int] = 100

    def seconds(self, budget: Budget) -> float:
        """Returns about how long it takes."""
        return budget.idle_connections / 5000

    def run(self, target: Target) -> Figures:
        """Lets them wait."""
        connections = max(1, target.budget.idle_connections // self.each)
        grown = growth_over_streams(target.server, connections, self.each)
        count = connections * self.each
        return {"streams": count, "bytes_each": grown.bytes / count, "resident_mb": grown.after / 1e6}
