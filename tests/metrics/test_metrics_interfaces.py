"""What an app counts that serves an application of another interface."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from app_servers import HTTP_2, ASGIServer
from prometheus_client.parser import text_string_to_metric_families as parse
from websockets.sync.client import connect
from wsgi_server import Served, served

from socketify import SSGI, WSGI
from socketify.metrics.exposition import exposition
from socketify.metrics.memory import memory_for_workers, metrics_memory
from socketify.metrics.totals import Totals


@pytest.fixture(autouse=True)
def _nothing_counted() -> None:
    """What other tests of this process counted stays theirs."""
    memory_for_workers(1)


def count(name: str, **labels: str) -> float:
    samples = [each for family in parse(exposition(Totals(metrics_memory()), False)) for each in family.samples]
    return sum(each.value for each in samples if each.name == f"socketify_{name}" and each.labels == labels)


def wait_for(value: float, name: str, **labels: str) -> None:
    deadline = time.monotonic() + 20
    while count(name, **labels) != value:
        assert time.monotonic() < deadline, (name, labels, count(name, **labels))
        time.sleep(0.01)


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": (await receive())["text"]})
        await receive()
        return
    assert scope["type"] == "http"
    if scope["path"] == "/fails":
        raise RuntimeError("intended")
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello " + body})


def wsgi(environ: Any, start_response: Any) -> Any:
    if environ["PATH_INFO"] == "/fails":
        raise RuntimeError("intended")
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello ", body]


async def ssgi(
    _type: str, _server: Any, _client: Any, _method: str, path: str, _query: str, _get_header: Any, res: Any
) -> None:
    if path == "/fails":
        raise RuntimeError("intended")
    body = await res.get_data()
    res.send(b"hello " + body.getvalue())


@pytest.fixture(params=["asgi", "wsgi", "wsgi with threads", "ssgi"])
def port(request: pytest.FixtureRequest, serve_asgi: Callable[..., ASGIServer]) -> Iterator[int]:
    """The port of a server that counts."""
    if request.param == "asgi":
        yield serve_asgi(asgi, setup=lambda app: app.metrics(None)).port
        return
    kind, application = (SSGI, ssgi) if request.param == "ssgi" else (WSGI, wsgi)
    options = {"threads": 3} if request.param == "wsgi with threads" else {}
    with served(application, kind, setup=lambda app: app.metrics(None), **options) as server:
        assert isinstance(server, Served)
        yield server.port


def test_requests_of_an_application(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for method, path, body, status in (
        ("GET", "/", None, 200),
        ("POST", "/", b"you", 200),
        ("GET", "/deep/er", None, 200),
        ("GET", "/fails", None, 500),
    ):
        connection.request(method, path, body)
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == status
        assert status != 200 or text == b"hello " + (body or b"")
    wait_for(0, "requests_in_flight")
    assert count("requests_total", method="GET", status="2xx", route="/*") == 2
    assert count("requests_total", method="POST", status="2xx", route="/*") == 1
    assert count("requests_total", method="GET", status="5xx", route="/*") == 1
    assert count("request_duration_seconds_count", route="/*") == 4
    assert count("request_body_bytes_total") == 3
    assert count("response_body_bytes_total") == 6 + 9 + 6 + len(text)
    assert count("connections") == 1
    # A client that leaves while its body is awaited.
    connection.putrequest("POST", "/")
    connection.putheader("Content-Length", "10")
    connection.endheaders(b"half")
    wait_for(1, "requests_in_flight")
    connection.close()
    wait_for(0, "requests_in_flight")
    wait_for(1, "requests_aborted_total")


def test_websockets_of_an_asgi_application(serve_asgi: Callable[..., ASGIServer]) -> None:
    server = serve_asgi(asgi, setup=lambda app: app.metrics(None))
    with connect(server.websocket_url, ssl=None) as client:
        client.send("hello")
        assert client.recv(20) == "hello"
        assert count("websockets") == 1
    wait_for(0, "websockets")
    assert count("websockets_opened_total") == 1
    for direction in ("received", "sent"):
        assert count("websocket_messages_total", direction=direction) == 1
        assert count("websocket_message_bytes_total", direction=direction) == 5
    assert count("requests_total", method="GET", status="2xx" if HTTP_2 else "1xx", route="/*") == 1
