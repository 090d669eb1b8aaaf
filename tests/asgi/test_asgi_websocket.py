"""Websockets over ASGI: messages and backpressure. The applications are bare functions."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any, Callable

import httpx
import pytest
from asgi_websocket_apps import ACCEPT, Result, echo, raw
from late_event import LateEvent
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from socketify import CompressOptions


@pytest.mark.parametrize("message", ["", "text é", b"", b"\x00\xff", "x" * 300_000, b"y" * 3_000_000])
@pytest.mark.parametrize("compress", [True, False])
def test_echo(serve_asgi: Callable[..., Any], message: Any, compress: bool) -> None:
    options = {"compression": CompressOptions.SHARED_COMPRESSOR} if compress else None
    server = serve_asgi(raw(echo), lifespan=False, websocket_options=options)
    with connect(server.websocket_url, max_size=None) as ws:
        ws.send(message)
        assert ws.recv() == message
        assert bool(ws.protocol.extensions) == compress


def test_order_both_ways(serve_asgi: Callable[..., Any]) -> None:
    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await asyncio.gather(*(send({"type": "websocket.send", "text": f"first {n}"}) for n in range(100)))
        await asyncio.sleep(0.1)
        for _ in range(500):
            await send({**await receive(), "type": "websocket.send"})

    with connect(serve_asgi(raw(handle), lifespan=False).websocket_url) as ws:
        for n in range(500):
            ws.send(f"{n}")
        assert [ws.recv() for _ in range(600)] == [f"first {n}" for n in range(100)] + [f"{n}" for n in range(500)]


@pytest.mark.parametrize("buffer", [bytearray(b"abc"), memoryview(b"abc")])
def test_other_buffers_are_taken(serve_asgi: Callable[..., Any], buffer: Any) -> None:
    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send(ACCEPT)
        await send({"type": "websocket.send", "bytes": buffer, "text": None})

    with connect(serve_asgi(raw(handle), lifespan=False).websocket_url) as ws:
        assert ws.recv() == b"abc"


def test_too_large_messages_close_with_1009(serve_asgi: Callable[..., Any]) -> None:
    result = Result()

    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        result.tell(await receive())

    server = serve_asgi(raw(handle), lifespan=False, websocket_options={"max_payload_length": 10})
    with connect(server.websocket_url) as ws:
        ws.send("x" * 11)
        with pytest.raises(ConnectionClosed):
            ws.recv()
        assert ws.close_code == 1009
    assert (result.get()["type"], result.get()["code"]) == ("websocket.disconnect", 1009)


@pytest.mark.parametrize("senders", [1, 5])
def test_send_waits_for_a_slow_client(serve_asgi: Callable[..., Any], senders: int) -> None:
    sent: list[int] = []

    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)

        async def one() -> None:
            for number in range(300 // senders):
                await send({"type": "websocket.send", "bytes": bytes(100_000)})
                sent.append(number)

        await asyncio.gather(*(one() for _ in range(senders)))
        await send({"type": "websocket.send", "text": "end"})
        await receive()

    server = serve_asgi(raw(handle), lifespan=False)
    with connect(server.websocket_url, max_size=None, max_queue=1) as ws:
        time.sleep(0.4)
        before = len(sent)
        time.sleep(0.3)
        assert len(sent) == before < 200
        received = 0
        while (message := ws.recv()) != "end":
            assert len(message) == 100_000
            received += 1
    assert received == 300


def test_a_sender_that_is_cancelled_lets_the_next_go_on(serve_asgi: Callable[..., Any]) -> None:
    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        data = {"type": "websocket.send", "bytes": bytes(1_000_000)}
        tasks = [asyncio.ensure_future(send(data)) for _ in range(40)]
        await asyncio.sleep(0.2)
        for task in tasks[10:20]:
            task.cancel()
        await send({"type": "websocket.send", "text": "end"})
        await asyncio.gather(*tasks, return_exceptions=True)
        await receive()

    server = serve_asgi(raw(handle), lifespan=False)
    with connect(server.websocket_url, max_size=None, max_queue=1) as ws:
        time.sleep(0.4)
        received = 0
        while ws.recv() != "end":
            received += 1
    assert 28 <= received <= 40


def test_messages_that_nobody_receives_wait_in_the_kernel(serve_asgi: Callable[..., Any]) -> None:
    go = Result()
    loops: list[asyncio.AbstractEventLoop] = []
    proceed = LateEvent()

    async def handle(scope: dict[str, Any], receive: Any, send: Any) -> None:
        loops.append(asyncio.get_running_loop())
        await receive()
        await send(ACCEPT)
        await proceed.wait()
        count = 0
        while (await receive())["type"] == "websocket.receive":
            count += 1
        go.tell(count)

    server = serve_asgi(raw(handle), lifespan=False)
    with connect(server.websocket_url) as ws:
        done: list[int] = []

        def send_all() -> None:
            for number in range(3000):
                ws.send(bytes(10_000))
                done.append(number)

        sender = threading.Thread(target=send_all)
        sender.start()
        time.sleep(0.5)
        assert len(done) < 2500
        loops[0].call_soon_threadsafe(proceed.set)
        sender.join(20)
    assert go.get() == 3000


def test_many_connections_come_and_go(serve_asgi: Callable[..., Any]) -> None:
    """What the server knows of a websocket goes with it."""
    import gc  # noqa: PLC0415

    from socketify.asgi.exchange import ASGIExchange  # noqa: PLC0415
    from socketify.asgi.websocket import ASGIWebSocket  # noqa: PLC0415

    def there() -> list[Any]:
        gc.collect()
        # isinstance() would ask what weak references of others stand for, which may be gone.
        return [each for each in gc.get_objects() if issubclass(type(each), (ASGIExchange, ASGIWebSocket))]

    # What other tests left belongs to their servers.
    others = {id(each): each for each in there()}
    server = serve_asgi(raw(echo), lifespan=False)
    for number in range(30):
        with connect(server.websocket_url) as ws:
            ws.send("x")
            assert ws.recv() == "x"
            if number % 2:
                ws.socket.shutdown(2)
        assert httpx.get(server.url).text == "http"
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        left = [each for each in there() if id(each) not in others]
        if not left:
            break
        time.sleep(0.05)
    assert not left
    assert not server.server.native_app.core.live
