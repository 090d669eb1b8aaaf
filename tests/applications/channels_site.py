"""Django with Channels: views, and consumers of both protocols."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import django
import httpx
from channels.auth import AuthMiddlewareStack
from channels.generic.http import AsyncHttpConsumer
from channels.generic.websocket import AsyncWebsocketConsumer, JsonWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path
from transcript import told
from websockets.asyncio.client import connect

settings.configure(
    SECRET_KEY="x",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "channels"],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.gzip.GZipMiddleware"],
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
django.setup()


def counted(request: HttpRequest) -> HttpResponse:
    request.session["count"] = request.session.get("count", 0) + 1
    return HttpResponse(f"{request.session['count']} {request.scheme} {request.get_full_path()}")


def posted(request: HttpRequest) -> HttpResponse:
    return HttpResponse(json.dumps([sorted(request.POST.items()), {key: each.size for key, each in request.FILES.items()}]))


async def streamed(request: HttpRequest) -> StreamingHttpResponse:
    async def pieces() -> Any:
        for number in range(5):
            yield f"piece {number}\n"
            await asyncio.sleep(0.001)

    return StreamingHttpResponse(pieces())


urlpatterns = [path("counted", counted), path("posted", posted), path("streamed", streamed)]


class Chat(AsyncWebsocketConsumer):
    """Says to all what one says."""

    async def connect(self) -> None:
        await self.channel_layer.group_add("chat", self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard("chat", self.channel_name)

    async def receive(self, text_data: Any = None, bytes_data: Any = None) -> None:
        await self.channel_layer.group_send("chat", {"type": "say", "text": text_data})

    async def say(self, event: dict[str, Any]) -> None:
        await self.send(text_data=event["text"])


class Echo(JsonWebsocketConsumer):
    """Runs in a thread."""

    def receive_json(self, content: Any, **keywords: Any) -> None:
        self.send_json({"echo": content, "user": str(self.scope["user"])})
        if content == "close":
            self.close(code=4001)


class LongPoll(AsyncHttpConsumer):
    """Answers in pieces, late."""

    async def handle(self, body: bytes) -> None:
        await self.send_headers(headers=[(b"Content-Type", b"text/plain")])
        for _ in range(3):
            await asyncio.sleep(0.01)
            await self.send_body(b"piece\n", more_body=True)
        await self.send_body(body)


class Refuses(AsyncWebsocketConsumer):
    """Accepts nobody."""

    async def connect(self) -> None:
        await self.close()


app = ProtocolTypeRouter(
    {
        "http": URLRouter([path("poll", LongPoll.as_asgi()), path("<path:rest>", get_asgi_application())]),
        "websocket": AuthMiddlewareStack(
            URLRouter([path("chat", Chat.as_asgi()), path("echo", Echo.as_asgi()), path("refused", Refuses.as_asgi())])
        ),
    }
)


async def drive(url: str) -> list[Any]:
    """Use everything."""
    said: list[Any] = []
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        for each in ("/counted?a=%20b", "/streamed", "/none"):
            said += [told(await client.get(each), "set-cookie", "body"), told(await client.head(each), "set-cookie")]
        said.append(told(await client.post("/posted", data={"a": "ü"}, files={"f": ("f.txt", b"x" * 3_000_000)})))
        said.append(told(await client.post("/poll", content=b"body")))
    where = f"ws{url[4:]}"
    async with connect(f"{where}/chat") as one, connect(f"{where}/chat") as two:
        await one.send("hello")
        said += [await one.recv(), await two.recv()]
    async with connect(f"{where}/echo") as websocket:
        for content in ("x", "close"):
            await websocket.send(json.dumps(content))
            said.append(json.loads(await websocket.recv()))
        await websocket.wait_closed()
        said.append(websocket.close_code)
    try:
        async with connect(f"{where}/refused"):
            pass
    except Exception as error:
        said.append(str(error))
    return said


async def hold(url: str, stopping: asyncio.Event) -> Any:
    """Stay in the chat until the server stops."""
    async with connect(f"ws{url[4:]}/chat") as websocket:
        stopping.set()
        # The code is 1012 by uvicorn, and 1001 by socketify.
        await websocket.wait_closed()
