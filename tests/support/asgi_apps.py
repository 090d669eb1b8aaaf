"""What the applications of the tests of ASGI are made of."""

from __future__ import annotations

from typing import Any, Callable

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
BODY = {"type": "http.response.body", "body": b"x"}


async def body_of(receive: Any) -> bytes:
    parts = []
    more = True
    while more:
        message = await receive()
        assert message["type"] == "http.request"
        parts.append(message["body"])
        more = message["more_body"]
    return b"".join(parts)


def answering(answer: Callable[..., Any]) -> Any:
    """Make an application without lifespan."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise ValueError("no lifespan here")
        await answer(scope, receive, send)

    return app


def capturing(scopes: list[dict[str, Any]]) -> Any:
    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scopes.append(scope)
        await send(START)
        await send({"type": "http.response.body", "body": b"ok"})

    return answering(answer)


async def nothing(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Return at once."""
