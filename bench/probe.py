"""Asks a server once, and looks whether the answer is right: what is measured must be what was asked for."""

from __future__ import annotations

import http.client
import json
import ssl

import h2load
from clients import Request
from harness import BenchmarkError, Server
from http2_loads import Http2, Http2Download
from scenario import Load, Scenario

READ_MAX = 10_000_000
#: As a scenario's ``answer_bytes``: nobody knows.
ANY = -1


def probe(server: Server, scenario: Scenario, load: Load) -> None:
    """Makes the request of a scenario's load once.

    Raises BenchmarkError when the answer is not the right one. Websockets are left to their load client, which checks every
    message.
    """
    if scenario.behaviour == "websocket":
        return
    request = scenario.request_of(load)
    if isinstance(load, (Http2, Http2Download)) and load.version == 2:
        body, fields = h2load.ask(server, request)
        _check(scenario, request, body, fields)
        return
    body, fields = _ask(server, request, scenario.answer_bytes)
    _check(scenario, request, body, fields)


def _ask(server: Server, request: Request, answer_bytes: int) -> tuple[bytes, int]:
    """Returns the body of the answer and how many fields it has."""
    connection: http.client.HTTPConnection
    if server.scheme == "https":
        # A certificate that was made for this run.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=10, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(request.method, request.path, request.body or None, dict(request.headers))
        response = connection.getresponse()
        if response.status != 200:
            raise BenchmarkError(f"it answers {response.status} {response.reason}")
        # A big file is not read here: its load does.
        body = response.read() if answer_bytes <= READ_MAX else b""
    except (OSError, http.client.HTTPException) as error:
        raise BenchmarkError(f"it does not answer: {error!r}") from error
    finally:
        connection.close()
    return body, len(response.getheaders())


def _check(scenario: Scenario, request: Request, body: bytes, fields: int) -> None:
    if request.answer is not None:
        if (body.decode() if isinstance(request.answer, str) else json.loads(body)) != request.answer:
            raise BenchmarkError(f"it answers {request.method} {request.path} with {body!r}")
    elif scenario.answer_bytes not in (ANY, len(body)) and scenario.answer_bytes <= READ_MAX:
        raise BenchmarkError(f"its answer has {len(body)} bytes instead of {scenario.answer_bytes}")
    if scenario.behaviour == "headers" and fields < 20:
        raise BenchmarkError(f"its answer has {fields} header fields instead of twenty and more")
