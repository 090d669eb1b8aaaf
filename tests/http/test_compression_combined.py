"""Compression beside what else a response can be: a stream of events, another thread's, one with more fields, the last one."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any, Callable

import httpx
import pytest
from app_servers import http_1_only, read_all
from content_codings import CODINGS, decoded, decoder

from socketify import App, Request, Response
from socketify.cors import CORS

TEXT = "A line of text, as it is found in many places.\n" * 100
LARGE = "".join(f"{number} of many lines\n" for number in range(200_000)).encode()


@pytest.mark.parametrize("coding", CODINGS)
def test_server_sent_events(serve: Callable[..., Any], coding: str) -> None:
    wanted: list[asyncio.Event] = []
    left = threading.Event()

    async def events(res: Response, _req: Request) -> None:
        wanted.append(asyncio.Event())
        try:
            async with res.sse() as stream:
                number = 0
                while True:
                    await stream.send(f"event {number}")
                    number += 1
                    await wanted[-1].wait()
                    wanted[-1].clear()
        finally:
            left.set()

    def build(app: App) -> None:
        app.get("/", events).get("/next", lambda res, _req: (wanted[-1].set(), res.end("soon")))

    server = serve(build, compress_responses=True)
    decode = decoder(coding)
    with httpx.stream("GET", server.url, headers={"accept-encoding": coding}, timeout=10) as response:
        assert response.headers["content-encoding"] == coding
        pieces = response.iter_raw()
        text = b""
        for number in range(5):
            while b"data: event %d\n\n" % number not in text:
                text += decode(next(pieces))
            assert httpx.get(server.url + "/next").text == "soon"
    assert left.wait(10)


def test_a_thread_sends(serve: Callable[..., Any]) -> None:
    def answer(res: Response, way: str) -> None:
        if way == "off":
            res.compress = False
        if way == "pieces":
            res.write_header("Content-Type", "text/plain")
            res.write(TEXT).write(LARGE).end(TEXT)
        else:
            res.send(TEXT)

    def handler(res: Response, req: Request) -> None:
        res.on_aborted(lambda _res: None)
        threading.Thread(target=answer, args=(res, req.get_query("way"))).start()

    server = serve(lambda app: app.get("/", handler), compress_responses=True)
    for way, text in (("whole", TEXT), ("off", TEXT), ("pieces", TEXT + LARGE.decode() + TEXT)):
        got = httpx.get(server.url, params={"way": way}, headers={"accept-encoding": "gzip"})
        assert got.text == text
        assert got.headers.get("content-encoding") == (None if way == "off" else "gzip")


def test_fields_that_are_added_last(serve: Callable[..., Any]) -> None:
    def build(app: App) -> None:
        app.router("", CORS(["https://shop.example"])).get("/")(lambda res, _req: res.send(TEXT))

    server = serve(build, compress_responses=True, response_headers={"X-Content-Type-Options": "nosniff"})
    got = httpx.get(server.url, headers={"accept-encoding": "gzip", "origin": "https://shop.example"})
    assert (got.text, got.headers["content-encoding"]) == (TEXT, "gzip")
    assert got.headers["x-content-type-options"] == "nosniff"
    assert {each.lower() for each in got.headers.get_list("vary", split_commas=True)} == {"origin", "accept-encoding"}


@http_1_only("it is about the bytes of a connection")
def test_a_stop_waits_for_the_last_piece(serve: Callable[..., Any]) -> None:
    server = serve(lambda app: app.get("/", lambda res, _req: res.send(LARGE)), compress_responses=True)
    with server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: br\r\n\r\n")
        first = connection.recv(1000)
        server.app.close()
        everything = first + read_all(connection)
    head, _, rest = everything.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    content = b""
    while not rest.startswith(b"0\r\n\r\n"):
        size, _, rest = rest.partition(b"\r\n")
        content += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    assert decoded("br", content) == LARGE


def test_a_field_that_names_thousands_of_codings(serve: Callable[..., Any]) -> None:
    server = serve(lambda app: app.get("/", lambda res, _req: res.send(TEXT)), compress_responses=True)
    many = ",".join(f"x{number};q=0.1" for number in range(1000))
    got = httpx.get(server.url, headers={"accept-encoding": f"{many},gzip;q=0.1"})
    assert (got.text, got.headers["content-encoding"]) == (TEXT, "gzip")


@http_1_only("a client of HTTP/2 reads while it sends")
def test_a_client_that_sends_all_of_its_body_before_it_reads_gets_a_large_answer(serve: Callable[..., Any]) -> None:
    content = os.urandom(8_000_000)

    def build(app: App) -> None:
        app.post("/", lambda res, _req: res.send(content, "text/plain"))

    with serve(build, compress_responses=True).connect() as connection:
        connection.settimeout(10)
        head = "POST / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\nContent-Length: 8000000\r\n\r\n"
        connection.sendall(head.encode() + bytes(8_000_000))
        received, _, chunks = read_all(connection).partition(b"\r\n\r\n")
        assert b"content-encoding: gzip" in received.lower()
        assert len(chunks) > len(content)
        assert chunks.endswith(b"\r\n0\r\n\r\n")
