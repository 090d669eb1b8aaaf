"""Methods of responses, websockets and apps that another thread than the app's calls."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Callable

import httpx
import pytest
from websockets.asyncio.client import connect

from socketify import App, OpCode, Request, Response, SendStatus


def in_thread(work: Callable[..., Any], *arguments: Any) -> None:
    """Call in a thread, and wait for it: the loop cannot do anything meanwhile."""
    thread = threading.Thread(target=work, args=arguments)
    thread.start()
    thread.join()


ENDINGS: dict[str, tuple[Callable[[Response], Any], int, str]] = {
    "end": (lambda res: res.end("text"), 200, "text"),
    "end bytes": (lambda res: res.end(bytearray(b"bytes")), 200, "bytes"),
    "end json": (lambda res: res.end({"a": 1}), 200, '{"a": 1}'),
    "end by name": (lambda res: res.end(message="text", end_connection=True), 200, "text"),
    "cork_end": (lambda res: res.cork_end("text"), 200, "text"),
    "head": (lambda res: res.write_status(201).write_header("X-Name", "value").end("text"), 201, "text"),
    "send": (lambda res: res.send("text", status=202, headers=iter([("X-Name", "value")])), 202, "text"),
    "send after head": (lambda res: res.write_header("X-Name", "value").send(b"text"), 200, "text"),
    "cork_send": (lambda res: res.cork_send({"a": 1}), 200, '{"a": 1}'),
    "write": (lambda res: res.write("a").write(b"b").write("c").end("d"), 200, "abcd"),
    "cork": (lambda res: res.cork(lambda res: res.write("a").end("b")), 200, "ab"),
    "redirect": (lambda res: res.redirect("/elsewhere"), 302, ""),
    "end_without_body": (lambda res: res.end_without_body(), 200, ""),
    "pause": (lambda res: res.pause().resume().write_continue().end("text"), 200, "text"),
}


@pytest.mark.parametrize("name", ENDINGS)
@pytest.mark.parametrize("waits", [False, True])
def test_a_response_is_sent_by_another_thread(serve: Any, name: str, waits: bool) -> None:
    call, status, body = ENDINGS[name]
    kept: list[Response] = []

    def handler(res: Response, _req: Request) -> None:
        kept.append(res)
        in_thread(call, res)
        assert not res.aborted

    async def waiting(res: Response, req: Request) -> None:
        await asyncio.get_running_loop().run_in_executor(None, call, res)
        assert not res.aborted

    server = serve(lambda app: app.get("/", waiting if waits else handler))
    with httpx.Client(base_url=server.url) as client:
        for _ in range(2):
            answer = client.get("/")
            assert (answer.status_code, answer.text) == (status, body)
            if name in ("end json", "cork_send"):
                assert answer.headers["content-type"] == "application/json"
            if name in ("head", "send", "send after head"):
                assert answer.headers["x-name"] == "value"
    assert not any(res.aborted for res in kept)


def test_a_response_is_cut_by_another_thread(serve: Any) -> None:
    aborted = threading.Event()

    def handler(res: Response, _req: Request) -> None:
        res.on_aborted(lambda _res: aborted.set())
        in_thread(res.close)

    server = serve(lambda app: app.get("/", handler))
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(server.url)
    assert aborted.wait(5)


@pytest.mark.parametrize(
    "call",
    [
        lambda res: res.try_end(b"x", 1),
        lambda res: res.get_remote_address(),
        lambda res: res.get_remote_address_bytes(),
        lambda res: res.get_proxied_remote_address(),
        lambda res: res.get_client_certificate(),
        lambda res: res.on_data(lambda *_: None),
        lambda res: asyncio.run(res.get_data()),
        lambda res: asyncio.run(res.send_chunk(b"x", 1)),
        lambda res: asyncio.run(res.drain()),
        lambda res: res.upgrade("key", None, None, None),
        lambda res: res.run_async(asyncio.sleep(0)),
    ],
)
def test_what_has_a_result_is_refused_in_another_thread(serve: Any, call: Callable[[Response], Any]) -> None:
    errors: list[BaseException] = []

    def work(res: Response) -> None:
        with pytest.raises(RuntimeError, match="thread") as caught:
            call(res)
        errors.append(caught.value)

    def handler(res: Response, _req: Request) -> None:
        in_thread(work, res)
        res.end("answered")

    server = serve(lambda app: app.post("/", handler))
    assert httpx.post(server.url, content=b"body").text == "answered"
    assert "threadsafe" in str(errors[0])


def test_a_request_is_read_in_another_thread_once_it_is_preserved(serve: Any) -> None:
    said: list[str] = []

    def work(req: Request) -> None:
        with pytest.raises(RuntimeError, match="preserve"):
            req.get_url()

    def handler(res: Response, req: Request) -> None:
        in_thread(work, req)
        in_thread(lambda kept: said.append(kept.get_url() + kept.get_parameters()[0]), req.preserve())
        res.end("answered")

    server = serve(lambda app: app.get("/:name", handler))
    assert httpx.get(server.url + "/x").text == "answered"
    assert said == ["/xx"]


def test_an_error_of_what_was_forwarded_is_told(serve: Any) -> None:
    errors: list[BaseException] = []

    def handler(res: Response, _req: Request) -> None:
        in_thread(lambda: res.end("first").end("second"))

    def build(app: App) -> None:
        app.get("/", handler)
        app.on_error(lambda error, _res, _req: errors.append(error))

    server = serve(build)
    assert httpx.get(server.url).text == "first"
    assert httpx.get(server.url).text == "first"
    assert "ended" in str(errors[0])


def test_a_websocket_is_used_by_another_thread(serve: Any) -> None:
    refused: list[str] = []

    def work(ws: Any, app: App) -> None:
        assert ws.send("one", OpCode.TEXT) is SendStatus.SUCCESS
        assert ws.send(message=b"two") is SendStatus.SUCCESS
        assert ws.send({"three": 3}, OpCode.TEXT) is SendStatus.SUCCESS
        ws.cork(lambda ws: (ws.send_first_fragment("fo", OpCode.TEXT), ws.send_last_fragment("ur")))
        assert app.publish("topic", "five", OpCode.TEXT)
        assert ws.publish("topic", "others only", exclude_self=True)
        assert ws.publish("topic", "six", OpCode.TEXT)
        for name in ("subscribe", "unsubscribe", "is_subscribed"):
            with pytest.raises(RuntimeError, match=f"{name} was called from another thread"):
                getattr(ws, name)("topic")
        for name in ("get_topics", "get_buffered_amount", "get_remote_address"):
            with pytest.raises(RuntimeError, match=f"{name} was called from another thread"):
                getattr(ws, name)()
        with pytest.raises(RuntimeError, match="another thread"):
            asyncio.run(ws.closed())
        refused.append("all")
        ws.end(3000, "seven")
        assert ws.send("late") is SendStatus.SUCCESS

    def build(app: App) -> None:
        app.ws("/", {"open": lambda ws: ws.subscribe("topic"), "message": lambda ws, *_: in_thread(work, ws, app)})

    server = serve(build)

    async def main() -> None:
        async with connect(server.ws_url + "/") as client:
            await client.send("go")
            got = [await client.recv() for _ in range(6)]
            await client.wait_closed()
            assert got == ["one", b"two", '{"three": 3}', "four", "five", "six"]
            assert (client.close_code, client.close_reason) == (3000, "seven")

    asyncio.run(main())
    assert refused == ["all"]


def test_a_websocket_is_cut_by_another_thread(serve: Any) -> None:
    server = serve(lambda app: app.ws("/", {"open": lambda ws: in_thread(ws.close)}))

    async def main() -> None:
        async with connect(server.ws_url + "/") as client:
            await client.wait_closed()
            assert client.close_code == 1006

    asyncio.run(main())


def test_nothing_is_dropped_when_nothing_serves_the_app_any_more(serve: Any) -> None:
    kept: list[Response] = []
    server = serve(lambda app: app.get("/", lambda res, _req: kept.append(res)), shutdown_timeout=0.1)
    with server.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        while not kept:
            pass
        server.stop()
    assert not kept[0].end("late").aborted or kept[0].aborted
