"""Asks a server once, and looks whether the answer is right: what is measured must be what was asked for."""

from __future__ import annotations

import http.client
import json
import ssl

from harness import BenchmarkError, Server
from scenarios import Scenario

READ_MAX = 10_000_000
#: As a scenario's ``answer_bytes``: nobody knows.
ANY = -1


def probe(server: Server, scenario: Scenario) -> None:
    """Makes the scenario's request once.

    Raises BenchmarkError when the answer is not the right one. Websockets are left to their load client, which checks every
    message.
    """
    if scenario.behaviour == "websocket":
        return
    request = scenario.request
    connection: http.client.HTTPConnection
    if server.scheme == "https":
        # A certificate that was made for this run.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=10, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(request.method, request.path, b"x" * request.body_bytes or None)
        response = connection.getresponse()
        if response.status != 200:
            raise BenchmarkError(f"it answers {response.status} {response.reason}")
        # A big file is not read here: its load does.
        body = response.read() if scenario.answer_bytes <= READ_MAX else b""
    except (OSError, http.client.HTTPException) as error:
        raise BenchmarkError(f"it does not answer: {error!r}") from error
    finally:
        connection.close()
    _check(scenario, body, len(response.getheaders()))


def _check(scenario: Scenario, body: bytes, fields: int) -> None:
    if scenario.behaviour == "json":
        if json.loads(body) != {"message": "Hello, World!"}:
            raise BenchmarkError(f"it answers {body!r}")
    elif scenario.answer_bytes not in (ANY, len(body)) and scenario.answer_bytes <= READ_MAX:
        raise BenchmarkError(f"its answer has {len(body)} bytes instead of {scenario.answer_bytes}")
    if scenario.behaviour == "headers" and fields < 20:
        raise BenchmarkError(f"its answer has {fields} header fields instead of twenty and more")
