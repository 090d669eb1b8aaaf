"""Applications of the usual frameworks, served for real: uploads, streaming, websockets, background work and lifespan."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Callable

import httpx
import pytest
from waiting import wait_until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

UPLOAD = bytes(range(256)) * 8000
DIGEST = hashlib.sha256(UPLOAD).hexdigest()


def check_http(url: str) -> None:
    """What every sample application answers, whatever it is written with."""
    with httpx.Client(base_url=url) as client:
        assert client.get("/hello/w%C3%B6rld?twice=1").json() == {"hello": "wörld", "twice": "1"}
        assert client.head("/hello/x").status_code in (200, 405)
        response = client.post("/upload", content=UPLOAD)
        assert response.json() == {"digest": DIGEST}
        response = client.post("/upload", content=iter([UPLOAD[:70_000], UPLOAD[70_000:]]))
        assert response.json() == {"digest": DIGEST}
        with client.stream("GET", "/stream") as streamed:
            assert b"".join(streamed.iter_bytes()) == b"".join(b"piece %d\n" % n for n in range(50))
        assert client.get("/missing").status_code == 404
        assert client.get("/fail").status_code == 500
        response = client.get("/hello/again")
        assert response.json()["hello"] == "again"
        assert response.headers["server"] == "socketify"


def check_websocket(url: str) -> None:
    with connect(url + "/ws") as ws:
        for message in ("one", "zwö", "x" * 100_000):
            ws.send(message)
            assert ws.recv() == "echo " + message
        ws.send("close")
        with pytest.raises(ConnectionClosed):
            ws.recv()
        assert ws.close_code == 4000
    with pytest.raises(InvalidStatus), connect(url + "/denied"):
        pass


# ---- Starlette


def starlette_app(events: list[str], file: Path) -> Any:  # noqa: C901 - a sample of much
    from starlette.applications import Starlette  # noqa: PLC0415
    from starlette.background import BackgroundTask  # noqa: PLC0415
    from starlette.middleware import Middleware  # noqa: PLC0415
    from starlette.middleware.base import BaseHTTPMiddleware  # noqa: PLC0415
    from starlette.middleware.gzip import GZipMiddleware  # noqa: PLC0415
    from starlette.requests import Request  # noqa: PLC0415
    from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse  # noqa: PLC0415
    from starlette.routing import Route, WebSocketRoute  # noqa: PLC0415
    from starlette.websockets import WebSocket  # noqa: PLC0415

    async def hello(request: Request) -> Response:
        assert request.state.made == "at the start"
        return JSONResponse({"hello": request.path_params["name"], "twice": request.query_params.get("twice")})

    async def upload(request: Request) -> Response:
        digest = hashlib.sha256()
        async for chunk in request.stream():
            digest.update(chunk)
        return JSONResponse({"digest": digest.hexdigest()})

    async def form(request: Request) -> Response:
        async with request.form() as fields:
            content = await fields["file"].read()  # type: ignore[union-attr]
            return JSONResponse({"name": fields["name"], "digest": hashlib.sha256(content).hexdigest()})

    async def stream(request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            for number in range(50):
                await asyncio.sleep(0)
                yield b"piece %d\n" % number

        return StreamingResponse(pieces())

    async def endless(request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"x" * 1000
                    await asyncio.sleep(0.01)
            finally:
                events.append("endless ended")

        return StreamingResponse(pieces())

    async def background(request: Request) -> Response:
        async def work() -> None:
            await asyncio.sleep(0.05)
            events.append("worked")

        return JSONResponse({}, background=BackgroundTask(work))

    async def fail(request: Request) -> Response:
        raise ZeroDivisionError("on purpose")

    async def ws(websocket: WebSocket) -> None:
        await websocket.accept()
        async for message in websocket.iter_text():
            if message == "close":
                await websocket.close(4000)
                return
            await websocket.send_text("echo " + message)
        events.append("disconnected")

    async def denied(websocket: WebSocket) -> None:
        await websocket.send_denial_response(JSONResponse({"no": "entry"}, 401))

    async def marked(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers["x-marked"] = "1"
        return response

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, str]]:
        events.append("started")
        yield {"made": "at the start"}
        events.append("stopped")

    return Starlette(
        routes=[
            Route("/hello/{name}", hello),
            Route("/upload", upload, methods=["POST"]),
            Route("/form", form, methods=["POST"]),
            Route("/stream", stream),
            Route("/endless", endless),
            Route("/background", background),
            Route("/file", lambda request: FileResponse(file)),
            Route("/fail", fail),
            WebSocketRoute("/ws", ws),
            WebSocketRoute("/denied", denied),
        ],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=marked), Middleware(GZipMiddleware, minimum_size=10_000_000)],
        lifespan=lifespan,
    )


def test_starlette(serve_asgi: Callable[..., Any], tmp_path: Path) -> None:
    pytest.importorskip("starlette")
    events: list[str] = []
    file = tmp_path / "file"
    file.write_bytes(UPLOAD)
    server = serve_asgi(starlette_app(events, file), lifespan="on")
    check_http(server.url)
    check_websocket(server.websocket_url)
    assert httpx.get(server.url + "/hello/x").headers["x-marked"] == "1"
    assert httpx.get(server.url + "/file").content == UPLOAD
    assert httpx.get(server.url + "/file", headers={"range": "bytes=1-3"}).content == UPLOAD[1:4]
    if pytest.importorskip("python_multipart"):
        response = httpx.post(server.url + "/form", data={"name": "n"}, files={"file": ("f", UPLOAD)})
        assert response.json() == {"name": "n", "digest": DIGEST}
    with httpx.stream("GET", server.url + "/endless") as endless:
        next(endless.iter_raw())
    wait_until(lambda: "endless ended" in events)
    assert httpx.get(server.url + "/background").status_code == 200
    server.server.close()
    assert events == ["started", "endless ended", "worked", "stopped"]


def test_starlette_that_fails_to_start(serve_asgi: Callable[..., Any]) -> None:
    applications = pytest.importorskip("starlette.applications")

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        raise ZeroDivisionError("no database")
        yield

    with pytest.raises(RuntimeError, match="no database"):
        serve_asgi(applications.Starlette(lifespan=lifespan))


# ---- FastAPI


def test_fastapi(serve_asgi: Callable[..., Any]) -> None:
    fastapi = pytest.importorskip("fastapi")
    events: list[str] = []

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        events.append("started")
        yield
        events.append("stopped")

    app = fastapi.FastAPI(lifespan=lifespan)

    # FastAPI asks for the annotations at run time.
    async def hello(name: str, twice: str = "") -> dict[str, str]:
        return {"hello": name, "twice": twice}

    def in_a_thread(name: str) -> dict[str, str]:
        time.sleep(0.01)
        return {"hello": name}

    async def upload(request: Any) -> Any:
        return {"digest": hashlib.sha256(await request.body()).hexdigest()}

    async def stream() -> Any:
        return fastapi.responses.StreamingResponse(iter([b"piece %d\n" % n for n in range(50)]))

    async def background(tasks: Any) -> dict[str, str]:
        tasks.add_task(events.append, "worked")
        return {}

    async def fail() -> None:
        raise ZeroDivisionError("on purpose")

    async def ws(websocket: Any) -> None:
        await websocket.accept()
        with contextlib.suppress(fastapi.WebSocketDisconnect):
            while (message := await websocket.receive_text()) != "close":
                await websocket.send_text("echo " + message)
            await websocket.close(4000)

    async def denied(websocket: Any) -> None:
        raise fastapi.WebSocketException(1008, "no")

    upload.__annotations__["request"] = fastapi.Request
    background.__annotations__["tasks"] = fastapi.BackgroundTasks
    for handler in (ws, denied):
        handler.__annotations__["websocket"] = fastapi.WebSocket
    app.get("/hello/{name}")(hello)
    app.get("/thread/{name}")(in_a_thread)
    app.post("/upload")(upload)
    app.get("/stream", response_model=None)(stream)
    app.get("/background")(background)
    app.get("/fail")(fail)
    app.websocket("/ws")(ws)
    app.websocket("/denied")(denied)

    server = serve_asgi(app, lifespan="on")
    check_http(server.url)
    check_websocket(server.websocket_url)
    assert httpx.get(server.url + "/thread/x").json() == {"hello": "x"}
    assert httpx.get(server.url + "/background").json() == {}
    assert httpx.get(server.url + "/openapi.json").json()["info"]["title"] == "FastAPI"
    server.server.close()
    assert events == ["started", "worked", "stopped"]


# ---- Litestar


def test_litestar(serve_asgi: Callable[..., Any]) -> None:
    pytest.importorskip("litestar")
    import litestar.background_tasks  # noqa: PLC0415
    import litestar.response  # noqa: PLC0415
    from litestar import Litestar, MediaType, Request, WebSocket, get, post, websocket  # noqa: PLC0415
    from litestar.exceptions import WebSocketDisconnect  # noqa: PLC0415

    events: list[str] = []

    async def hello(request: Any) -> dict[str, str]:
        return {"hello": request.path_params["name"], "twice": request.query_params.get("twice", "")}

    async def upload(request: Any) -> dict[str, str]:
        digest = hashlib.sha256()
        async for chunk in request.stream():
            digest.update(chunk)
        return {"digest": digest.hexdigest()}

    async def stream() -> Any:
        async def pieces() -> AsyncIterator[bytes]:
            for number in range(50):
                yield b"piece %d\n" % number

        return litestar.response.Stream(pieces(), media_type=MediaType.TEXT)

    async def fail() -> str:
        raise ZeroDivisionError("on purpose")

    async def ws(socket: Any) -> None:
        await socket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            while (message := await socket.receive_text()) != "close":
                await socket.send_text("echo " + message)
            await socket.close(4000)

    async def denied(socket: Any) -> None:
        await socket.close(1008)

    hello.__annotations__["request"] = upload.__annotations__["request"] = Request
    hello.__annotations__["return"] = upload.__annotations__["return"] = dict
    stream.__annotations__["return"] = litestar.response.Stream
    fail.__annotations__["return"] = str
    for handler in (ws, denied):
        handler.__annotations__["socket"] = WebSocket
        handler.__annotations__["return"] = None
    app = Litestar(
        [
            get("/hello/{name:str}")(hello),
            post("/upload")(upload),
            get("/stream")(stream),
            get("/fail")(fail),
            websocket("/ws")(ws),
            websocket("/denied")(denied),
        ],
        on_startup=[lambda: events.append("started")],
        on_shutdown=[lambda: events.append("stopped")],
        openapi_config=None,
        request_max_body_size=None,
    )
    server = serve_asgi(app, lifespan="on")
    check_http(server.url)
    check_websocket(server.websocket_url)
    server.server.close()
    assert events == ["started", "stopped"]


# ---- Falcon


def test_falcon(serve_asgi: Callable[..., Any]) -> None:  # noqa: C901 - a sample of much
    pytest.importorskip("falcon")
    import falcon  # noqa: PLC0415
    import falcon.asgi  # noqa: PLC0415

    events: list[str] = []

    class Events:
        async def process_startup(self, scope: Any, event: Any) -> None:
            events.append("started")

        async def process_shutdown(self, scope: Any, event: Any) -> None:
            events.append("stopped")

    class Hello:
        async def on_get(self, req: Any, resp: Any, name: str) -> None:
            resp.media = {"hello": name, "twice": req.get_param("twice")}

    class Upload:
        async def on_post(self, req: Any, resp: Any) -> None:
            digest = hashlib.sha256()
            async for chunk in req.stream:
                digest.update(chunk)
            resp.media = {"digest": digest.hexdigest()}

    class Stream:
        async def on_get(self, req: Any, resp: Any) -> None:
            async def pieces() -> AsyncIterator[bytes]:
                for number in range(50):
                    yield b"piece %d\n" % number

            resp.stream = pieces()

    class Background:
        async def on_get(self, req: Any, resp: Any) -> None:
            async def work() -> None:
                events.append("worked")

            resp.schedule(work)

    class Fail:
        async def on_get(self, req: Any, resp: Any) -> None:
            raise ZeroDivisionError("on purpose")

    class Socket:
        async def on_websocket(self, req: Any, ws: Any) -> None:
            await ws.accept()
            with contextlib.suppress(falcon.WebSocketDisconnected):
                while (message := await ws.receive_text()) != "close":
                    await ws.send_text("echo " + message)
                await ws.close(4000)

    class Denied:
        async def on_websocket(self, req: Any, ws: Any) -> None:
            raise falcon.HTTPForbidden

    app = falcon.asgi.App(middleware=[Events()])
    for path, resource in (
        ("/hello/{name}", Hello()),
        ("/upload", Upload()),
        ("/stream", Stream()),
        ("/background", Background()),
        ("/fail", Fail()),
        ("/ws", Socket()),
        ("/denied", Denied()),
    ):
        app.add_route(path, resource)
    server = serve_asgi(app, lifespan="on")
    check_http(server.url)
    check_websocket(server.websocket_url)
    assert httpx.get(server.url + "/background").status_code == 200
    wait_until(lambda: "worked" in events)
    server.server.close()
    assert events == ["started", "worked", "stopped"]


# ---- Django


@pytest.fixture
def django_app() -> Iterator[Any]:
    pytest.importorskip("django")
    from django.conf import settings  # noqa: PLC0415

    if not settings.configured:
        settings.configure(
            ROOT_URLCONF=__name__,
            SECRET_KEY="for tests only",
            ALLOWED_HOSTS=["*"],
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
            LOGGING_CONFIG=None,
            USE_TZ=True,
        )
    # The WSGI suite has its own in the same process: Django is configured once.
    settings.ROOT_URLCONF = __name__
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = None
    import django  # noqa: PLC0415
    from django.core.asgi import get_asgi_application  # noqa: PLC0415
    from django.http import JsonResponse, StreamingHttpResponse  # noqa: PLC0415
    from django.urls import path  # noqa: PLC0415

    async def hello(request: Any, name: str) -> Any:
        return JsonResponse({"hello": name, "twice": request.GET.get("twice")})

    def upload(request: Any) -> Any:
        return JsonResponse({"digest": hashlib.sha256(request.read()).hexdigest()})

    async def stream(request: Any) -> Any:
        async def pieces() -> AsyncIterator[bytes]:
            for number in range(50):
                yield b"piece %d\n" % number

        return StreamingHttpResponse(pieces())

    def fail(request: Any) -> Any:
        raise ZeroDivisionError("on purpose")

    globals()["urlpatterns"] = [
        path("hello/<str:name>", hello),
        path("upload", upload),
        path("stream", stream),
        path("fail", fail),
    ]
    django.setup(set_prefix=False)
    yield get_asgi_application()
    globals().pop("urlpatterns")


def test_django(serve_asgi: Callable[..., Any], django_app: Any) -> None:
    # It does not know lifespan, and is served without.
    check_http(serve_asgi(django_app).url)
    with pytest.raises(RuntimeError, match="does not support lifespan"):
        serve_asgi(django_app, lifespan="on")
