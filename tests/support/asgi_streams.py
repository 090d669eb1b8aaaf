"""What applications that stream are made of."""

from __future__ import annotations

import threading
from typing import Any, Callable

START = {"type": "http.response.start", "status": 200, "headers": []}


def sized(length: int) -> dict[str, Any]:
    return {**START, "headers": [(b"content-length", b"%d" % length)]}


def piece(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


def raw(answer: Callable[..., Any]) -> Any:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await answer(receive, send)

    return app


class Until:
    """Waits for what happens in the server's thread."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def happened(self) -> None:
        self._event.set()

    def wait(self) -> None:
        assert self._event.wait(10)
