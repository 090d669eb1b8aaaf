"""A chat of Django Channels on socketify's channel layer. Usage: python examples/django_channels.py [PORT]; 0 for any."""

import sys

import django
from asgiref.sync import async_to_sync
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpResponse
from django.urls import path

from socketify import ASGI

settings.configure(
    SECRET_KEY="only for this example",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["channels"],
    CHANNEL_LAYERS={"default": {"BACKEND": "socketify.channels.ChannelLayer"}},
)
django.setup()


class Chat(AsyncWebsocketConsumer):
    """Says to everybody in the room what one says."""

    async def connect(self):
        self.room = self.scope["url_route"]["kwargs"]["room"]
        await self.channel_layer.group_add(self.room, self.channel_name)
        await self.accept()

    async def disconnect(self, code):
        await self.channel_layer.group_discard(self.room, self.channel_name)

    async def receive(self, text_data=None, bytes_data=None):
        await self.channel_layer.group_send(self.room, {"type": "chat.message", "text": text_data})

    async def chat_message(self, event):
        await self.send(text_data=event["text"])


def announce(request, room):
    """Say something from a view, which Django runs in a thread."""
    async_to_sync(get_channel_layer().group_send)(room, {"type": "chat.message", "text": request.GET["text"]})
    return HttpResponse("said")


urlpatterns = [path("announce/<str:room>", announce)]
app = ProtocolTypeRouter({"http": get_asgi_application(), "websocket": URLRouter([path("rooms/<str:room>", Chat.as_asgi())])})


def main():
    server = ASGI(app)
    server.listen(
        int(sys.argv[1]) if len(sys.argv) > 1 else 3000, lambda config: print(f"listening on port {config.port}", flush=True)
    )
    server.run()


if __name__ == "__main__":
    main()
