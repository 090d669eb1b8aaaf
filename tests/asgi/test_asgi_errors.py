"""HTTP over ASGI: applications that fail, and messages that are wrong."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Callable

import pytest
from asgi_apps import BODY, START, answering, nothing
from waiting import wait_until


async def waits_and_returns(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await asyncio.sleep(0)


async def only_starts(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send(START)


async def raises_at_once(scope: dict[str, Any], receive: Any, send: Any) -> None:
    raise ZeroDivisionError("on purpose")


async def raises_later(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await asyncio.sleep(0)
    raise ZeroDivisionError("on purpose")


async def raises_after_start(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send(START)
    raise ZeroDivisionError("on purpose")


def raises_when_called(scope: dict[str, Any], receive: Any, send: Any) -> Any:
    raise ZeroDivisionError("on purpose")


def gives_no_awaitable(scope: dict[str, Any], receive: Any, send: Any) -> Any:
    return 3


@pytest.mark.parametrize(
    "app",
    [
        nothing,
        waits_and_returns,
        only_starts,
        raises_at_once,
        raises_later,
        raises_after_start,
        raises_when_called,
        gives_no_awaitable,
    ],
)
def test_failures_before_anything_was_sent_are_500(serve_asgi: Callable[..., Any], caplog: Any, app: Any) -> None:
    server = serve_asgi(app, lifespan=False)
    with caplog.at_level(logging.ERROR, "socketify"):
        for _ in range(2):
            text = server.request("GET / HTTP/1.1")
            assert text.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
            assert text.endswith(b"\r\n\r\nInternal Server Error")
    assert len(caplog.records) == 2


@pytest.mark.parametrize("fails", [True, False])
def test_failures_in_the_middle_cut_the_connection(serve_asgi: Callable[..., Any], caplog: Any, fails: bool) -> None:
    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"begin", "more_body": True})
        if fails:
            raise ZeroDivisionError("on purpose")

    server = serve_asgi(answering(answer))
    with caplog.at_level(logging.ERROR, "socketify"):
        text = server.exchange(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert text.startswith(b"HTTP/1.1 200 OK\r\n")
    assert not text.endswith(b"0\r\n\r\n")
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        ([BODY], "expected the ASGI message 'http.response.start', not 'http.response.body'"),
        ([START, START], "expected the ASGI message 'http.response.body', not 'http.response.start'"),
        ([{"type": "websocket.accept"}], "expected the ASGI message 'http.response.start', not 'websocket.accept'"),
        ([START, {"type": "http.response.trailers"}], "expected the ASGI message 'http.response.body'"),
        ([{"type": "http.response.start"}], "'status'"),
        ([{"type": "http.response.start", "status": "ok"}], "status"),
        ([{"type": "http.response.start", "status": 101}, BODY], "status must be a code from 200 to 999"),
        ([{**START, "headers": [("a", "b")]}], "names and values of headers must be bytes, not str: 'a'"),
        ([{**START, "headers": [(b"a", 3)]}], "names and values of headers must be bytes, not int: 3"),
        ([{**START, "headers": [(b"a b", b"c")]}, BODY], "header name is not a token: b'a b'"),
        ([{**START, "headers": [(b"a", b"b\r\nc: d")]}, BODY], "value of header 'a' holds control characters"),
        ([{**START, "headers": [(b"a", b"b\nc\nd")]}, BODY], "holds a line feed"),
        ([{**START, "headers": [(b"a", b"b", b"c")]}], "headers must be pairs of name and value"),
        ([START, {**BODY, "body": "text"}], "'body' of 'http.response.body' must be bytes, not str"),
        ([START, {**BODY, "body": None}], "'body' of 'http.response.body' must be bytes, not NoneType"),
        ([{**START, "headers": [(b"content-length", b"2")]}, BODY], "not as long as the Content-Length"),
        (
            [{**START, "headers": [(b"content-length", b"2")]}, {**BODY, "body": b"x" * 300000}],
            "not as long as the Content-Length",
        ),
    ],
)
def test_wrong_messages_raise_and_the_client_gets_500(
    serve_asgi: Callable[..., Any], caplog: Any, messages: list[Any], error: str
) -> None:
    errors: list[BaseException] = []

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        try:
            for message in messages:
                await send(message)
        except Exception as caught:
            errors.append(caught)
            raise

    server = serve_asgi(answering(answer))
    with caplog.at_level(logging.ERROR, "socketify"):
        assert server.request("GET / HTTP/1.1").startswith(b"HTTP/1.1 500 ")
    assert error in str(errors[0])


def test_after_an_error_another_response_can_be_sent(serve_asgi: Callable[..., Any]) -> None:
    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        with pytest.raises(TypeError):
            await send({**START, "headers": [("a", "b")]})
        await send({**START, "status": 503})
        with pytest.raises(TypeError):
            await send({**BODY, "body": "text"})
        await send(BODY)

    assert serve_asgi(answering(answer)).request("GET / HTTP/1.1").startswith(b"HTTP/1.1 503 ")


def test_messages_after_the_end_are_ignored(serve_asgi: Callable[..., Any], caplog: Any) -> None:
    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send(START)
        await send(BODY)
        await send(BODY)
        await send(START)

    with caplog.at_level(logging.WARNING, "socketify"):
        text = serve_asgi(answering(answer)).request("GET / HTTP/1.1")
        # The answer is there before the application goes on.
        wait_until(lambda: len(caplog.records) == 2)
    assert text.endswith(b"\r\n\r\nx")
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
