"""What an app counts, as a scraper reads it."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from app_servers import HTTP_2, Server, http_1_only
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
from prometheus_client.parser import text_string_to_metric_families as parse
from tls_files import Files
from websockets.sync.client import connect

from socketify import App, Limits
from socketify.metrics.memory import memory_for_workers

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples_of(text: str, parser: Any = parse) -> Samples:
    samples = (sample for family in parser(text) for sample in family.samples)
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}


class Scraper:
    """Reads the metrics of a server at /metrics."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._client = httpx.Client(base_url=server.url, verify=False)

    def __call__(self, name: str, **labels: str) -> float:
        """Return the value of a sample now; 0 without one."""
        answer = self._client.get("/metrics")
        assert answer.status_code == 200
        return samples_of(answer.text).get((f"socketify_{name}", frozenset(labels.items())), 0)

    def status(self) -> int:
        return self._client.get("/metrics").status_code

    def __enter__(self) -> Scraper:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self.server.stop()

    def wait_for(self, value: float, name: str, **labels: str) -> None:
        deadline = time.monotonic() + 10
        while self(name, **labels) != value:
            assert time.monotonic() < deadline, (name, labels, self(name, **labels))
            time.sleep(0.02)


def build(app: App) -> None:
    async def slow(res: Any, _req: Any) -> None:
        await asyncio.sleep(0.02)
        res.end("slow")

    def fail(_res: Any, _req: Any) -> None:
        raise RuntimeError("intended")

    async def never(_res: Any, _req: Any) -> None:
        await asyncio.sleep(3600)

    app.on_error(lambda error, res, req: None)
    app.get("/", lambda res, _req: res.end("hello"))
    app.get("/users/:id", lambda res, req: res.end(req.get_parameter(0)))
    app.get("/slow", slow)
    app.get("/fail", fail)
    app.any("/upload", lambda res, _req: res.on_data(lambda res, data, last, *_: res.end(str(len(data))) if last else None))
    app.get("/never", never)
    app.ws("/chat/:room", {"open": lambda ws: ws.subscribe("news"), "message": lambda ws, data, code: ws.send(data, code)})
    app.get("/publish", lambda res, _req: res.end(str(app.publish("news", "four"))))
    app.metrics()


@pytest.fixture(autouse=True)
def _nothing_counted() -> None:
    """What other tests of this process counted stays theirs."""
    memory_for_workers(1)


@pytest.fixture
def scrape() -> Iterator[Scraper]:
    with Scraper(Server(build, shutdown_timeout=0.5, limits=Limits(header_timeout=1))) as scraper:
        yield scraper


@pytest.fixture
def server(scrape: Scraper) -> Server:
    return scrape.server


def test_both_formats_are_as_their_parsers_want_them(server: Server) -> None:
    with httpx.Client(verify=False) as client:
        client.get(server.url + "/users/1")
        plain = client.get(server.url + "/metrics")
        given = client.get(server.url + "/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0,*/*;q=0.1"})
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert given.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    names = {name for name, _ in samples_of(plain.text)}
    assert names == {name for name, _ in samples_of(given.text, parse_open_metrics)}
    assert {"socketify_requests_total", "socketify_request_duration_seconds_bucket", "socketify_connections"} <= names


def test_requests_by_method_status_and_route(server: Server, scrape: Scraper) -> None:
    with httpx.Client(verify=False) as client:
        for path in ("/users/1", "/users/2", "/users/3", "/nowhere", "/fail"):
            client.get(server.url + path)
        client.post(server.url + "/upload", content=b"abc")
        client.request("BREW", server.url + "/upload", content=b"abc")
        client.head(server.url + "/users/4")
    assert scrape("requests_total", method="GET", status="2xx", route="/users/:id") == 3
    assert scrape("requests_total", method="HEAD", status="2xx", route="/users/:id") == 1
    assert scrape("requests_total", method="GET", status="4xx", route="none") == 1
    assert scrape("requests_total", method="GET", status="5xx", route="/fail") == 1
    assert scrape("requests_total", method="POST", status="2xx", route="/upload") == 1
    assert scrape("requests_total", method="other", status="2xx", route="/upload") == 1
    assert scrape("request_body_bytes_total") == 6


def test_durations_are_cumulative(server: Server, scrape: Scraper) -> None:
    for _ in range(3):
        httpx.get(server.url + "/slow", verify=False)
    assert scrape("request_duration_seconds_count", route="/slow") == 3
    assert scrape("request_duration_seconds_bucket", route="/slow", le="0.01") == 0
    assert scrape("request_duration_seconds_bucket", route="/slow", le="10.0") == 3
    assert scrape("request_duration_seconds_bucket", route="/slow", le="+Inf") == 3
    assert 0.06 <= scrape("request_duration_seconds_sum", route="/slow") < 10


def test_connections_and_what_is_in_flight(server: Server, scrape: Scraper) -> None:
    # The scraper's own.
    assert scrape("connections") == 1
    assert scrape("requests_in_flight") == 1
    with server.connect() as connection:
        connection.sendall(GET.replace(b"/ ", b"/never "))
        scrape.wait_for(2, "requests_in_flight")
        assert scrape("connections") == 2
    scrape.wait_for(1, "requests_in_flight")
    assert scrape("connections") == 1
    assert scrape("connections_accepted_total") == 2
    assert scrape("requests_aborted_total") == 1
    assert scrape("requests_total", method="GET", status="4xx", route="/never") == 1


@http_1_only("what cannot be read is a fault of a stream, or of the connection")
def test_what_the_server_refuses_by_itself(server: Server, scrape: Scraper) -> None:
    assert b" 400 " in server.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nbad field\r\n\r\n")
    assert b" 408 " in server.exchange(b"GET / HT")
    assert scrape("requests_refused_total", reason="request") == 1
    assert scrape("requests_refused_total", reason="timeout") == 1
    assert scrape("requests_total", method="other", status="4xx", route="none") == 2


def test_too_many_at_once() -> None:
    with Scraper(Server(build, shutdown_timeout=0.5, limits=Limits(max_concurrent_requests=2))) as scrape:
        with scrape.server.connect() as one, scrape.server.connect() as two, scrape.server.connect() as three:
            one.sendall(GET.replace(b"/ ", b"/never "))
            scrape.wait_for(2, "requests_in_flight")
            two.sendall(GET.replace(b"/ ", b"/never "))
            # Nobody else can be asked whether both are there.
            deadline = time.monotonic() + 10
            answer = b""
            while b" 503 " not in answer:
                assert time.monotonic() < deadline
                three.sendall(GET)
                answer = three.recv(1000)
        deadline = time.monotonic() + 10
        while scrape.status() == 503:
            assert time.monotonic() < deadline
        assert scrape("requests_refused_total", reason="concurrency") >= 1


def test_websockets_topics_and_messages(server: Server, scrape: Scraper) -> None:
    with connect(server.ws_url + "/chat/1", ssl=None) if server.ws_url.startswith("ws:") else pytest.skip("plain") as websocket:
        websocket.send("hello")
        assert websocket.recv(timeout=10) == "hello"
        assert httpx.get(server.url + "/publish").text == "True"
        assert websocket.recv(timeout=10) == b"four"
        assert scrape("websockets") == 1
        assert scrape("topics") == 1
        assert scrape("topic_subscriptions") == 1
        assert scrape("requests_in_flight") == 1
    scrape.wait_for(0, "websockets")
    assert scrape("topics") == scrape("topic_subscriptions") == 0
    assert scrape("websockets_opened_total") == 1
    assert scrape("websocket_messages_total", direction="received") == 1
    assert scrape("websocket_message_bytes_total", direction="received") == 5
    assert scrape("websocket_messages_total", direction="sent") == 2
    assert scrape("websocket_message_bytes_total", direction="sent") == 9
    assert scrape("publications_total") == 1
    assert scrape("requests_total", method="GET", status="2xx" if HTTP_2 else "1xx", route="/chat/:room") == 1


def test_messages_that_a_slow_client_does_not_get() -> None:
    def flood(app: App) -> None:
        def opened(ws: Any) -> None:
            for _ in range(300):
                ws.send(bytes(65536))

        app.ws("/", {"open": opened, "max_backpressure": 65536})
        app.metrics()

    with Scraper(Server(flood)) as scrape, scrape.server.connect() as connection:
        connection.sendall(
            GET[:-2] + b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        scrape.wait_for(1, "websockets")
        dropped = scrape("websocket_messages_dropped_total")
        assert 0 < dropped < 300
        assert scrape("websocket_messages_total", direction="sent") == 300 - dropped


def test_routes_are_bounded() -> None:
    def many(app: App) -> None:
        for number in range(200):
            app.get(f"/route/{number}", lambda res, _req: res.end())
        app.get("/" + "l\xe4ng" * 100, lambda res, _req: res.end())
        app.metrics()

    with Scraper(Server(many)) as scrape, httpx.Client(base_url=scrape.server.url, verify=False) as client:
        client.get("/" + "l%C3%A4ng" * 100)
        for number in range(200):
            client.get(f"/route/{number}")
        text = client.get("/metrics").text
        routes = {dict(labels)["route"] for name, labels in samples_of(text) if name == "socketify_requests_total"}
        assert len(routes) <= 128
        assert scrape("requests_total", method="GET", status="2xx", route="other") > 70


def test_an_idle_loop_is_not_asked_and_a_blocked_one_is_found(server: Server, scrape: Scraper) -> None:
    assert server.app is not None
    block = server.app.core.loop
    assert block is not None
    httpx.get(server.url, verify=False)
    block.call_soon_threadsafe(time.sleep, 1.2)
    deadline = time.monotonic() + 10
    while not scrape("loop_lag_last_seconds", process="worker-1") and scrape("loop_lag_seconds_sum") < 0.2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1.2)
    first = scrape("loop_lag_seconds_count")
    time.sleep(1.2)
    # The first scrape woke it, once.
    assert scrape("loop_lag_seconds_count") - first <= 1


def test_tls_handshakes(tmp_path: Any) -> None:
    files = Files(tmp_path)
    with Scraper(Server(build, options=files.options())) as scrape:
        assert scrape("tls_handshakes_total") == 1
        with socket.create_connection(("127.0.0.1", scrape.server.port)) as connection:
            connection.sendall(b"\x16\x03\x01\x00\x05wrong")
            connection.recv(100)
        scrape.wait_for(1, "tls_handshake_failures_total")
        assert scrape("connections_refused_total", reason="tls") == 1


def test_health(tmp_path: Any) -> None:
    server = Server(lambda app: app.health())
    with httpx.Client(base_url=server.url, verify=False) as client:
        for path in ("/healthz", "/readyz"):
            answer = client.get(path)
            assert (answer.status_code, answer.text, answer.headers["cache-control"]) == (200, "ok\n", "no-store")
    server.stop()


def test_it_is_not_ready_when_it_stops() -> None:
    closed, asked = threading.Event(), threading.Event()

    def stopping(app: App) -> None:
        async def stop(res: Any, _req: Any) -> None:
            app.close()
            closed.set()
            await asyncio.to_thread(asked.wait, 10)
            res.end()

        app.get("/stop", stop).health("/live", "/ready")

    server = Server(stopping)
    with server.connect() as first, server.connect() as second:
        second.sendall(b"GET /ready HTTP/1.1\r\nHost: a\r\n")
        first.sendall(GET.replace(b"/ ", b"/stop "))
        assert closed.wait(10)
        # It stops in the turn after that.
        time.sleep(0.1)
        second.sendall(b"\r\n")
        assert b" 503 " in second.recv(1000)
        asked.set()
        assert b" 200 " in first.recv(1000)
    server.stop()


def test_two_apps_of_a_process_are_counted_together() -> None:
    with Scraper(Server(build)) as scrape:
        with Scraper(Server(build)) as other:
            for each in (scrape, other):
                httpx.get(each.server.url, verify=False)
            assert scrape("requests_total", method="GET", status="2xx", route="/") == 2
            assert other("workers", phase="serving") == 2
        # What it counted stays.
        assert scrape("requests_total", method="GET", status="2xx", route="/") == 2
        assert scrape("workers", phase="serving") == 1
