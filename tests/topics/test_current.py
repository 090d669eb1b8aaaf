"""What is published where no app is at hand: by applications of other interfaces, tasks and threads."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import httpx
import pytest
from websocket_client import open_
from websockets.sync.client import connect
from wsgi_server import TEXT, both, served

import socketify
from socketify import App, OpCode, Request, Response


def listening(app: App) -> None:
    app.ws("/", {"open": lambda ws: ws.subscribe("news") and ws.send("ready", OpCode.TEXT)})


@both
def test_a_wsgi_application(threads: int) -> None:
    def post(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        reached = socketify.publish("news", environ["PATH_INFO"], OpCode.TEXT)
        start_response("200 OK", TEXT)
        return [str(reached).encode()]

    behavior = {"open": lambda ws: ws.subscribe("news") and ws.send("ready", OpCode.TEXT)}
    with served(post, threads=threads, websocket=behavior) as one, connect(f"ws://127.0.0.1:{one.port}") as client:
        assert client.recv(timeout=10) == "ready"
        for path in ("/a", "/b"):
            assert one.ask(path).body == b"True"
            assert client.recv(timeout=10) == path


def test_handlers_tasks_and_threads(serve: Any) -> None:
    def build(app: App) -> None:
        listening(app)

        async def task(path: str) -> None:
            await asyncio.sleep(0)
            assert socketify.publish("news", message={"task": path}, opcode=OpCode.TEXT, compress=True)

        async def handler(res: Response, req: Request) -> None:
            path = req.get_url()
            assert socketify.publish("news", path.encode())
            assert socketify.current_app() is app
            assert await asyncio.get_running_loop().run_in_executor(None, socketify.publish, "news", "thread", OpCode.TEXT)
            app.run_async(task(path))
            res.end("published")

        app.get("/*", handler)

    # Each handler publishes through its own app, though this process has two.
    servers = [serve(build), serve(build)]
    with open_(servers[0]) as client, open_(servers[1]) as other:
        assert client.recv(timeout=10) == other.recv(timeout=10) == "ready"
        with pytest.raises(RuntimeError, match=r"socketify\.publish cannot tell which of 2 apps is meant"):
            socketify.publish("news", "x")
        servers.pop().stop()
        assert socketify.current_app() is servers[0].app
        assert socketify.publish("news", "from a thread", OpCode.TEXT)
        assert client.recv(timeout=10) == "from a thread"
        assert httpx.get(f"{servers[0].url}/a").text == "published"
        assert [client.recv(timeout=10) for _ in range(3)] == [b"/a", "thread", '{"task": "/a"}']


def test_several_apps_of_a_loop() -> None:
    async def main() -> None:
        apps = [App(), App()]
        for app in apps:
            app.listen(0)
        serving = [asyncio.ensure_future(app.serve()) for app in apps]
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="which of 2 apps"):
            socketify.publish("news", "x")
        apps[0].close()
        await serving[0]
        assert socketify.publish("news", "x") is False
        apps[1].close()
        await serving[1]
        with pytest.raises(RuntimeError, match="this process serves none"):
            socketify.publish("news", "x")

    asyncio.run(main())


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_where_nothing_is_served(serve: Any) -> None:
    app = App()
    with pytest.raises(RuntimeError, match=r"socketify\.publish needs an app, and this process serves none now"):
        socketify.publish("news", "x")
    with pytest.raises(RuntimeError, match=r"socketify\.current_app needs an app, and this process serves none now"):
        socketify.current_app()
    app.close()
    serve(listening)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            socketify.publish("news", "x")
        except BaseException as error:
            os.write(writer, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert b"this process serves none now" in os.read(reader, 1000)
    os.close(reader)
    os.close(writer)


def test_wrong_arguments(serve: Any) -> None:
    serve(listening)
    for arguments, error in (
        (("news", "x", OpCode.PING), ValueError),
        ((1, "x"), TypeError),
        (("t" * 70_000, "x"), ValueError),
    ):
        with pytest.raises(error):
            socketify.publish(*arguments)  # type: ignore[arg-type]
