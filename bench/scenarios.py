"""What is measured: a table of requests, loads and servers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import programs as p
from clients import Request
from http2 import SCENARIOS as HTTP2
from loads import Download, Growth, Http, Idle, IdleConnections, Paced, Waiting, WebSocket
from scenario import ROW_ROUNDS, TURNS, Scenario
from services import KEY, VALUE

ONE = Http("1 connection", 1, turns=TURNS)
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

ITEM = {"item_id": 7, "q": "ink"}
#: 28 bytes.
ORDER = '{"name":"pencil","price":12}'
ORDERED: dict[str, object] = {"name": "pencil", "total": 24}
STREAM = ("x" * 199 + "\n") * 10
JSON = (("Content-Type", "application/json"),)


def _browser() -> tuple[tuple[str, str], ...]:
    """Returns the fields that a browser sends, but for those that say where."""
    lines = Path(__file__).with_name("requests").joinpath("browser_page.http").read_text().splitlines()[1:]
    fields = [(name, value) for name, separator, value in (line.partition(": ") for line in lines) if separator]
    return tuple(field for field in fields if field[0] != "Host")


def _row(name: str, path: str = "/", answer: str | dict[str, object] | None = None, post: str = "") -> Http:
    """Returns a load of the first table: 64 connections."""
    request = Request(path, "POST", post, JSON, answer) if post else Request(path, answer=answer)
    return Http(name, 64, turns=TURNS, request=request)


BROWSER = Http("GET with a browser's fields", 64, turns=TURNS, request=Request(headers=_browser()))
GET_ROW = _row("GET")
TWO_WAITS = _row("GET, two waits", "/two-waits")
TEN_WAITS = _row("GET, ten waits", "/ten-waits")
STREAMED = _row("stream of ten pieces", "/stream", STREAM)
POSTED = _row("JSON POST", "/orders", ORDERED, ORDER)
ITEM_ROW = _row("GET", "/items/7?q=ink", ITEM)
ITEM_ASYNC = _row("GET", "/async/7?q=ink", ITEM)
ITEM_WAITS = _row("GET, two waits", "/waits/7?q=ink", ITEM)
ITEM_THREAD = _row("GET, `def` endpoint", "/thread/7?q=ink", ITEM)
STORED = _row("GET, behind Redis", "/redis/greeting", {"key": KEY, "value": VALUE})
WAITING = Waiting("waiting requests")


#: What users run: handlers that wait, bodies, streams, frameworks.
APPLICATIONS = (
    Scenario(
        "app-asgi",
        "Raw ASGI",
        "One application, which looks for the path in a dictionary. A wait is `asyncio.sleep(0)`, after which the answer is "
        "that of GET, 13 bytes. The stream is ten messages of 200 bytes without a Content-Length, the POST an object of 28 "
        "bytes, which is read as JSON and answered with JSON. The browser's fields are those of "
        "`bench/requests/browser_page.http`.",
        "routes",
        (GET_ROW, BROWSER, TWO_WAITS, TEN_WAITS, STREAMED, POSTED),
        p.ASGI_APPLICATIONS,
        most_rounds=ROW_ROUNDS,
        application="raw ASGI",
    ),
    Scenario(
        "app-starlette",
        "Starlette",
        "A route with a parameter and a query, which are answered as JSON.",
        "starlette",
        (ITEM_ROW,),
        p.ASGI_APPLICATIONS,
        most_rounds=ROW_ROUNDS,
        application="Starlette",
        packages=("starlette",),
    ),
    Scenario(
        "app-fastapi",
        "FastAPI",
        "The same route: at once, after two waits of `asyncio.sleep(0)`, and as a `def` endpoint, which runs in the "
        "framework's pool of threads; and a POST of 28 bytes, which pydantic checks.",
        "fastapi",
        (ITEM_ROW, ITEM_WAITS, ITEM_THREAD, POSTED),
        p.ASGI_APPLICATIONS,
        most_rounds=ROW_ROUNDS,
        application="FastAPI",
        packages=("fastapi", "starlette"),
    ),
    Scenario(
        "app-redis",
        "FastAPI with Redis",
        "The handler awaits one key by `redis.asyncio`, with hiredis, of a Redis as Debian ships it, which runs on the core "
        "of the load.",
        "fastapi",
        (STORED,),
        p.ASGI_APPLICATIONS,
        most_rounds=ROW_ROUNDS,
        redis=True,
        application="FastAPI",
        packages=("fastapi", "redis", "hiredis"),
    ),
    Scenario(
        "app-django-asgi",
        "Django on ASGI",
        "The same route as a coroutine, without middlewares: those of a new project are functions, between which and "
        "coroutines Django changes by way of a thread, several times a request, which costs more than all that is compared.",
        "django",
        (ITEM_ASYNC,),
        p.ASGI_APPLICATIONS,
        most_rounds=ROW_ROUNDS,
        application="Django, ASGI",
        packages=("django",),
    ),
    Scenario(
        "app-wsgi",
        "Raw WSGI",
        "One application, which looks for the path in a dictionary: 13 bytes; a generator of ten blocks of 200 bytes without a "
        "Content-Length; a POST of 28 bytes, which is read as JSON and answered with JSON.",
        "routes",
        (GET_ROW, STREAMED, POSTED),
        p.WSGI_APPLICATIONS,
        most_rounds=ROW_ROUNDS,
        application="raw WSGI",
    ),
    Scenario(
        "app-flask",
        "Flask",
        "The same route.",
        "flask",
        (ITEM_ROW,),
        p.WSGI_APPLICATIONS,
        most_rounds=ROW_ROUNDS,
        application="Flask",
        packages=("flask",),
    ),
    Scenario(
        "app-django-wsgi",
        "Django on WSGI",
        "The same route as a function, without middlewares.",
        "django",
        (ITEM_ROW,),
        p.WSGI_APPLICATIONS,
        most_rounds=ROW_ROUNDS,
        application="Django, WSGI",
        packages=("django",),
    ),
    Scenario(
        "app-waiting",
        "Memory of requests that wait",
        "ASGI requests that wait at the same time for one `asyncio.Event`, each on a connection of its own.",
        "waiting",
        (WAITING,),
        p.ASGI_APPLICATIONS,
        Request("/count", answer="0"),
        most_rounds=1,
    ),
)

SCENARIOS = (
    *APPLICATIONS,
    Scenario(
        "one-connection",
        "HTTP: hello, world at one connection",
        "The first of the scenarios below at one connection: what a request costs that shares no system call with others.",
        "hello",
        (ONE,),
        (p.CPP, p.CPP_URING, *p.FRAMEWORKS[1:]),
        most_rounds=ROW_ROUNDS,
    ),
    Scenario(
        "hello",
        "HTTP: hello, world",
        "The handler is a function that answers 13 bytes. For granian it is a coroutine, its interface knows no other.",
        "hello",
        (MANY, HALF, VERY_MANY, PIPELINED),
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
        Request(answer={"message": "Hello, World!"}),
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
        Request("/", "POST", "x" * 1000),
        answer_bytes=1000,
    ),
    Scenario(
        "post-1m",
        "HTTP: POST of 1 MB, sent back",
        "The same with a body of 1,000,000 bytes.",
        "echo",
        (Http("16 connections", 16),),
        (*p.FRAMEWORKS, p.UVICORN, p.GRANIAN_ASGI),
        Request("/", "POST", "x" * 1_000_000),
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
    *HTTP2,
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
        most_rounds=1,
    ),
    Scenario(
        "growth",
        "Memory after many requests",
        "What is resident before and after, over 64 connections with 16 pipelined requests, after a warm-up of one second.",
        "hello",
        (Growth("hello"),),
        (p.CPP, *p.NATIVE_OURS),
        most_rounds=1,
    ),
    Scenario(
        "growth-asgi",
        "Memory after many ASGI requests",
        "The same for the ASGI application, a fifth of the requests.",
        "hello",
        (Growth("hello", 0.2),),
        p.ASGI_OURS,
        most_rounds=1,
    ),
    Scenario(
        "growth-wsgi",
        "Memory after many WSGI requests",
        "The same for the WSGI application, a fifth of the requests.",
        "hello",
        (Growth("hello", 0.2),),
        p.WSGI_OURS,
        most_rounds=1,
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
