"""A body never has a hole: where a piece of it cannot be taken the request fails. Callbacks that fail do so, too."""

from __future__ import annotations

import asyncio
import ctypes
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any, Callable

import pytest
from capabilities import tells_of_ignored_exceptions
from outcome_errors import ENDS, end_in, failures
from wsgi_server import served

import socketify.core.live
import socketify.native.collected_bytes
from socketify import ASGI, SSGI, Request, Response
from socketify.core.live import NativeEvents

SIZE = 3_000_000
HEAD = f"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {SIZE}\r\n\r\n".encode()
GOOD = b"GET /good HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
#: What coroutines can end in, and what a callback that is none can.
BY_COROUTINES = ("what another task cancelled", "its own cancellation")
every_callback = pytest.mark.parametrize(
    ("name", "asynchronous"),
    [(name, True) for name in ENDS] + [(name, False) for name in ENDS if name not in BY_COROUTINES],
)


def raise_it(name: str) -> None:
    coroutine: Any = ENDS[name][0]()
    coroutine.send(None)


def upload(connect: Callable[[], Any]) -> bytes:
    """Send the body in pieces, whatever the server does, and read the answer."""
    answer = b""
    with connect() as connection:
        connection.sendall(HEAD)
        try:
            for _ in range(SIZE // 50_000):
                connection.sendall(b"x" * 50_000)
                time.sleep(0.0005)
            while piece := connection.recv(65536):
                answer += piece
        except (BrokenPipeError, ConnectionResetError):
            pass
    return answer


@pytest.fixture
def no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copying a later piece of a body fails, once."""
    lock = threading.Lock()
    taken = [0]

    def string_at(address: int, size: int = -1) -> bytes:
        with lock:
            taken[0] += size if size > 1000 else 0
            if taken[0] > 500_000:
                taken[0] = -(2**62)
                raise MemoryError
        return ctypes.string_at(address, size)

    names = SimpleNamespace(string_at=string_at)
    monkeypatch.setattr(socketify.core.live, "ctypes", names)
    # Not even for what a client declares: then pieces are kept as they are.
    monkeypatch.setattr(socketify.native.collected_bytes, "ctypes", names)
    monkeypatch.setattr(socketify.native.collected_bytes, "_new_bytes", None)


async def native_data(res: Response, _req: Request) -> None:
    # Not before some of it waits.
    await asyncio.sleep(0.01)
    data = await res.get_data()
    if not res.aborted:
        res.end(str(len(data.getvalue())))


def native_callback(res: Response, _req: Request) -> None:
    sizes: list[int] = []

    def take(res: Response, chunk: bytes, last: bool) -> None:
        sizes.append(len(chunk))
        if last:
            res.end(str(sum(sizes)))

    res.on_data(take)


async def ssgi_app(_type: str, *arguments: Any) -> None:
    res, size = arguments[-1], 0
    if arguments[3] == "/good":
        res.send(b"good")
        return
    while (chunk := await res.get_chunk()) is not None:
        size += len(chunk)
    if not res.aborted:
        res.send(str(size))


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    size, more = 0, scope["path"] != "/good"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    body = b"good" if scope["path"] == "/good" else str(size).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def wsgi_app(environ: Any, start_response: Any) -> list[bytes]:
    size = len(environ["wsgi.input"].read())
    start_response("200 OK", [])
    return [b"good" if environ["PATH_INFO"] == "/good" else str(size).encode()]


@pytest.mark.usefixtures("no_memory")
@pytest.mark.parametrize("handler", [native_data, native_callback])
def test_native_handlers(serve: Callable[..., Any], caplog: Any, handler: Any) -> None:
    server = serve(lambda app: app.post("/", handler).get("/good", lambda res, _req: res.end("good")))
    answer = upload(server.connect)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 500 ")
    assert server.exchange(GOOD).endswith(b"good")
    assert failures(caplog) == ["MemoryError"]
    assert upload(server.connect).endswith(str(SIZE).encode())


@pytest.mark.usefixtures("no_memory")
@pytest.mark.parametrize(
    ("interface", "application", "options"),
    [
        (ASGI, asgi_app, {"lifespan": "off"}),
        (SSGI, ssgi_app, {}),
        (None, wsgi_app, {"threads": 1}),
        (None, wsgi_app, {"threads": 4}),
    ],
)
def test_interfaces(caplog: Any, interface: Any, application: Any, options: Any) -> None:
    given = {} if interface is None else {"interface": interface}
    with served(application, **given, **options) as server:
        answer = upload(server.connect)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 500 ")
        assert server.raw(GOOD).endswith(b"good")
        assert failures(caplog) == ["MemoryError"]
        assert upload(server.connect).endswith(str(SIZE).encode())


@tells_of_ignored_exceptions
def test_a_callback_that_cannot_even_be_entered_cuts_the_connection(
    serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ctypes prints and ignores comes to the native side as nothing taken."""

    ignored: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: ignored.append(unraisable.exc_type))

    def fails(*_arguments: Any) -> int:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(NativeEvents, "on_body", fails)
        server = serve(lambda app: app.post("/", native_callback).get("/good", lambda res, _req: res.end("good")))
    assert upload(server.connect) == b""
    assert server.exchange(GOOD).endswith(b"good")
    assert MemoryError in ignored


@pytest.mark.parametrize("begun", [False, True])
@every_callback
def test_on_data(serve: Callable[..., Any], caplog: Any, name: str, begun: bool, asynchronous: bool) -> None:
    calls: list[int] = []

    async def take(_res: Response, chunk: bytes, _last: bool) -> None:
        calls.append(len(chunk))
        if len(calls) == 1:
            await end_in(name, True)

    def take_at_once(_res: Response, chunk: bytes, _last: bool) -> None:
        calls.append(len(chunk))
        raise_it(name)

    def handler(res: Response, _req: Request) -> None:
        if begun:
            res.write(b"part")
        res.on_data(take if asynchronous else take_at_once)

    server = serve(lambda app: app.post("/", handler).get("/good", lambda res, _req: res.end("good")))
    answer = upload(server.connect)
    if begun:
        assert not answer.endswith(b"0\r\n\r\n")
    else:
        assert answer == b"" or answer.startswith(b"HTTP/1.1 500 ")
    assert server.exchange(GOOD).endswith(b"good")
    assert failures(caplog) == [ENDS[name][1]]
    assert asynchronous or len(calls) == 1


@every_callback
def test_on_writable(serve: Callable[..., Any], caplog: Any, name: str, asynchronous: bool) -> None:

    async def later(_res: Response, _offset: int) -> None:
        await end_in(name, True)

    def handler(res: Response, _req: Request) -> None:
        res.on_writable(later if asynchronous else lambda _res, _offset: raise_it(name))
        res.write(b"x" * 10_000_000)

    server = serve(lambda app: app.get("/", handler).get("/good", lambda res, _req: res.end("good")))
    answer = server.exchange(GOOD.replace(b"/good", b"/"))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert not answer.endswith(b"0\r\n\r\n")
    assert server.exchange(GOOD).endswith(b"good")
    assert failures(caplog) == [ENDS[name][1]]
