"""Handlers that do everything wrong, and clients that do."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import socket
import threading
import time

import httpx
import pytest
from app_servers import http_1_only

from socketify import App

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
GET_AND_CLOSE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def test_errors_and_silence_become_500(serve, caplog: pytest.LogCaptureFixture) -> None:
    def failing(_res, _req) -> None:
        raise ValueError("secret")

    async def failing_later(_res, _req) -> None:
        await asyncio.sleep(0.01)
        raise ValueError("secret")

    async def silent(_res, _req) -> None:
        await asyncio.sleep(0.01)

    def build(app: App) -> None:
        app.get("/raise", failing).get("/later", failing_later).get("/silent", lambda res, req: None).get("/async", silent)

    server = serve(build)
    for path in ("/raise", "/later", "/silent", "/async"):
        answer = httpx.get(server.url + path)
        assert answer.status_code == 500, path
        assert "secret" not in answer.text
    assert len(caplog.records) == 4


def test_late_and_kept_answers_are_no_errors(serve, caplog: pytest.LogCaptureFixture) -> None:
    async def later(res, _req) -> None:
        await asyncio.sleep(0.01)
        res.end("later")

    def elsewhere(res, _req) -> None:
        asyncio.get_running_loop().call_later(0.01, res.end, "elsewhere")

    server = serve(lambda app: app.get("/later", later).get("/elsewhere", elsewhere))
    for _ in range(5):
        assert httpx.get(server.url + "/later").text == "later"
        assert httpx.get(server.url + "/elsewhere").text == "elsewhere"
    assert caplog.records == []


def test_the_error_handler_can_answer(serve) -> None:
    async def slow(error, res, req) -> None:
        await asyncio.sleep(0.01)
        res.write_status(418).end(f"{error} {req.get_url()}")

    def build(app: App) -> None:
        app.get("/x", lambda res, req: 1 / 0)
        app.set_error_handler(slow)

    answer = httpx.get(serve(build).url + "/x")
    assert (answer.status_code, answer.text) == (418, "division by zero /x")


def test_answering_twice_is_an_error(serve) -> None:
    seen: list[str] = []

    def handler(res, _req) -> None:
        res.end("one")
        for method in (lambda: res.end("two"), lambda: res.write("x"), lambda: res.write_header("a", "b")):
            with pytest.raises(RuntimeError, match="ended already"):
                method()
        seen.append("done")

    server = serve(lambda app: app.get("/", handler))
    assert httpx.get(server.url).text == "one"
    assert seen == ["done"]


@pytest.mark.parametrize("read", ["get_data", "get_json", "get_form", "stream_form"])
def test_who_waits_for_a_body_is_told_that_the_response_has_ended(serve, read: str) -> None:
    """The rest of the body is not given to anybody, so that nothing would end the waiting."""
    form = "Content-Type: multipart/form-data; boundary=b\r\n"
    told: list[str] = []
    ended = threading.Event()

    async def parts(res, req) -> None:
        async for _ in res.stream_form(req):
            pass

    async def handler(res, req) -> None:
        asyncio.get_running_loop().call_later(0.01, res.end, "enough")
        waits = {
            "get_data": res.get_data,
            "get_json": res.get_json,
            "get_form": lambda: res.get_form(req),
        }.get(read, lambda: parts(res, req))
        try:
            await waits()
        except RuntimeError as error:
            told.append(str(error))
        ended.set()

    server = serve(lambda app: app.post("/", handler))
    with server.connect() as connection:
        connection.sendall(f"POST / HTTP/1.1\r\nHost: a\r\n{form}Content-Length: 99\r\n\r\n--b\r\n".encode())
        assert connection.recv(1000).endswith(b"\r\n\r\nenough")
        assert ended.wait(10)
    assert "the response has ended already, and the body of its request is gone" in told[0]


def test_an_error_after_the_head_cuts_the_connection(serve) -> None:
    def handler(res, _req) -> None:
        res.write("part")
        raise ValueError("x")

    server = serve(lambda app: app.get("/", handler))
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(server.url)


def test_a_kept_response_never_touches_another_client(serve) -> None:
    kept = []

    def keep(res, _req) -> None:
        kept.append(res)
        res.end("kept")

    def late(res, req) -> None:
        for old in kept:
            with pytest.raises(RuntimeError):
                old.end("WRONG")
        res.end(req.get_url())

    server = serve(lambda app: app.get("/keep", keep).get("/*", late), request_response_factory_max_items=4)
    with httpx.Client(base_url=server.url) as client:
        for i in range(200):
            assert client.get("/keep").text == "kept"
            assert client.get(f"/{i}").text == f"/{i}"


def test_the_client_leaves_before_the_answer(serve) -> None:
    aborted: list[bool] = []

    async def handler(res, _req) -> None:
        res.on_aborted(lambda res: aborted.append(res.aborted))
        await asyncio.sleep(0.2)
        res.write_status(200).write_header("a", "b").write("x").end("late")
        aborted.append(res.aborted)

    server = serve(lambda app: app.get("/", handler))
    for _ in range(20):
        with server.connect() as connection:
            connection.sendall(GET)
            time.sleep(0.005)
    deadline = time.monotonic() + 5
    while len(aborted) < 40 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert aborted == [True] * 40


def test_a_body_that_never_ends_gives_what_came(serve) -> None:
    bodies: list[bytes] = []

    async def handler(res, _req) -> None:
        bodies.append((await res.get_data()).getvalue())

    server = serve(lambda app: app.post("/", handler))
    with server.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        time.sleep(0.1)
    time.sleep(0.2)
    assert bodies == [b"half"]


def test_one_byte_at_a_time(serve) -> None:
    async def handler(res, _req) -> None:
        res.end(await res.get_text())

    server = serve(lambda app: app.post("/", handler))
    request = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    with server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(request)):
            connection.sendall(request[i : i + 1])
            time.sleep(0.001)
        assert connection.recv(1000).endswith(b"abc")


@pytest.mark.skipif("SOCKETIFY_TEST_TLS" in os.environ, reason="tests/core/test_tls.py does it with close_notify")
def test_a_half_closed_client_gets_its_answer(serve) -> None:
    server = serve(lambda app: app.get("/", lambda res, _req: res.end("x" * 100_000)))
    with server.connect() as connection:
        connection.sendall(GET)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(10).startswith(b"HTTP/1.1 2")


def test_pipelined_requests_are_answered_in_order_by_slow_handlers(serve) -> None:
    async def handler(res, req) -> None:
        await asyncio.sleep(0.02 if req.get_url() == "/0" else 0)
        res.end(req.get_url())

    server = serve(lambda app: app.get("/*", handler))
    requests = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i for i in range(20))
    answer = server.exchange(requests + GET_AND_CLOSE.replace(b"GET /", b"GET /last"))
    positions = [answer.index(b"\r\n\r\n/%d" % i) for i in range(20)]
    assert positions == sorted(positions)
    assert answer.endswith(b"/last")


@http_1_only("a malformed head")
def test_good_requests_before_a_bad_one_are_answered(serve) -> None:
    server = serve(lambda app: app.get("/", lambda res, _req: res.end("good")))
    answer = server.exchange(GET + b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n" + GET)
    assert answer.count(b"good") == 1
    assert answer.index(b"good") < answer.index(b"HTTP/1.1 400")


def test_nothing_after_connection_close_is_processed(serve) -> None:
    calls: list[int] = []

    def handler(res, _req) -> None:
        calls.append(1)
        res.end("x")

    answer = serve(lambda app: app.get("/", handler)).exchange(GET_AND_CLOSE + GET)
    assert answer.count(b"200 OK") == 1
    assert calls == [1]


def test_a_client_that_never_reads_costs_bounded_memory(serve) -> None:
    calls: list[int] = []

    def handler(res, _req) -> None:
        calls.append(1)
        res.end(b"x" * 100_000)

    server = serve(lambda app: app.get("/", handler))
    with server.connect() as connection:
        connection.settimeout(1)
        try:
            for _ in range(50):
                connection.sendall(GET * 1000)
        except (TimeoutError, socket.timeout, ConnectionError):
            pass
        time.sleep(0.3)
        assert httpx.get(server.url).status_code == 200
        assert len(calls) < 500


def test_many_clients_at_once_with_every_kind_of_handler(serve, caplog: pytest.LogCaptureFixture) -> None:
    kept: list[object] = []

    async def slow(res, req) -> None:
        await asyncio.sleep(0.005)
        res.end(req.get_url())

    def keep(res, req) -> None:
        kept.append(res)
        res.end(req.get_url())

    async def wrong_order(res, req) -> None:
        res.cork(lambda res: res.write("")).write(req.get_url())
        with pytest.raises(RuntimeError):
            res.write_status(200)
        await asyncio.sleep(0)
        res.end("")

    def build(app: App) -> None:
        app.get("/sync/*", lambda res, req: res.end(req.get_url())).get("/slow/*", slow).get("/keep/*", keep)
        app.get("/order/*", wrong_order).get("/raise/*", lambda res, req: 1 / 0).get("/never/*", lambda res, req: None)

    server = serve(build)

    def client(number: int) -> None:
        with httpx.Client(base_url=server.url) as session:
            for i in range(30):
                for kind in ("sync", "slow", "keep", "order", "raise", "never"):
                    path = f"/{kind}/{number}-{i}"
                    answer = session.get(path)
                    if kind in ("raise", "never"):
                        assert answer.status_code == 500
                    else:
                        assert answer.text == path
            with server.connect() as leaver:
                leaver.sendall(b"GET /slow/x HTTP/1.1\r\nHost: a\r\n\r\n")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(client, range(8)))
