"""Publications by way of Redis or Valkey: one channel for each topic."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Optional, Union

from redis.crc import key_slot
from redis.exceptions import ResponseError

from ...wire.publication import decode_message, encode_message
from ..broker import Deliver, Publication
from .patience import SETTLE
from .redis_connection import PING, Message, RedisConnection, make_connection
from .redis_servers import Servers, arguments_for, find_servers
from .redis_url import RedisURL

logger = logging.getLogger("socketify")


class RedisBroker:
    """A broker of Redis (6 or later; a cluster: 7 or later) or Valkey.

    Each topic is a channel, whose name is the prefix and the topic. One connection to each server publishes and is subscribed:
    what it sends is carried out in its order.

    Args:
        url: ``redis://[USER[:PASSWORD]@]HOST[:PORT]``, ``rediss://`` for TLS, ``unix://PATH``,
            ``redis+sentinel://HOST,HOST/SERVICE`` or ``redis+cluster://HOST,HOST``, or the same with ``valkey`` for ``redis``.
            Options are ``prefix`` of the names of channels, ``ping_interval``, ``timeout`` and ``connect_timeout`` in seconds,
            and those of the client, such as ``ssl_ca_certs``.

    Raises:
        ValueError: the URL is wrong.

    """

    echoes = True

    def __init__(self, url: str) -> None:
        self._url = RedisURL.parse(url)
        cluster = self._url.kind == "cluster"
        self._publish, self._subscribe, self._unsubscribe = (
            b"*%d\r\n$%d\r\n%b\r\n" % (count, len(name), name)
            for count, name in (
                (3, b"SPUBLISH" if cluster else b"PUBLISH"),
                (2, b"SSUBSCRIBE" if cluster else b"SUBSCRIBE"),
                (2, b"SUNSUBSCRIBE" if cluster else b"UNSUBSCRIBE"),
            )
        )
        self._servers = Servers([None], None)
        self._connections: list[RedisConnection] = []
        #: Those that were lost in silence, and may still publish when the server goes on.
        self._silent: list[RedisConnection] = []
        self._deliver: Optional[Deliver] = None
        #: Publications that a server refused, or did not confirm, and that were not told: replies come later.
        self._lost = 0
        #: Of each connection, how many publications a call of :meth:`publish` had sent that ended with an error.
        self._failed: list[tuple[RedisConnection, int]] = []
        self._has_complained = False

    async def connect(self, deliver: Deliver) -> None:
        """Implement :meth:`Broker.connect`."""
        await self.close()
        self._deliver, self._has_complained = deliver, False
        url, connections = self._url, []
        try:
            self._servers = await find_servers(url)
            for address in self._servers.addresses:
                client = make_connection(url.connection_class, **arguments_for(url, address))
                connections.append(RedisConnection(client, self._on_messages, self._on_refused, url.patience))
            await asyncio.gather(*(connection.open() for connection in connections))
            await asyncio.gather(*(connection.settle(SETTLE) for connection in self._silent))
        except BaseException:
            await _close(connections)
            raise
        self._silent, self._connections = [], connections

    async def wait_until_lost(self) -> str:
        """Implement :meth:`Broker.wait_until_lost`."""
        losses = [connection.lost for connection in self._connections]
        done, _ = await asyncio.wait(losses, return_when=asyncio.FIRST_COMPLETED)
        reason = done.pop().result()
        for connection in self._connections:
            connection.lose(reason)
        return reason

    async def publish(self, publications: Sequence[Publication]) -> int:
        """Implement :meth:`Broker.publish`."""
        prefix = self._url.prefix
        lost, self._lost = self._lost, 0
        messages = [
            (prefix + each.topic.encode(), encode_message(each.data, each.is_text, each.compress)) for each in publications
        ]
        groups: dict[int, list[Message]] = {}
        if self._servers.slots is None:
            groups[0] = messages
        else:
            for message in messages:
                groups.setdefault(self._servers.slots[key_slot(message[0])], []).append(message)
        sent = []
        try:
            for index, group in groups.items():
                connection = self._connections[index]
                if not connection.lost.done():
                    sent.append((connection, len(group)))
                await self._send(connection, group)
        except BaseException:
            # Whoever called counts all of these.
            self._lost += lost
            self._failed = sent
            raise
        return lost

    async def _send(self, connection: RedisConnection, messages: Sequence[Message]) -> None:
        publish = self._publish
        commands = [publish + b"$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(c), c, len(data), data) for c, data in messages]
        await connection.send(b"".join(commands), messages)

    async def flush(self) -> None:
        """Implement :meth:`Broker.flush`."""
        await asyncio.gather(*(connection.ask(PING) for connection in self._connections))

    async def subscribe(self, topics: Sequence[str]) -> None:
        """Implement :meth:`Broker.subscribe`."""
        await self._change(self._subscribe, topics)

    async def unsubscribe(self, topics: Sequence[str]) -> None:
        """Implement :meth:`Broker.unsubscribe`."""
        await self._change(self._unsubscribe, topics)

    async def _change(self, command: bytes, topics: Sequence[str]) -> None:
        """Send one command for each topic, so that one that is refused hinders no other, and wait until all are carried out."""
        groups: dict[int, list[bytes]] = {}
        for topic in topics:
            channel = self._url.prefix + topic.encode()
            index = 0 if self._servers.slots is None else self._servers.slots[key_slot(channel)]
            groups.setdefault(index, []).append(channel)
        answers = []
        for index, channels in groups.items():
            commands = [command + b"$%d\r\n%b\r\n" % (len(channel), channel) for channel in channels]
            answers.append(self._connections[index].ask(b"".join([*commands, PING]), channels))
        await asyncio.gather(*answers)

    async def close(self) -> None:
        """Implement :meth:`Broker.close`."""
        # What was lost in silence lingers, as nobody knows yet what the server will still do for it.
        self._silent = [each for each in (*self._silent, *self._connections) if each.is_silent]
        connections, self._connections, self._deliver = self._connections, [], None
        await _close(connections)
        failed, self._failed = self._failed, []
        self._lost += sum(connection.unanswered for connection in connections)
        self._lost -= sum(min(connection.unanswered, count) for connection, count in failed if connection in connections)

    def _on_messages(self, messages: Sequence[Message]) -> None:
        if self._deliver is not None:
            start = len(self._url.prefix)
            self._deliver([Publication(channel[start:].decode(), *decode_message(data)) for channel, data in messages])

    def _on_refused(self, error: ResponseError, about: Union[Message, bytes]) -> None:
        if isinstance(about, tuple):
            self._lost += 1
            if not self._has_complained:
                # A program that publishes in vain mostly goes on with it.
                self._has_complained = True
                text = "%s refuses a publication to %s: %s; others of this connection are not logged"
                logger.error(text, self._url.shown, about[0].decode(), error)
        else:
            logger.error("%s refuses the channel %s: %s", self._url.shown, about.decode(), error)


async def _close(connections: Sequence[RedisConnection]) -> None:
    for connection in connections:
        await connection.close()
