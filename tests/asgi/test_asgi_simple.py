"""ASGI requests without a body and with one body message, which the native side serves; and where Python takes over."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
from collections.abc import Coroutine
from typing import Any, Callable

import httpx
import pytest
from asgi_apps import START, answering
from waiting import wait_until

from socketify.native import capabilities

BODY = {"type": "http.response.body", "body": b"ok"}


def test_what_send_gives_is_a_coroutine_to_all_who_ask(serve_asgi: Callable[..., Any]) -> None:
    found: list[Any] = []

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        started = send(START)
        found.append((inspect.isawaitable(started), asyncio.iscoroutine(started), isinstance(started, Coroutine)))
        await started
        # Other frameworks make tasks of them, wait for several, or set a time limit.
        await asyncio.wait_for(asyncio.create_task(send({**BODY, "body": b"o", "more_body": True})), 5)
        await asyncio.gather(send({**BODY, "body": b"k"}))

    response = httpx.get(serve_asgi(answering(answer)).url)
    assert (response.status_code, response.text) == (200, "ok")
    assert found == [(True, True, True)]


@pytest.mark.skipif(not capabilities.iterator_send, reason="there send gives a coroutine itself")
def test_a_finished_send_takes_what_a_coroutine_takes(serve_asgi: Callable[..., Any]) -> None:
    found: list[Any] = []

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        started = send(START)
        with pytest.raises(StopIteration) as stop:
            started.send(None)
        found.append(stop.value.value)
        with pytest.raises(KeyError, match="given"):
            started.throw(KeyError("given"))
        with pytest.raises(OSError, match="made"):
            started.throw(OSError, "made")
        with pytest.raises(TypeError):
            started.throw()
        found.append(started.close())
        found.append(await started)
        await send(BODY)

    response = httpx.get(serve_asgi(answering(answer)).url)
    assert (response.status_code, response.text) == (200, "ok")
    assert found == [None, None, None]


@pytest.mark.parametrize(
    "headers",
    [
        [(b"x-name", b"value")],
        ((b"x-name", b"value"),),
        [[b"x-name", b"value"]],
        [[b"x-name", b"value"], (b"x-other", b"")],
        iter([(b"x-name", b"value")]),
        ([b"x-name", b"value"] for _ in range(1)),
    ],
    ids=["list", "tuple", "lists", "mixed", "iterator", "generator"],
)
def test_headers_come_in_any_iterable(serve_asgi: Callable[..., Any], headers: Any) -> None:
    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 203, "headers": headers})
        await send(BODY)

    response = httpx.get(serve_asgi(answering(answer)).url)
    assert (response.status_code, response.text, response.headers["x-name"]) == (203, "ok", "value")


@pytest.mark.parametrize(
    ("start", "error"),
    [
        ({"status": 200, "headers": [("x-name", "text")]}, TypeError),
        ({"status": 200, "headers": [(b"x-name",)]}, ValueError),
        ({"status": 200, "headers": [(b"x name", b"value")]}, ValueError),
        ({"status": 200, "headers": [(b"x-name", b"two\nlines")]}, ValueError),
        ({"status": 200, "headers": [(b"x-name", b"nul\0")]}, ValueError),
        ({"status": 99}, ValueError),
        ({"status": "many"}, TypeError),
        ({}, KeyError),
    ],
)
def test_wrong_heads_raise_and_can_be_answered_otherwise(
    serve_asgi: Callable[..., Any], start: dict[str, Any], error: type[Exception]
) -> None:
    raised: list[BaseException] = []

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        try:
            await send({"type": "http.response.start", **start})
            await send(BODY)
        except Exception as caught:
            raised.append(caught)
            raise

    response = httpx.get(serve_asgi(answering(answer)).url)
    assert response.status_code == 500
    assert [type(each) for each in raised] in ([error], [ValueError])


def test_messages_may_be_other_mappings_and_lack_what_has_defaults(serve_asgi: Callable[..., Any]) -> None:
    class Message(dict[str, Any]):
        pass

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send(Message(type="http.response.start", status=201))
        await send({"type": "http.response.body"})

    response = httpx.get(serve_asgi(answering(answer)).url)
    assert (response.status_code, response.content, response.headers["content-length"]) == (201, b"", "0")


def test_the_application_may_wait_between_and_afterwards(serve_asgi: Callable[..., Any]) -> None:
    afterwards: list[Any] = []

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        before = asyncio.current_task()
        if scope["path"] != "/afterwards":
            await asyncio.sleep(0.01)
        await send(START)
        if scope["path"] == "/between":
            await asyncio.sleep(0.01)
        await send(BODY)
        message = await receive()
        message = await receive()
        afterwards.append((scope["path"], message["type"], before is asyncio.current_task()))

    server = serve_asgi(answering(answer))
    with httpx.Client(base_url=server.url) as client:
        for path in ("/before", "/between", "/afterwards"):
            assert client.get(path).text == "ok"
    assert afterwards == [(path, "http.disconnect", True) for path in ("/before", "/between", "/afterwards")]


def test_errors_before_between_and_after(serve_asgi: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["path"] == "/before":
            raise LookupError("before")
        await send(START)
        if scope["path"] == "/between":
            raise LookupError("between")
        await send(BODY)
        raise LookupError("after")

    server = serve_asgi(answering(answer))
    with httpx.Client(base_url=server.url) as client:
        found = [client.get(path).status_code for path in ("/before", "/between", "/after")]
    assert found == [500, 500, 200]
    # The last answer is there before the application fails.
    wait_until(lambda: sum(record.exc_info is not None for record in caplog.records) == 3)
    errors = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert [str(each) for each in errors] == ["before", "between", "after"]
    # The traceback leads into the application.
    assert all(each is not None and each.__traceback__ is not None for each in errors)


def test_send_and_receive_outlive_their_request_in_vain(
    serve_asgi: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    kept: list[Any] = []

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if kept:
            old_receive, old_send = kept.pop()
            assert await old_receive() == {"type": "http.disconnect"}
            await old_send(START)
            await old_send(BODY)
        else:
            kept.append((receive, send))
        await send(START)
        await send(BODY)

    server = serve_asgi(answering(answer))
    with httpx.Client(base_url=server.url) as client:
        assert [client.get("/").text for _ in range(4)] == ["ok"] * 4
    assert "after its response was complete" in caplog.text


def test_a_scope_is_its_requests_own(serve_asgi: Callable[..., Any]) -> None:
    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        for key in ("asgi", "extensions", "state"):
            assert "mine" not in scope[key]
            scope[key]["mine"] = True
        scope["headers"].append((b"mine", b"1"))
        scope["path"] = "/mine"
        await send(START)
        await send(BODY)

    server = serve_asgi(answering(answer))
    with httpx.Client(base_url=server.url) as client:
        assert [client.get("/").text for _ in range(3)] == ["ok"] * 3


@pytest.mark.skipif(not hasattr(sys, "getrefcount"), reason="needs reference counts")
def test_nothing_is_left_of_requests(serve_asgi: Callable[..., Any]) -> None:
    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["path"] == "/wait":
            await asyncio.sleep(0)
        await send(START)
        await send(BODY)
        if scope["path"] == "/error":
            raise asyncio.CancelledError

    server = serve_asgi(answering(answer))
    shared = (None, "path", 0, b"", START, BODY)

    def round_of_requests() -> None:
        with httpx.Client(base_url=server.url) as client:
            for path in ("/", "/wait", "/other") * 30:
                assert client.get(path).text == "ok"
        gc.collect()

    round_of_requests()
    objects, references = len(gc.get_objects()), [sys.getrefcount(each) for each in shared]
    for _ in range(3):
        round_of_requests()
    # Caches of the client's grow a little; a leak would be one per request at least.
    assert len(gc.get_objects()) - objects < 90
    assert all(sys.getrefcount(each) - before < 90 for each, before in zip(shared, references))


@pytest.mark.skipif(not capabilities.iterator_send, reason="there send belongs to an object of Python")
def test_what_send_belongs_to_cannot_be_changed(serve_asgi: Callable[..., Any]) -> None:
    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        own = send.__self__
        assert own is receive.__self__
        with pytest.raises(TypeError):
            type(own)()
        with pytest.raises(TypeError):
            object.__new__(type(own))
        with pytest.raises(TypeError):
            own.__class__ = type("Other", (), {})
        with pytest.raises(TypeError):
            type(own).__call__ = len
        with pytest.raises(AttributeError):
            own.phase = 3
        if scope["path"] == "/taken":
            # The object that goes on, which is one.
            assert own() is own()
        await send(START)
        await send(BODY)

    server = serve_asgi(answering(answer))
    with httpx.Client(base_url=server.url) as client:
        assert [client.get(path).text for path in ("/taken", "/", "/taken", "/")] == ["ok"] * 4
