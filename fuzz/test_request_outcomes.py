"""Whatever a handler does, in any order: its request ends soon, each failure is logged once, and the server goes on."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import threading
from collections.abc import Iterator
from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outcome_errors import ENDS, end_in
from servers import served
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

REQUEST = b"GET /%b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
TIMEOUT = 30

simple = st.one_of(
    st.tuples(st.just("write"), st.binary(max_size=20)),
    st.tuples(st.just("end"), st.binary(max_size=20)),
    st.tuples(st.just("try_end"), st.binary(max_size=20), st.integers(0, 25)),
    st.tuples(st.just("cork"), st.booleans()),
    st.tuples(st.just("fail"), st.sampled_from(sorted(ENDS))),
    st.tuples(st.just("wait")),
    st.tuples(st.just("cancel")),
    st.tuples(st.just("get_data")),
    st.tuples(st.just("on_aborted")),
    st.tuples(st.just("close")),
    st.tuples(st.just("hold")),
    st.tuples(st.just("on_data"), st.booleans()),
)
plans = st.recursive(
    st.lists(simple, max_size=5),
    lambda inner: st.lists(simple | st.tuples(st.just("child"), inner), max_size=5),
    max_leaves=8,
)


class Run:
    """One plan, and what came of it."""

    def __init__(self, plan: Any) -> None:
        self.plan = plan
        self.held: list[Any] = []
        #: What escaped from a handler or child that must be told.
        self.escaped = 0
        self.answered = False
        self.running = 0
        self.over = threading.Event()

    async def follow(self, res: Any, plan: Any, is_child: bool) -> None:
        self.running += 1
        try:
            for step in plan:
                await self.act(res, *step)
        except BaseException as error:
            # What its program cancelled itself is no failure of a child whose response has ended.
            cancels = ("cancel",) in plan or ("fail", "its own cancellation") in plan
            asked_for = is_child and isinstance(error, asyncio.CancelledError) and cancels
            if not (asked_for and res.has_responded()):
                self.escaped += 1
            raise
        finally:
            self.answered = self.answered or res.has_responded()
            self.running -= 1
            if not self.running:
                self.over.set()

    async def act(self, res: Any, kind: str, *arguments: Any) -> None:
        if kind in ("write", "end", "try_end", "close"):
            getattr(res, kind)(*arguments)
            self.answered = self.answered or res.has_responded()
        elif kind == "cork":
            res.cork(lambda res: res.write(b"a") and (res.end(b"b") if arguments[0] else None))
        elif kind == "fail":
            await end_in(arguments[0], False)
        elif kind == "wait":
            await asyncio.sleep(0)
        elif kind == "cancel":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        elif kind == "get_data":
            await res.get_data()
        elif kind == "on_aborted":
            res.on_aborted(lambda _: None)
        elif kind == "hold":
            self.held.append(res)
        elif kind == "on_data":
            res.on_data(self.end_with_data if arguments[0] else lambda _res, _chunk, _last: None)
        elif kind == "child":
            self.running += 1
            res.run_async(self.child(res, arguments[0]))

    def end_with_data(self, res: Any, _chunk: bytes, _last: bool) -> None:
        try:
            res.end(b"data")
        except BaseException:
            # Of a body that was begun with another size, for example.
            self.escaped += 1
            raise

    async def child(self, res: Any, plan: Any) -> None:
        self.running -= 1
        await self.follow(res, plan, True)


class Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        assert record.exc_info is not None
        self.found.append(repr(record.exc_info[1]))


@pytest.fixture(scope="module")
def setup() -> Iterator[tuple[Any, list[Run], Errors]]:
    runs: list[Run] = []
    errors = Errors()
    logger = logging.getLogger("socketify")
    logger.addHandler(errors)

    async def handler(res: Any, _req: Any) -> None:
        await runs[-1].follow(res, runs[-1].plan, False)

    def let_go(res: Any, _req: Any) -> None:
        runs[-1].held.clear()
        gc.collect()
        res.end("let go")

    def build(app: Any) -> None:
        app.any("/", handler).get("/let-go", let_go)

    with served(build) as server:
        yield server, runs, errors
    logger.removeHandler(errors)


def ask(server: Any, target: bytes, then: Optional[Any] = None) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(TIMEOUT)
        connection.sendall(REQUEST % target)
        if then is not None:
            then()
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
        return answer


@given(plan=plans)
def test_every_request_ends(setup: Any, plan: Any) -> None:
    server, runs, errors = setup
    run = Run(plan)
    runs.append(run)
    errors.found.clear()

    def release() -> None:
        assert run.over.wait(TIMEOUT)
        assert ask(server, b"let-go").endswith(b"let go")

    answer = ask(server, b"", release)
    assert ask(server, b"let-go").endswith(b"let go")
    expected = run.escaped + (not run.answered and not run.escaped)
    assert len(errors.found) == expected, (errors.found, answer)
    if not run.answered:
        assert not answer or answer.startswith(b"HTTP/1.1 500 ") or not answer.endswith(b"\r\n0\r\n\r\n")


socket_steps = st.one_of(
    st.tuples(st.just("send")),
    st.tuples(st.just("wait")),
    st.tuples(st.just("cancel")),
    st.tuples(st.just("fail"), st.sampled_from(sorted(ENDS))),
    st.tuples(st.just("subscribe")),
    st.tuples(st.just("end")),
    st.tuples(st.just("close")),
)


class SocketRun:
    """What each event of a websocket does, and what came of it."""

    def __init__(self, plan: Any) -> None:
        self.plan = plan
        self.escaped = 0
        self.messages = 0
        self.over = threading.Event()

    async def follow(self, ws: Any, steps: Any) -> None:
        try:
            for kind, *arguments in steps:
                if kind == "send":
                    ws.send("x")
                elif kind == "wait":
                    await asyncio.sleep(0)
                elif kind == "cancel":
                    task = asyncio.current_task()
                    assert task is not None
                    task.cancel()
                elif kind == "fail":
                    await end_in(arguments[0], False)
                elif kind == "subscribe":
                    ws.subscribe("topic")
                    ws.unsubscribe("topic")
                elif kind == "end":
                    ws.end(1000)
                else:
                    ws.close()
        except BaseException:
            self.escaped += 1
            raise


@pytest.fixture(scope="module")
def socket_setup() -> Iterator[tuple[Any, list[SocketRun], Errors]]:
    runs: list[SocketRun] = []
    errors = Errors()
    logger = logging.getLogger("socketify")
    logger.addHandler(errors)

    async def upgrade(res: Any, req: Any, context: Any) -> None:
        key = req.get_header("sec-websocket-key")
        await runs[-1].follow(res, runs[-1].plan["upgrade"])
        res.upgrade(key, None, None, context, runs[-1])

    async def opened(ws: Any) -> None:
        await ws.get_user_data().follow(ws, ws.get_user_data().plan["open"])

    async def message(ws: Any, text: str, _opcode: Any) -> None:
        ws.get_user_data().messages += 1
        if text == "last":
            ws.end(1000)
        await ws.get_user_data().follow(ws, ws.get_user_data().plan["message"])

    async def subscription(ws: Any, _topic: str, _count: int, _before: int) -> None:
        await ws.get_user_data().follow(ws, ws.get_user_data().plan["subscription"])

    async def closed(ws: Any, _code: int, _reason: str) -> None:
        run = ws.get_user_data()
        try:
            await run.follow(ws, run.plan["close"])
        finally:
            asyncio.get_running_loop().call_later(0.01, run.over.set)

    handlers = {"upgrade": upgrade, "open": opened, "message": message, "subscription": subscription, "close": closed}
    with served(lambda app: app.ws("/", handlers)) as server:
        yield server, runs, errors
    logger.removeHandler(errors)


waits_or_fails = st.lists(
    st.one_of(st.tuples(st.just("wait")), st.tuples(st.just("fail"), st.sampled_from(sorted(ENDS)))), max_size=2
)


@given(
    plan=st.fixed_dictionaries(
        {
            "upgrade": waits_or_fails,
            "open": st.lists(socket_steps, max_size=4),
            "message": st.lists(socket_steps, max_size=4),
            "subscription": waits_or_fails,
            "close": st.lists(socket_steps, max_size=3),
        }
    )
)
def test_every_websocket_ends(socket_setup: Any, plan: Any) -> None:
    server, runs, errors = socket_setup
    run = SocketRun(plan)
    runs.append(run)
    errors.found.clear()
    try:
        with connect(server.ws_url, open_timeout=TIMEOUT, close_timeout=TIMEOUT) as client:
            for text in ("first", "second", "last"):
                client.send(text)
            while True:
                client.recv(timeout=TIMEOUT)
    except (ConnectionClosed, InvalidStatus) as end:
        refused = isinstance(end, InvalidStatus)
    assert refused == any(step[0] == "fail" for step in plan["upgrade"])
    assert refused or run.over.wait(TIMEOUT)
    assert len(errors.found) == run.escaped, errors.found
