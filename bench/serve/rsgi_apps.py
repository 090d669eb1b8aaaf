"""Applications of RSGI, the interface that granian offers itself."""

from __future__ import annotations

import json as json_module
import os
from typing import Any

from answers import BODY, HEADERS, OBJECT, TEXT

_PLAIN = [("content-type", "text/plain")]
_FIELDS = [*_PLAIN, *((name.lower(), value) for name, value in HEADERS)]


async def hello(_scope: Any, protocol: Any) -> None:
    """Answers every request with the same text."""
    protocol.response_str(200, _PLAIN, TEXT)


hello_async = hello
tls = hello


async def headers(_scope: Any, protocol: Any) -> None:
    """Twenty fields."""
    protocol.response_str(200, _FIELDS, TEXT)


async def json(_scope: Any, protocol: Any) -> None:
    """An object as JSON."""
    protocol.response_str(200, [("content-type", "application/json")], json_module.dumps(OBJECT))


async def body(_scope: Any, protocol: Any) -> None:
    """Ten kilobytes of text."""
    protocol.response_str(200, _PLAIN, BODY)


async def echo(_scope: Any, protocol: Any) -> None:
    """Sends the body of the request back."""
    protocol.response_bytes(200, [("content-type", "application/octet-stream")], await protocol())


chosen = globals()[os.environ["BENCH_BEHAVIOUR"]]
