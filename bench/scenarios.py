"""What is measured: a table of requests, loads and servers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Union

import programs as p
from clients import GET, Request
from loads import Download, Growth, Http, Idle, IdleConnections, Paced, WebSocket

Load = Union[Http, Paced, WebSocket, Download, Idle, IdleConnections, Growth]

#: Of the loads that targets are about: the machine stops now and then, and what one turn loses by that the others show.
TURNS = 4

ONE = Http("1 connection", 1)
MANY = Http("64 connections", 64, turns=TURNS)
VERY_MANY = Http("1000 connections", 1000)
PIPELINED = Http("64 connections, 16 pipelined", 64, pipelined=16, turns=TURNS)
HALF = Paced("64 connections, half of the peak rate", 64, of=MANY.name, turns=TURNS)
ECHO = WebSocket("echo of 20 bytes, 64 connections", "echo", 64, 20, turns=TURNS)
ECHO_IN_FLIGHT = WebSocket("echo of 20 bytes, 64 connections, 16 in flight", "echo", 64, 20, in_flight=16)
ECHO_BIG = WebSocket("echo of 16 KB, 64 connections", "echo", 64, 16 * 1024)
BROADCAST = WebSocket("broadcast of 20 bytes, 1000 connections", "broadcast", 1000, 20, turns=TURNS)
BROADCAST_BIG = WebSocket("broadcast of 1 KB, 1000 connections", "broadcast", 1000, 1024)

GIGABYTE = 1_000_000_000
SMALL_FILE = 100_000


@dataclass(frozen=True)
class Scenario:
    """One behaviour of several servers under several loads.

    ``answer_bytes`` is how long the right answer is. ``once`` is for what needs no second round.
    """

    key: str
    title: str
    about: str
    behaviour: str
    loads: Sequence[Load]
    programs: Sequence[p.Program]
    request: Request = GET
    answer_bytes: int = 13
    once: bool = False


SCENARIOS = (
    Scenario(
        "hello",
        "HTTP: hello, world",
        "The handler is a function that answers 13 bytes. For granian it is a coroutine, its interface knows no other.",
        "hello",
        (ONE, MANY, HALF, VERY_MANY, PIPELINED),
        (p.CPP, p.CPP_URING, *p.FRAMEWORKS[1:]),
    ),
    Scenario(
        "hello-async",
        "HTTP: hello, world in a coroutine",
        "The handler is a coroutine that waits for nothing.",
        "hello_async",
        (MANY, PIPELINED),
        p.FRAMEWORKS[1:],
    ),
    Scenario(
        "headers",
        "HTTP: twenty header fields",
        "Beside its 13 bytes the answer has twenty fields and a Content-Type, with socketify in one call of `send`.",
        "headers",
        (MANY, PIPELINED),
        p.FRAMEWORKS,
    ),
    Scenario(
        "json",
        "HTTP: JSON",
        "An object of one member, serialized for every request (in C++ a constant). The ASGI servers run a raw application.",
        "json",
        (MANY,),
        (*p.FRAMEWORKS, p.UVICORN, p.GRANIAN_ASGI),
        answer_bytes=0,
    ),
    Scenario(
        "body",
        "HTTP: a body of 10 KB",
        "A text of 10,000 characters.",
        "body",
        (MANY,),
        (*p.FRAMEWORKS, p.UVICORN, p.GRANIAN_ASGI),
        answer_bytes=10_000,
    ),
    Scenario(
        "post-1k",
        "HTTP: POST of 1 KB, sent back",
        "The body is awaited as a whole and sent back.",
        "echo",
        (MANY,),
        (*p.FRAMEWORKS, p.UVICORN, p.GRANIAN_ASGI),
        Request("/", "POST", 1000),
        answer_bytes=1000,
    ),
    Scenario(
        "post-1m",
        "HTTP: POST of 1 MB, sent back",
        "The same with a body of 1,000,000 bytes.",
        "echo",
        (Http("16 connections", 16),),
        (*p.FRAMEWORKS, p.UVICORN, p.GRANIAN_ASGI),
        Request("/", "POST", 1_000_000),
        answer_bytes=1_000_000,
    ),
    Scenario(
        "routes",
        "HTTP: 64 routes with parameters",
        "One of 64 routes with two parameters each, which the handler reads and sends back.",
        "routes",
        (MANY, PIPELINED),
        tuple(one for one in p.FRAMEWORKS if one is not p.GRANIAN_RSGI),
        Request("/section42/1234/items/567"),
        answer_bytes=8,
    ),
    Scenario(
        "asgi",
        "ASGI: hello, world",
        "A raw application: two messages with two header fields and 13 bytes.",
        "hello",
        (ONE, MANY, HALF, VERY_MANY, PIPELINED),
        p.ASGI,
    ),
    Scenario(
        "asgi-falcon",
        "ASGI: falcon",
        "The same answer by a resource of falcon: what a framework leaves of a server's lead.",
        "falcon",
        (MANY,),
        p.ASGI,
    ),
    Scenario(
        "wsgi",
        "WSGI: hello, world",
        "A raw application: two header fields and 13 bytes.",
        "hello",
        (ONE, MANY, VERY_MANY, PIPELINED),
        p.WSGI,
    ),
    Scenario(
        "wsgi-falcon",
        "WSGI: falcon",
        "The same answer by a resource of falcon.",
        "falcon",
        (MANY,),
        tuple(one for one in p.WSGI if one is not p.WSGI_THREADS),
    ),
    Scenario(
        "static-100k",
        "Static file of 100 KB",
        "From the page cache. uvicorn serves it by Starlette's StaticFiles, granian by its static mount, gunicorn by "
        "`wsgi.file_wrapper`.",
        "static",
        (MANY,),
        (*p.NATIVE_OURS, p.NATIVE_PUBLISHED, p.ROBYN, p.GRANIAN_ASGI, p.UVICORN, p.GUNICORN),
        Request("/static/small.bin"),
        answer_bytes=SMALL_FILE,
    ),
    Scenario(
        "static-1g",
        "Static file of 1 GB",
        "A sparse file, read by one client as fast as it can, for the time of one measurement at most.",
        "static",
        (Download("1 connection", GIGABYTE),),
        (*p.NATIVE_OURS, p.NATIVE_PUBLISHED, p.ROBYN, p.GRANIAN_ASGI, p.UVICORN, p.GUNICORN),
        Request("/static/big.bin"),
        answer_bytes=GIGABYTE,
    ),
    Scenario(
        "websocket",
        "WebSocket: echo",
        "Every message comes back. uvicorn and granian run a raw ASGI application.",
        "websocket",
        (ECHO, ECHO_IN_FLIGHT, ECHO_BIG),
        (p.CPP_WEBSOCKET, *p.NATIVE_OURS, p.NATIVE_PUBLISHED, p.WEBSOCKETS, p.PICOWS, *p.ASGI_WEBSOCKETS),
    ),
    Scenario(
        "broadcast",
        "WebSocket: broadcast",
        "What one connection sends reaches all; the next follows when it has arrived everywhere. Messages are those received.",
        "websocket",
        (BROADCAST, BROADCAST_BIG),
        (p.CPP_WEBSOCKET, *p.NATIVE_OURS, p.NATIVE_PUBLISHED, p.WEBSOCKETS, p.PICOWS),
    ),
    Scenario(
        "tls",
        "TLS: hello, world",
        "As the first, over TLS 1.3 with an ECDSA certificate.",
        "tls",
        (MANY, PIPELINED),
        (p.CPP, *p.NATIVE_OURS, p.NATIVE_PUBLISHED),
    ),
    Scenario(
        "tls-asgi",
        "TLS: ASGI hello, world",
        "The raw ASGI application over TLS.",
        "tls",
        (MANY, PIPELINED),
        (*p.ASGI_OURS, p.ASGI_PUBLISHED, p.UVICORN, p.GRANIAN_ASGI),
    ),
    Scenario(
        "idle",
        "What an idle server costs",
        "CPU time while nobody asks for anything, and the memory of connections that asked once and stay.",
        "hello",
        (Idle("no connection"), IdleConnections("idle connections")),
        (
            p.CPP,
            *p.NATIVE_OURS,
            p.NATIVE_PUBLISHED,
            p.ROBYN,
            p.GRANIAN_RSGI,
            p.UVICORN,
            p.GRANIAN_ASGI,
            p.HYPERCORN,
            p.GUNICORN,
        ),
        once=True,
    ),
    Scenario(
        "growth",
        "Memory after many requests",
        "What is resident before and after, over 64 connections with 16 pipelined requests, after a warm-up of one second.",
        "hello",
        (Growth("hello"),),
        (p.CPP, *p.NATIVE_OURS),
        once=True,
    ),
    Scenario(
        "growth-asgi",
        "Memory after many ASGI requests",
        "The same for the ASGI application, a fifth of the requests.",
        "hello",
        (Growth("hello", 0.2),),
        p.ASGI_OURS,
        once=True,
    ),
    Scenario(
        "growth-wsgi",
        "Memory after many WSGI requests",
        "The same for the WSGI application, a fifth of the requests.",
        "hello",
        (Growth("hello", 0.2),),
        p.WSGI_OURS,
        once=True,
    ),
)


def chosen(only: Sequence[str]) -> list[Scenario]:
    """Returns the scenarios whose keys are named, or begin with a name that ends in ``*``; all when none is.

    Raises ValueError for a name that fits none.
    """
    for name in only:
        if not any(_fits(one, name) for one in SCENARIOS):
            raise ValueError(f"no scenario {name}; there are {', '.join(one.key for one in SCENARIOS)}")
    return [one for one in SCENARIOS if not only or any(_fits(one, name) for name in only)]


def _fits(scenario: Scenario, name: str) -> bool:
    return scenario.key.startswith(name[:-1]) if name.endswith("*") else scenario.key == name
