"""What socketify promises: a table of bounds, and whether they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import http2 as h
import programs as p
import scenarios as s
from harness import Spread
from results import Result


@dataclass(frozen=True)
class Bound:
    """A figure, or its ratio to another server's, and what it must be.

    ``bounds`` are by the name of the server that promises it. Without ``bases`` the figure itself is bounded; with several of
    them the ratio to the best one. ``base_load`` compares with another load of the same server.
    """

    what: str
    scenario: str
    load: str
    key: str
    bounds: Mapping[str, float]
    bases: tuple[str, ...] = ()
    #: The load whose figure of the same server is the base.
    base_load: str = ""
    at_most: bool = False
    unit: str = ""
    #: A figure of the same load that tells over how much it was measured: takes the place of ``many`` in ``what``.
    extent: str = ""

    def describe(self, results: Mapping[str, Result]) -> str:
        """Tells what is bounded, with the measurement's extent where that matters and is known."""
        result = results.get(self.scenario) if self.extent else None
        extents = [] if result is None else [result.spread(program, self.load, self.extent) for program in self.bounds]
        least = min((spread.least for spread in extents if spread is not None), default=None)
        return self.what if least is None else self.what.replace("many", f"{least:,.0f}")

    def measured(self, results: Mapping[str, Result], program: str) -> Spread | None:
        """Returns the figure or ratio over the rounds, or None when it was not measured."""
        result = results.get(self.scenario)
        if result is None:
            return None
        if self.base_load:
            return result.ratio(program, program, self.load, self.key, self.base_load)
        if not self.bases:
            return result.spread(program, self.load, self.key)
        ratios = [result.ratio(program, base, self.load, self.key) for base in self.bases]
        hardest = max if self.at_most else min
        return hardest((ratio for ratio in ratios if ratio is not None), key=lambda ratio: ratio.median, default=None)

    def met(self, spread: Spread, program: str) -> bool:
        """Tells whether the median keeps the bound."""
        bound = self.bounds[program]
        return spread.median <= bound if self.at_most else spread.median >= bound


def _both(bound: float) -> Mapping[str, float]:
    return {p.EPOLL: bound, p.URING: bound}


_RATE, _CPU = "per_second", "cpu_us"
_MANY, _PIPELINED = s.MANY.name, s.PIPELINED.name
_UVICORN = (p.UVICORN.name, p.UVICORN_ZTTP.name)
_H2CORN, _FASTPYSGI = (p.H2CORN.name,), (p.FASTPYSGI_WSGI.name,)


def _cpu(what: str, scenario: str, load: s.Load, bound: float, bases: tuple[str, ...]) -> Bound:
    """Returns a bound of socketify's CPU time for each request against others'."""
    return Bound(what, scenario, load.name, _CPU, {p.EPOLL: bound}, bases, at_most=True)


#: What users run: CPU for each request over 64 connections.
APPLICATIONS = (
    _cpu("raw ASGI with two waits: CPU for each request against uvicorn", "app-asgi", s.TWO_WAITS, 0.6, _UVICORN),
    _cpu("… against h2corn", "app-asgi", s.TWO_WAITS, 0.77, _H2CORN),
    _cpu("raw ASGI with ten waits against uvicorn", "app-asgi", s.TEN_WAITS, 0.75, _UVICORN),
    _cpu("raw ASGI, stream of ten pieces against uvicorn", "app-asgi", s.STREAMED, 0.5, _UVICORN),
    _cpu("FastAPI GET against uvicorn", "app-fastapi", s.ITEM_ROW, 0.9, _UVICORN),
    _cpu("FastAPI with two waits against uvicorn", "app-fastapi", s.ITEM_WAITS, 0.91, _UVICORN),
    _cpu("FastAPI, a `def` endpoint against uvicorn", "app-fastapi", s.ITEM_THREAD, 0.93, _UVICORN),
    _cpu("FastAPI POST against uvicorn", "app-fastapi", s.POSTED, 0.9, _UVICORN),
    _cpu("FastAPI behind Redis against uvicorn", "app-redis", s.STORED, 0.9, _UVICORN),
    _cpu("raw WSGI, JSON POST against fastpysgi", "app-wsgi", s.POSTED, 0.85, _FASTPYSGI),
    _cpu("raw WSGI, generator of ten blocks against fastpysgi", "app-wsgi", s.STREAMED, 0.95, _FASTPYSGI),
    _cpu("hello, 1 connection: CPU for each request against the engine in C++", "one-connection", s.ONE, 1.1, (p.CEILING,)),
    Bound(
        "memory of requests that wait at the same time against uvicorn",
        "app-waiting",
        s.WAITING.name,
        "bytes_each",
        {p.EPOLL: 1.0},
        _UVICORN,
        at_most=True,
    ),
)

#: HTTP/2: 8 connections of 32 streams.
HTTP2 = (
    _cpu(
        "HTTP/2, raw ASGI: CPU for each request against granian",
        "http2-asgi",
        h.MANY,
        0.5,
        (p.GRANIAN_ASGI_HTTP2.name,),
    ),
    _cpu("… against h2corn", "http2-asgi", h.MANY, 0.35, _H2CORN),
    _cpu("HTTP/2 over TLS, raw ASGI against granian", "http2-tls-asgi", h.MANY, 0.55, (p.GRANIAN_ASGI_HTTP2.name,)),
    Bound(
        "HTTP/2, hello: CPU for each request against its own HTTP/1.1, 16 pipelined",
        "http2-hello",
        h.MANY.name,
        _CPU,
        _both(2.0),
        base_load=h.PIPELINED.name,
        at_most=True,
    ),
    Bound(
        "HTTP/2 over TLS, 100 MB from memory on one stream: CPU against its own HTTP/1.1",
        "http2-download",
        h.CONTENT.name,
        _CPU,
        _both(1.15),
        base_load=h.CONTENT_1.name,
        at_most=True,
    ),
    Bound(
        "… from a file",
        "http2-download",
        h.FILE.name,
        _CPU,
        _both(1.15),
        base_load=h.FILE_1.name,
        at_most=True,
    ),
    Bound(
        "HTTP/2, memory of each of 10,000 open streams",
        "http2-open",
        h.OPEN.name,
        "bytes_each",
        _both(1024),
        at_most=True,
        unit=" bytes",
    ),
)

BOUNDS = (
    *APPLICATIONS,
    *HTTP2,
    Bound(
        "hello, 64 connections: CPU for each request against the engine in C++",
        "hello",
        _MANY,
        _CPU,
        {p.EPOLL: 1.15, p.URING: 1.0},
        (p.CEILING,),
        at_most=True,
    ),
    Bound("the same, 16 pipelined", "hello", _PIPELINED, _CPU, _both(2.0), (p.CEILING,), at_most=True),
    Bound("hello, 64 connections: requests against socketify 0.0.31", "hello", _MANY, _RATE, _both(1.2), (p.PUBLISHED,)),
    Bound("the same, 16 pipelined", "hello", _PIPELINED, _RATE, _both(2.0), (p.PUBLISHED,)),
    Bound(
        "hello in a coroutine, 64 connections: requests against 0.0.31", "hello-async", _MANY, _RATE, _both(2.0), (p.PUBLISHED,)
    ),
    Bound("ASGI hello, 64 connections: requests against uvicorn", "asgi", _MANY, _RATE, _both(2.0), _UVICORN),
    Bound("… against granian", "asgi", _MANY, _RATE, _both(1.5), (p.GRANIAN_ASGI.name,)),
    Bound("… against socketify 0.0.31", "asgi", _MANY, _RATE, _both(1.5), (p.PUBLISHED,)),
    Bound("WSGI hello, 64 connections: requests against granian", "wsgi", _MANY, _RATE, _both(2.0), (p.GRANIAN_WSGI.name,)),
    Bound("… against gunicorn", "wsgi", _MANY, _RATE, _both(5.0), (p.GUNICORN.name,)),
    Bound("… against fastwsgi", "wsgi", _MANY, _RATE, _both(1.1), (p.FASTWSGI.name,)),
    Bound("… against bjoern", "wsgi", _MANY, _RATE, _both(1.1), (p.BJOERN.name,)),
    Bound(
        "WebSocket echo, 64 connections: messages for each CPU second against C++",
        "websocket",
        s.ECHO.name,
        "per_cpu_second",
        _both(0.7),
        (p.CEILING,),
    ),
    Bound("… messages against websockets", "websocket", s.ECHO.name, _RATE, _both(4.0), (p.WEBSOCKETS.name,)),
    Bound("… messages against picows", "websocket", s.ECHO.name, _RATE, _both(1.2), (p.PICOWS.name,)),
    Bound(
        "broadcast to 1000 connections: deliveries for each CPU second against C++",
        "broadcast",
        s.BROADCAST.name,
        "per_cpu_second",
        _both(0.9),
        (p.CEILING,),
    ),
    Bound(
        "hello, 64 connections, half of the peak rate: p99 latency against C++",
        "hello",
        s.HALF.name,
        "p99_us",
        _both(1.5),
        (p.CEILING,),
        at_most=True,
    ),
    # What the kernel charges for looking at a process, rather than for what it does.
    Bound("idle: CPU time", "idle", "no connection", "idle_us", _both(100), at_most=True, unit=" µs/s"),
    # An allocator takes a page now and then; a leak of one byte a request would be ten thousand KiB.
    Bound(
        "memory growth over many requests",
        "growth",
        "hello",
        "grown_kib",
        _both(512),
        at_most=True,
        unit=" KiB",
        extent="requests",
    ),
)
