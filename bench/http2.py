"""What is measured over HTTP/2: a table of scenarios. ``python bench/run.py --only 'http2-*' [--quick]`` measures them."""

from __future__ import annotations

import programs as p
from clients import Request
from http2_loads import Http2, Http2Download, OpenStreams, http2
from scenario import ROW_ROUNDS, TURNS, Scenario

MANY = http2(8, 32, turns=TURNS)
PIPELINED = Http2("HTTP/1.1, 8 connections of 16 pipelined", 8, 16, version=1, turns=TURNS)
ALL = tuple(MANY if (c, s) == (8, 32) else http2(c, s) for c in (1, 8, 64) for s in (1, 32, 100))
DOWNLOAD_BYTES = 100_000_000
UPLOAD_BYTES = 1_000_000
UPLOADS = http2(8, 4)
OPEN = OpenStreams("open streams")

_FILE, _TEXT = Request("/static/hundred.bin"), Request("/hundred")
FILE = Http2Download("a file, HTTP/2", DOWNLOAD_BYTES, turns=TURNS, request=_FILE)
FILE_1 = Http2Download("a file, HTTP/1.1", DOWNLOAD_BYTES, 1, turns=TURNS, request=_FILE)
CONTENT = Http2Download("one object, HTTP/2", DOWNLOAD_BYTES, turns=TURNS, request=_TEXT)
CONTENT_1 = Http2Download("one object, HTTP/1.1", DOWNLOAD_BYTES, 1, turns=TURNS, request=_TEXT)

_APPS = (*p.NATIVE_OURS, p.GRANIAN_RSGI_HTTP2)
_ASGI = (*p.ASGI_OURS, p.GRANIAN_ASGI_HTTP2, p.AETHONAN_ASGI_HTTP2, p.H2CORN, p.HYPERCORN, p.GUNICORN_ASGI_HTTP2)

SCENARIOS = (
    Scenario(
        "http2-hello",
        "HTTP/2: hello, world",
        "In clear, by prior knowledge. The handler is a function that answers 13 bytes; for granian it is a coroutine. The "
        "last load is HTTP/1.1 by the same client, pipelined.",
        "hello",
        (*ALL, PIPELINED),
        _APPS,
        most_rounds=ROW_ROUNDS,
    ),
    Scenario(
        "http2-asgi",
        "HTTP/2: ASGI hello, world",
        "In clear. A raw application: two messages with two header fields and 13 bytes.",
        "hello",
        ALL,
        _ASGI,
        most_rounds=ROW_ROUNDS,
    ),
    Scenario(
        "http2-tls",
        "HTTP/2 over TLS: hello, world",
        "The first of these over TLS 1.3 with an ECDSA certificate.",
        "tls",
        (http2(1, 1), MANY, http2(64, 100)),
        _APPS,
        most_rounds=ROW_ROUNDS,
    ),
    Scenario(
        "http2-tls-asgi",
        "HTTP/2 over TLS: ASGI hello, world",
        "The second of these over TLS 1.3 with an ECDSA certificate.",
        "tls",
        (http2(1, 1), MANY, http2(64, 100)),
        _ASGI,
        most_rounds=ROW_ROUNDS,
    ),
    Scenario(
        "http2-headers",
        "HTTP/2: twenty header fields",
        "Beside its 13 bytes the answer has twenty fields and a Content-Type.",
        "headers",
        (MANY,),
        _APPS,
        most_rounds=ROW_ROUNDS,
    ),
    Scenario(
        "http2-body",
        "HTTP/2: a body of 10 KB",
        "A text of 10,000 characters, by the raw ASGI application.",
        "body",
        (MANY,),
        _ASGI,
        answer_bytes=10_000,
        most_rounds=ROW_ROUNDS,
    ),
    Scenario(
        "http2-upload",
        "HTTP/2: POST of 1 MB",
        "The raw ASGI application reads a body of 1,000,000 bytes, and answers with 13.",
        "upload",
        (UPLOADS,),
        _ASGI,
        Request("/", "POST", "x" * UPLOAD_BYTES),
        most_rounds=ROW_ROUNDS,
    ),
    Scenario(
        "http2-download",
        "HTTP/2 over TLS: a download of 100 MB",
        "On one stream, beside the same over HTTP/1.1, by the same client: a file, and a `bytes` object that is there.",
        "tls_download",
        (FILE, FILE_1, CONTENT, CONTENT_1),
        p.NATIVE_OURS,
        answer_bytes=DOWNLOAD_BYTES,
        most_rounds=ROW_ROUNDS,
    ),
    Scenario(
        "http2-open",
        "HTTP/2: memory of open streams",
        "Requests that wait at the same time, 100 on each connection: handlers of an app that keep their response.",
        "waiting",
        (OPEN,),
        p.NATIVE_OURS,
        Request("/count", answer="0"),
        most_rounds=1,
    ),
    Scenario(
        "http2-open-asgi",
        "HTTP/2: memory of ASGI requests that wait",
        "The same: ASGI applications that wait for one `asyncio.Event`.",
        "waiting",
        (OPEN,),
        tuple(one for one in _ASGI if one.name not in (p.URING, p.GUNICORN_ASGI_HTTP2.name)),
        Request("/count", answer="0"),
        most_rounds=1,
    ),
)
