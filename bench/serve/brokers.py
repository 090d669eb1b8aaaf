"""A server of websockets that hear each other by Redis: ``brokers.py KIND URL PORT``.

The path of a websocket is the topic that it listens to; a text says in its first four characters where it is published to.
"""

# ruff: noqa: PLC0415 - each way has packages of its own

from __future__ import annotations

import socket
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

KIND, URL, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])


def socketify() -> None:
    """Serve an app of this tree."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from socketify import App, OpCode

    app = App(broker=URL)

    def upgrade(res: Any, req: Any, context: Any) -> None:
        res.upgrade(req.get_header("sec-websocket-key"), None, None, context, req.get_url()[1:])

    def begin(ws: Any) -> None:
        if ws.get_user_data():
            ws.subscribe(ws.get_user_data())

    app.ws(
        "/*",
        {
            "idle_timeout": 0,
            "upgrade": upgrade,
            "open": begin,
            "message": lambda _ws, message, _opcode: app.publish(message[:4], message, OpCode.TEXT),
        },
    )
    app.listen(PORT, lambda config: print(f"listening {config.port}", flush=True))
    app.run()


def redis_py() -> Any:
    """Return what one writes by hand with redis-py: one subscription for a topic, and a set of the websockets that it has."""
    import asyncio

    from redis.asyncio import Redis

    client = Redis.from_url(URL)
    pubsub = client.pubsub()
    listeners: defaultdict[str, set[Any]] = defaultdict(set)
    tasks: list[Any] = []
    lock = asyncio.Lock()

    async def hand_out() -> None:
        async for message in pubsub.listen():
            if message["type"] == "message":
                event = {"type": "websocket.send", "text": message["data"].decode()}
                for send in list(listeners[message["channel"].decode()]):
                    await send(event)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        topic = scope["path"][1:]
        await receive()
        await send({"type": "websocket.accept"})
        if topic:
            if not listeners[topic]:
                # Two that subscribe at once would connect twice, and one of them in vain.
                async with lock:
                    await pubsub.subscribe(topic)
            if not tasks:
                tasks.append(asyncio.ensure_future(hand_out()))
            listeners[topic].add(send)
        while (event := await receive())["type"] == "websocket.receive":
            await client.publish(event["text"][:4], event["text"])
        listeners[topic].discard(send)

    return application


def socket_io() -> Any:
    """Return an application of python-socketio with its manager for Redis; topics are rooms."""
    import socketio

    server = socketio.AsyncServer(async_mode="asgi", client_manager=socketio.AsyncRedisManager(URL), ping_interval=300)

    @server.event
    async def subscribe(sid: str, topic: str) -> None:
        await server.enter_room(sid, topic)

    @server.event
    async def publish(_sid: str, text: str) -> None:
        await server.emit("m", text, room=text[:4])

    return socketio.ASGIApp(server)


def channels(backend: str) -> Any:
    """Return a consumer of Django Channels with a layer of channels_redis; topics are groups."""
    from django.conf import settings

    layer = {"BACKEND": backend, "CONFIG": {"hosts": [URL], "capacity": 10000}}
    settings.configure(CHANNEL_LAYERS={"default": layer}, SECRET_KEY="bench")
    import django
    from channels.generic.websocket import AsyncWebsocketConsumer

    django.setup()

    class Consumer(AsyncWebsocketConsumer):  # type: ignore[misc]
        async def connect(self) -> None:
            await self.accept()
            self.topic = self.scope["path"][1:]
            if self.topic:
                await self.channel_layer.group_add(self.topic, self.channel_name)

        async def receive(self, text_data: Any = None, bytes_data: Any = None) -> None:  # noqa: ARG002
            await self.channel_layer.group_send(text_data[:4], {"type": "news", "text": text_data})

        async def news(self, event: Any) -> None:
            await self.send(text_data=event["text"])

    return Consumer.as_asgi()


APPLICATIONS = {
    "redis-py": redis_py,
    "python-socketio": socket_io,
    "channels_redis.pubsub": lambda: channels("channels_redis.pubsub.RedisPubSubChannelLayer"),
    "channels_redis.core": lambda: channels("channels_redis.core.RedisChannelLayer"),
}


def main() -> None:
    """Serve the kind that is asked for, those of other people by uvicorn."""
    if KIND.startswith("socketify"):
        socketify()
        return
    import uvicorn

    application = APPLICATIONS[KIND]()
    listener = socket.create_server(("127.0.0.1", PORT))
    print(f"listening {listener.getsockname()[1]}", flush=True)
    options = {"log_level": "error", "lifespan": "off", "ws_per_message_deflate": False, "ws_ping_interval": None}
    uvicorn.Server(uvicorn.Config(application, **options)).run(sockets=[listener])


main()
