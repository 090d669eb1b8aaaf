"""Django with Channels on socketify's channel layer, in a process of its own. Usage: channels_program.py [BROKER]."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import django
from asgiref.sync import async_to_sync
from channels.exceptions import ChannelFull
from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer
from channels.layers import get_channel_layer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from socketify import ASGI

settings.configure(
    SECRET_KEY="x",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["channels"],
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": "socketify.channels.ChannelLayer",
            "CONFIG": {"expiry": 1, "capacity": 10, "channel_capacity": {"small.*": 2}},
        },
        "other": {"BACKEND": "socketify.channels.ChannelLayer", "CONFIG": {"prefix": "other"}},
    },
)
django.setup()


def published(request: HttpRequest, group: str) -> HttpResponse:
    """Send to a group, in a thread of Django's."""
    layer = get_channel_layer()
    async_to_sync(layer.group_send)(group, {"type": "chat.message", "text": request.body.decode()})
    return HttpResponse("sent")


async def checked(request: HttpRequest, what: str) -> HttpResponse:
    """Use the layer without a consumer."""
    try:
        return HttpResponse(str(await CHECKS[what](get_channel_layer())))
    except (ChannelFull, TypeError, ValueError) as error:
        return HttpResponse(f"{type(error).__name__}: {error}")


async def _round(layer: Any) -> Any:
    channel = await layer.new_channel()
    sent = {"type": "x", "list": [1, 2.5, None, True, {"é": b"\x00\xff"}], "tuple": (1, (2,))}
    await layer.send(channel, sent)
    sent["list"].append("later")
    got = await layer.receive(channel)
    return channel.startswith("specific."), got


async def _full(layer: Any) -> Any:
    channel = await layer.new_channel("small")
    for number in range(3):
        await layer.send(channel, {"number": number})


async def _expired(layer: Any) -> Any:
    channel = await layer.new_channel()
    await layer.send(channel, {"type": "old"})
    await asyncio.sleep(1.1)
    await layer.send(channel, {"type": "new"})
    return await layer.receive(channel)


async def _waiting(layer: Any) -> Any:
    channel = await layer.new_channel()
    first, second, third = (asyncio.ensure_future(layer.receive(channel)) for _ in range(3))
    await asyncio.sleep(0)
    second.cancel()
    for number in range(2):
        await layer.send(channel, {"number": number})
    return sorted([(await first)["number"], (await third)["number"]])


async def _abandoned(layer: Any) -> Any:
    """A consumer that died leaves its groups, and takes no memory any more; one that is slow stays."""
    died, slow = await layer.new_channel(), await layer.new_channel()
    for channel in (died, slow):
        await layer.group_add("abandoned", channel)
    await layer.send(slow, {"number": 0})
    await layer.receive(slow)
    task = asyncio.ensure_future(layer.receive(died))
    await asyncio.sleep(0)
    task.cancel()
    for _ in range(2):
        await asyncio.sleep(1.1)
        await layer.new_channel()
    await layer.group_send("abandoned", {"number": 1})
    got = await layer.receive(slow)
    with_died = asyncio.ensure_future(layer.receive(died))
    await asyncio.wait([with_died], timeout=0.1)
    return got["number"], with_died.done(), with_died.cancel()


async def _flush(layer: Any) -> Any:
    channel = await layer.new_channel()
    await layer.group_add("flushed", channel)
    await layer.send(channel, {"number": 0})
    await layer.flush()
    await layer.group_send("flushed", {"number": 1})
    await layer.send(channel, {"number": 2})
    return (await layer.receive(channel))["number"]


async def _layers(layer: Any) -> Any:
    other = get_channel_layer("other")
    mine, its = await layer.new_channel(), await other.new_channel()
    for each, channel in ((layer, mine), (other, its)):
        await each.group_add("both", channel)
    await other.group_send("both", {"number": 1})
    await layer.group_send("both", {"number": 2})
    return (await other.receive(its))["number"], (await layer.receive(mine))["number"]


CHECKS: dict[str, Any] = {
    "round": _round,
    "full": _full,
    "expired": _expired,
    "waiting": _waiting,
    "abandoned": _abandoned,
    "flush": _flush,
    "layers": _layers,
    "queue": lambda layer: layer.send("queue", {"type": "x"}),
    "receive-queue": lambda layer: layer.receive("queue"),
    "receive-other": lambda layer: layer.receive("specific.other!x"),
    "type": lambda layer: layer.send("specific.x!y", {"type": object()}),
    "dict": lambda layer: layer.group_send("group", []),
    "name": lambda layer: layer.send("a b", {}),
    "group": lambda layer: layer.group_add("a/b", "specific.x!y"),
}

urlpatterns = [path("publish/<str:group>", published), path("check/<str:what>", checked)]


class AsyncChat(AsyncWebsocketConsumer):
    """Does what its client says."""

    groups = ("all",)

    async def receive(self, text_data: Any = None, bytes_data: Any = None) -> None:
        verb, _, rest = text_data.partition(" ")
        name, _, text = rest.partition(" ")
        message = {"type": "chat.message", "text": text}
        if verb == "name":
            await self.send(text_data=self.channel_name)
        elif verb == "join":
            await self.channel_layer.group_add(name, text or self.channel_name)
        elif verb == "leave":
            await self.channel_layer.group_discard(name, text or self.channel_name)
        elif verb == "send":
            await self.channel_layer.send(name, message)
        elif verb == "group":
            await self.channel_layer.group_send(name, message)
        else:
            raise ZeroDivisionError
        if verb != "name":
            await self.send(text_data="done")

    async def chat_message(self, event: dict[str, Any]) -> None:
        await self.send(text_data=event["text"])


class SyncChat(WebsocketConsumer):
    """Does the same, in a thread."""

    groups = ("all",)

    def receive(self, text_data: Any = None, bytes_data: Any = None) -> None:
        verb, _, rest = text_data.partition(" ")
        name, _, text = rest.partition(" ")
        message = {"type": "chat.message", "text": text}
        layer = self.channel_layer
        if verb == "name":
            self.send(text_data=self.channel_name)
            return
        if verb == "join":
            async_to_sync(layer.group_add)(name, text or self.channel_name)
        elif verb == "leave":
            async_to_sync(layer.group_discard)(name, text or self.channel_name)
        elif verb == "send":
            async_to_sync(layer.send)(name, message)
        elif verb == "group":
            async_to_sync(layer.group_send)(name, message)
        self.send(text_data="done")

    def chat_message(self, event: dict[str, Any]) -> None:
        self.send(text_data=event["text"])


app = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": URLRouter([path("async", AsyncChat.as_asgi()), path("sync", SyncChat.as_asgi())]),
    }
)


if __name__ == "__main__":
    options = {"broker": sys.argv[1]} if len(sys.argv) > 1 else {}
    server = ASGI(app, **options)
    server.listen(0, lambda config: print(config.port, flush=True))
    server.run()
