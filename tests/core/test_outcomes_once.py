"""One failure is told once, a bug is never taken for a client's leaving, and nobody's response ends at once."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any, Callable

import pytest
from capabilities import counts_references
from outcome_errors import failures
from wsgi_server import served

from socketify import SSGI, WSGI, App, Limits, Request, Response

GET = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
GOOD = GET.replace(b"/ ", b"/good ")
STATUS_500 = b"HTTP/1.1 500 "
PART = b"part"
LIMITS = Limits(response_timeout=1, max_concurrent_requests=1)


@pytest.fixture
def late() -> threading.Event:
    """Set when a handler is about to raise after its request failed."""
    return threading.Event()


def once(ask: Callable[[bytes], bytes], caplog: Any, late: threading.Event) -> None:
    assert ask(GET).startswith(STATUS_500)
    assert late.wait(10)
    assert ask(GOOD).endswith(b"good")
    assert failures(caplog) == ["TimeoutError"]


# ---- told once


class Names(logging.Handler):
    """Keeps the names of errors, and so nothing alive that they refer to."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info is not None and record.exc_info[1] is not None:
            self.names.append(type(record.exc_info[1]).__name__)


def test_an_error_whose_answer_fails_as_well(serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    logger, log = logging.getLogger("socketify"), Names()
    monkeypatch.setattr(logger, "handlers", [log])
    monkeypatch.setattr(logger, "propagate", False)

    def refuse(_written: list[bytes]) -> list[bytes]:
        raise LookupError

    def handler(res: Response, _req: Request) -> None:
        for _ in range(2):
            res.exchange_.before_sending(refuse)
        res.end()

    server = serve(lambda app: app.get("/", handler).get("/good", lambda res, _req: res.end("good")))
    assert server.exchange(GET).startswith(STATUS_500)
    assert server.exchange(GOOD).endswith(b"good")
    assert log.names == ["LookupError", "LookupError"], "what ended was not dropped"


@pytest.mark.parametrize("handled", [False, True], ids=["logged", "told the error handler"])
@pytest.mark.parametrize("kind", ["handler", "task"])
def test_a_handler_that_raises_after_its_time_out(
    serve: Callable[..., Any], caplog: Any, late: threading.Event, kind: str, handled: bool
) -> None:
    told: list[str] = []

    async def handler(res: Response, _req: Request) -> None:
        left = asyncio.Event()
        res.on_aborted(lambda _: left.set())
        await left.wait()
        late.set()
        raise LookupError

    def build(app: App) -> None:
        app.get("/", handler if kind == "handler" else lambda res, req: (res.run_async(handler(res, req)), None)[1])
        app.get("/good", lambda res, _req: res.end("good"))
        if handled:

            @app.on_error
            def answers(error: BaseException, res: Any, _req: Any) -> None:
                told.append(type(error).__name__)
                res.write_status(500).end("told")

    server = serve(build, limits=LIMITS)
    if not handled:
        once(server.exchange, caplog, late)
        return
    assert server.exchange(GET).endswith(b"told")
    assert late.wait(10)
    assert server.exchange(GOOD).endswith(b"good")
    assert (told, failures(caplog)) == (["TimeoutError"], [])


def test_a_pair_that_failed_tells_again_when_it_serves_another_request(serve: Callable[..., Any], caplog: Any) -> None:
    async def waits(res: Response, _req: Request) -> None:
        left = asyncio.Event()
        res.on_aborted(lambda _: left.set())
        await left.wait()

    async def fails(_res: Response, _req: Request) -> None:
        await asyncio.sleep(0)
        raise LookupError

    def build(app: App) -> None:
        app.get("/waits", waits).get("/", fails)

    server = serve(build, limits=LIMITS, request_response_factory_max_items=1)
    assert server.exchange(GET.replace(b"/ ", b"/waits ")).startswith(STATUS_500)
    time.sleep(0.05)
    for _ in range(70):
        assert server.exchange(GET).startswith(STATUS_500)
    assert failures(caplog) == ["TimeoutError"] + ["LookupError"] * 70


def test_an_asgi_application_that_raises_after_its_time_out(
    serve_asgi: Callable[..., Any], caplog: Any, late: threading.Event
) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/good":
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"good"})
            return
        while (await receive())["type"] != "http.disconnect":
            pass
        late.set()
        raise LookupError

    once(serve_asgi(application, lifespan="off", limits=LIMITS).exchange, caplog, late)


def test_an_ssgi_application_that_raises_after_its_time_out(caplog: Any, late: threading.Event) -> None:
    async def application(*arguments: Any) -> None:
        res, path = arguments[-1], arguments[4]
        if path == "/good":
            res.send("good")
            return
        left = asyncio.Event()
        res.on_aborted(left.set)
        await left.wait()
        late.set()
        raise LookupError

    with served(application, SSGI, limits=LIMITS) as server:
        once(server.raw, caplog, late)


def test_a_wsgi_application_that_raises_after_its_time_out(caplog: Any, late: threading.Event) -> None:
    def application(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/good":
            start_response("200 OK", [])
            return [b"good"]
        time.sleep(2.5)
        late.set()
        raise LookupError

    with served(application, WSGI, limits=LIMITS, threads=2) as server:
        once(server.raw, caplog, late)


# ---- a bug is no leaving


async def translates(send: Any) -> None:
    try:
        await stream(send)
    except OSError as error:
        raise LookupError from error


async def has_a_bug(send: Any) -> None:
    try:
        await stream(send)
    except OSError:
        raise LookupError  # noqa: B904 - as bugs do


async def stream(send: Any) -> None:
    while True:
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await asyncio.sleep(0.005)


@pytest.mark.parametrize(("ends", "logged"), [(stream, []), (translates, []), (has_a_bug, ["LookupError"])])
def test_a_bug_behind_the_clients_leaving_is_logged(
    serve_asgi: Callable[..., Any], caplog: Any, late: threading.Event, ends: Any, logged: list[str]
) -> None:
    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        try:
            await ends(send)
        finally:
            late.set()

    server = serve_asgi(application, lifespan="off")
    with server.connect() as connection:
        connection.sendall(GET)
        connection.recv(100)
    assert late.wait(10)
    server.server.close()
    assert failures(caplog) == logged


# ---- nobody holds it


@counts_references
@pytest.mark.parametrize("reads", [False, True])
@pytest.mark.parametrize("begun", [False, True])
def test_who_only_hears_of_the_clients_leaving_holds_no_response(
    serve: Callable[..., Any], caplog: Any, begun: bool, reads: bool
) -> None:
    def forgets(res: Response, _req: Request) -> None:
        res.on_aborted(lambda _: None)
        if begun:
            res.write(PART)
        if reads:
            res.on_data(lambda _res, _chunk, _last: None)

    server = serve(lambda app: app.any("/", forgets).get("/good", lambda res, _req: res.end("good")))
    began = time.monotonic()
    answer = server.exchange(GET)
    assert time.monotonic() - began < 5
    assert (PART in answer and not answer.endswith(b"0\r\n\r\n")) if begun else answer.startswith(STATUS_500)
    assert server.exchange(GOOD).endswith(b"good")
    assert failures(caplog) == ["RuntimeError"]


@pytest.mark.parametrize("by", ["timer", "task", "thread"])
def test_who_answers_later_holds_it(serve: Callable[..., Any], caplog: Any, by: str) -> None:
    async def answers(res: Response) -> None:
        await asyncio.sleep(0.05)
        res.end("later")

    def handler(res: Response, _req: Request) -> None:
        res.on_aborted(lambda _: None)
        loop = asyncio.get_running_loop()
        if by == "timer":
            loop.call_later(0.05, res.end, "later")
        elif by == "task":
            tasks.append(loop.create_task(answers(res)))
        else:
            threading.Timer(0.05, res.end, ["later"]).start()

    tasks: list[asyncio.Task[None]] = []
    server = serve(lambda app: app.get("/", handler))
    with caplog.at_level(logging.WARNING):
        assert server.exchange(GET).endswith(b"later")
    assert not caplog.records
