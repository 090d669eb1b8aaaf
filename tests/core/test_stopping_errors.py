"""An app whose stop is hurried, or goes wrong: everything is released all the same, and the error is told."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
import time
import warnings
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from server_programs import GET

from socketify import App, AppListenOptions, Request, Response

LOCAL = AppListenOptions(port=0, host="127.0.0.1")


@pytest.fixture
def no_warning() -> Iterator[None]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(each.message) for each in caught] == []


def free(port: int) -> bool:
    with socket.socket() as mine:
        # What was closed may be remembered by the system; who listens still is in the way.
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        mine.bind(("127.0.0.1", port))
    return True


# ---- asked for twice in one turn


def close_twice(app: App) -> None:
    app.close().close()


def seconds_of_stop(build: Callable[[App], Any]) -> float:
    """Serve until a request, which closes the app, is answered; gives the time from then to the end."""
    app = App(shutdown_timeout=20)
    build(app)
    ports: list[int] = []
    app.listen(LOCAL, lambda config: ports.append(config.port))
    began: list[float] = []

    async def main() -> None:
        serving = asyncio.ensure_future(app.serve())
        reader, writer = await asyncio.open_connection("127.0.0.1", ports[0])
        writer.write(GET)
        began.append(time.monotonic())
        await reader.read(1)
        await serving
        writer.close()

    asyncio.run(main())
    return time.monotonic() - began[0]


def test_a_request_in_flight_is_not_waited_for_when_close_is_called_twice_at_once() -> None:
    def build(app: App) -> None:
        async def forever(_res: Response, _req: Request) -> None:
            close_twice(app)
            await asyncio.Event().wait()

        app.get("/", forever)

    assert seconds_of_stop(build) < 5


@pytest.mark.parametrize("kind", ["handler", "task"])
def test_what_follows_an_answer_is_not_waited_for_either(kind: str) -> None:
    ended: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    def build(app: App) -> None:
        async def handler(res: Response, _req: Request) -> None:
            close_twice(app)
            res.end("answered", end_connection=True)
            if kind == "handler":
                await forever()
            else:
                app.run_async(forever())

        app.get("/", handler)

    assert seconds_of_stop(build) < 5
    assert ended == ["cancelled"]


def test_shutdown_handlers_are_not_interrupted_by_it() -> None:
    ended: list[str] = []

    def build(app: App) -> None:
        @app.on_shutdown
        async def stop() -> None:
            close_twice(app)
            await asyncio.sleep(0.05)
            ended.append("stopped")

        def handler(res: Response, _req: Request) -> None:
            close_twice(app)
            res.end("answered")

        app.get("/", handler)

    assert seconds_of_stop(build) < 5
    assert ended == ["stopped"]


# ---- handlers that raise


def serve_to_the_end(app: App, served_by: str) -> None:
    if served_by == "run":
        app.run(asyncio.new_event_loop)
    else:
        asyncio.run(app.serve())


class Stopped(BaseException):
    """Neither an error nor known to anybody."""


@pytest.mark.parametrize("error", [LookupError("mine"), asyncio.CancelledError(), Stopped("mine"), SystemExit(3)])
@pytest.mark.parametrize("waits", [False, True], ids=["at once", "after a wait"])
@pytest.mark.parametrize("served_by", ["run", "serve"])
@pytest.mark.parametrize("event", ["start", "shutdown"])
@pytest.mark.usefixtures("no_warning")
def test_everything_is_released_when_a_handler_raises(
    event: str, served_by: str, waits: bool, error: BaseException, caplog: Any
) -> None:
    calls: list[str] = []
    ports: list[int] = []
    app = App(shutdown_timeout=1)

    async def raises_later() -> None:
        await asyncio.sleep(0)
        raise error

    def raises() -> Any:
        if waits:
            return raises_later()
        raise error

    if event == "start":
        app.on_start(raises)
        app.on_start(lambda: calls.append("started"))
    else:
        app.on_start(lambda: (app.close(), None)[1])
        app.on_shutdown(raises)

    @app.on_shutdown
    async def last() -> None:
        await asyncio.sleep(0)
        calls.append("stopped")

    app.listen(LOCAL, lambda config: ports.append(config.port))
    with pytest.raises(type(error)) as raised:
        serve_to_the_end(app, served_by)
    assert raised.value.args == error.args
    assert calls == ["stopped"]
    assert app.get_native_handle() == 0
    assert free(ports[0])
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []
    with pytest.raises(RuntimeError, match="closed"):
        app.listen(LOCAL)


@pytest.mark.usefixtures("no_warning")
def test_of_several_errors_the_first_is_raised_and_the_others_are_logged(caplog: Any) -> None:
    app = App()
    ports: list[int] = []

    def fail(number: int) -> None:
        raise LookupError(number)

    app.on_start(lambda: fail(1))
    app.on_shutdown(lambda: fail(2))
    app.on_shutdown(lambda: fail(3))
    app.listen(LOCAL, lambda config: ports.append(config.port))
    with pytest.raises(LookupError, match="1"):
        app.run(asyncio.new_event_loop)
    logged = [each.exc_info[1].args for each in caplog.records if each.exc_info]
    assert logged == [(2,), (3,)]
    assert free(ports[0])


@pytest.mark.usefixtures("no_warning")
def test_connections_are_cut_when_draining_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """What may raise there is the question of whether others serve in place of this process."""
    app = App()
    ports: list[int] = []
    calls: list[str] = []
    app.get("/", lambda res, _req: res.end("served"))
    app.on_shutdown(lambda: calls.append("stopped"))
    app.listen(LOCAL, lambda config: ports.append(config.port))

    def fails() -> bool:
        raise LookupError

    monkeypatch.setattr("socketify.core.lifecycle.is_replaced", fails)
    kept: list[socket.socket] = []

    def connects() -> None:
        kept.append(socket.create_connection(("127.0.0.1", ports[0]), 10))
        app.close()

    app.on_start(connects)
    with pytest.raises(LookupError):
        app.run(asyncio.new_event_loop)
    with contextlib.suppress(ConnectionResetError):
        assert kept[0].recv(1) == b""
    kept[0].close()
    assert calls == ["stopped"]
    assert app.get_native_handle() == 0
    assert free(ports[0])


@pytest.mark.usefixtures("no_warning")
def test_serving_that_is_cancelled_twice_releases_everything() -> None:
    ports: list[int] = []
    calls: list[str] = []
    app = App()

    async def main() -> None:
        started, stopping = asyncio.Event(), asyncio.Event()
        app.on_start(started.set)

        @app.on_shutdown
        async def stop() -> None:
            stopping.set()
            await asyncio.Event().wait()

        app.on_shutdown(lambda: calls.append("stopped"))
        app.listen(LOCAL, lambda config: ports.append(config.port))
        serving = asyncio.ensure_future(app.serve())
        await started.wait()
        serving.cancel()
        await stopping.wait()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving

    asyncio.run(main())
    assert calls == ["stopped"]
    assert app.get_native_handle() == 0
    assert free(ports[0])


def test_a_stop_that_is_cancelled_stops_all_services() -> None:
    class Service:
        def __init__(self) -> None:
            self.calls: list[str] = []

        async def start(self) -> None:
            self.calls.append("start")

        async def stop(self, _seconds: float) -> None:
            self.calls.append("stop")
            await asyncio.sleep(0.5)
            self.calls.append("end")

    async def main() -> None:
        app = App()
        services = app.lifecycle.services = [Service(), Service()]
        serving = asyncio.ensure_future(app.serve())
        while services[1].calls != ["start"]:  # noqa: ASYNC110
            await asyncio.sleep(0)
        serving.cancel()
        while services[0].calls != ["start", "stop"]:  # noqa: ASYNC110
            await asyncio.sleep(0)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert [each.calls for each in services] == [["start", "stop"], ["start", "stop", "end"]]

    asyncio.run(main())
