"""The lifespan protocol: what an application says at its start and end."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from typing import Any, Callable

import httpx
import pytest

from socketify import ASGI
from socketify.interfaces import LifespanError

Step = Callable[[dict[str, Any], Any, Any], Any]


def application(lifespan: Step, scopes: Any = None) -> Any:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await lifespan(scope, receive, send)
            return
        if scopes is not None:
            scopes.append(scope)
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"served"})

    return app


def run(app: Any, **options: Any) -> str:
    """Serve one request; what it was answered with."""

    async def main() -> str:
        ports: list[int] = []
        server = ASGI(app, **options).listen(0, lambda config: ports.append(config.port))
        serving = asyncio.ensure_future(server.serve())
        async with httpx.AsyncClient() as client:
            get = asyncio.ensure_future(client.get(f"http://127.0.0.1:{ports[0]}/"))
            await asyncio.wait({get, serving}, return_when=asyncio.FIRST_COMPLETED)
            if not get.done():
                get.cancel()
                await serving
            text = (await get).text
        server.close()
        await serving
        return text

    return asyncio.run(asyncio.wait_for(main(), 20))


async def whole(scope: dict[str, Any], receive: Any, send: Any) -> None:
    assert (await receive()) == {"type": "lifespan.startup"}
    await send({"type": "lifespan.startup.complete"})
    assert (await receive()) == {"type": "lifespan.shutdown"}
    await send({"type": "lifespan.shutdown.complete"})


@pytest.mark.parametrize("mode", [True, "auto", "on"])
def test_start_and_end(mode: Any) -> None:
    events: list[str] = []
    scopes: list[dict[str, Any]] = []

    async def lifespan(scope: dict[str, Any], receive: Any, send: Any) -> None:
        assert scope == {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        await receive()
        await asyncio.sleep(0.05)
        scope["state"]["made"] = "here"
        events.append("started")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.sleep(0.05)
        events.append("stopped")
        await send({"type": "lifespan.shutdown.complete"})
        events.append("returned")

    assert run(application(lifespan, scopes), lifespan=mode) == "served"
    assert events == ["started", "stopped", "returned"]
    assert scopes[0]["state"] == {"made": "here"}


@pytest.mark.parametrize("mode", [False, "off"])
def test_off_does_not_ask(mode: Any) -> None:
    async def lifespan(scope: dict[str, Any], receive: Any, send: Any) -> None:
        raise AssertionError("asked")

    assert run(application(lifespan), lifespan=mode) == "served"


async def raises(scope: dict[str, Any], receive: Any, send: Any) -> None:
    raise ValueError("what is lifespan?")


async def raises_later(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await receive()
    raise ValueError("what is startup?")


async def returns(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Return at once."""


@pytest.mark.parametrize(("lifespan", "warnings"), [(raises, 0), (raises_later, 1), (returns, 0)])
def test_auto_serves_an_application_that_does_not_know_it(lifespan: Step, warnings: int, caplog: Any) -> None:
    with caplog.at_level(logging.INFO, "socketify"):
        assert run(application(lifespan)) == "served"
    assert len(caplog.records) == warnings


@pytest.mark.parametrize("lifespan", [raises, raises_later, returns])
def test_on_refuses_an_application_that_does_not_know_it(lifespan: Step) -> None:
    with pytest.raises(LifespanError, match="the application does not support lifespan"):
        run(application(lifespan), lifespan="on")


@pytest.mark.parametrize("mode", ["auto", "on"])
@pytest.mark.parametrize("raises_after", [True, False])
def test_failed_startup_stops_the_server_with_its_message(mode: str, raises_after: bool) -> None:
    async def lifespan(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})
        if raises_after:
            raise ValueError("as Starlette does")

    with pytest.raises(LifespanError, match="no database"):
        run(application(lifespan), lifespan=mode)


def test_run_without_blocking_raises_what_the_start_raised() -> None:
    async def lifespan(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed"})

    server = ASGI(application(lifespan)).listen(0)
    with pytest.raises(LifespanError, match="without a message"):
        server.run(block=False)


def test_failed_shutdown_is_logged(caplog: Any) -> None:
    async def lifespan(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.failed", "message": "cannot let go"})

    with caplog.at_level(logging.ERROR, "socketify"):
        assert run(application(lifespan)) == "served"
    assert "cannot let go" in caplog.text


@pytest.mark.parametrize("when", ["serving", "stopping"])
def test_errors_after_the_start_are_logged(caplog: Any, when: str) -> None:
    async def lifespan(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        if when == "stopping":
            await receive()
        raise ZeroDivisionError("on purpose")

    with caplog.at_level(logging.ERROR, "socketify"):
        assert run(application(lifespan)) == "served"
    assert "on purpose" in caplog.text


def test_wrong_messages_raise() -> None:
    errors: list[str] = []

    async def lifespan(scope: dict[str, Any], receive: Any, send: Any) -> None:
        for kind in ("lifespan.shutdown.complete", "http.response.start"):
            with pytest.raises(RuntimeError) as caught:
                await send({"type": kind})
            errors.append(str(caught.value))
        await whole(scope, receive, send)
        with pytest.raises(RuntimeError) as caught:
            await send({"type": "lifespan.shutdown.complete"})
        errors.append(str(caught.value))

    assert run(application(lifespan)) == "served"
    assert errors == [
        "expected the ASGI message 'lifespan.startup.complete' or 'lifespan.startup.failed', not 'lifespan.shutdown.complete'",
        "expected the ASGI message 'lifespan.startup.complete' or 'lifespan.startup.failed', not 'http.response.start'",
        "expected no message, not 'lifespan.shutdown.complete'",
    ]


def test_an_application_that_never_returns_is_cancelled(monkeypatch: Any) -> None:
    cancelled: list[bool] = []

    async def lifespan(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await whole(scope, receive, send)
        try:
            await receive()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    monkeypatch.setattr("socketify.asgi.lifespan._RETURN_TIMEOUT", 0.05)
    assert run(application(lifespan)) == "served"
    assert cancelled == [True]


def test_it_is_one_task_from_start_to_end() -> None:
    variable = contextvars.ContextVar("variable", default="")
    tasks: list[Any] = []

    async def lifespan(scope: dict[str, Any], receive: Any, send: Any) -> None:
        tasks.append(asyncio.current_task())
        variable.set("mine")
        await whole(scope, receive, send)
        tasks.append(asyncio.current_task())
        assert variable.get() == "mine"

    assert run(application(lifespan)) == "served"
    assert tasks[0] is tasks[1]
