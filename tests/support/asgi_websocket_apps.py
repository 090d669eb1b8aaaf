"""What the applications of the tests of websockets over ASGI are made of."""

from __future__ import annotations

import threading
from typing import Any, Callable

ACCEPT = {"type": "websocket.accept"}


def raw(handle: Callable[..., Any]) -> Any:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await handle(scope, receive, send)
        else:
            assert scope["type"] == "http"
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"http"})

    return app


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    assert await receive() == {"type": "websocket.connect"}
    await send(ACCEPT)
    while (message := await receive())["type"] != "websocket.disconnect":
        await send({**message, "type": "websocket.send"})


class Result:
    """What the application tells the test, which runs in another thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._value: Any = None

    def tell(self, value: Any) -> None:
        self._value = value
        self._event.set()

    def get(self) -> Any:
        assert self._event.wait(10)
        return self._value
