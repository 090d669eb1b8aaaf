"""Publications by way of NATS: one subject for each topic."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import Sequence
from typing import Any, Optional
from urllib.parse import parse_qsl, unquote

from ...wire.nats import encode_header, encode_subject, frame_message, read_message
from ..broker import BrokerError, Deliver, Publication
from .nats_connection import NatsConnection
from .patience import SETTLE, Patience

logger = logging.getLogger("socketify")

_PREFIX = re.compile(r"([^\x00- \x7f*>.%]+\.?)*")
#: Options of the URL that the client knows by other names.
_FILES = {"user_credentials": "user_credentials", "nkeys_seed": "nkeys_seed", "client_name": "name"}


class NatsBroker:
    """A broker of NATS, 2.2 or later.

    Each topic is a subject: the prefix, and the topic as :func:`~socketify.wire.nats.encode_subject` writes it.

    Args:
        url: ``nats://[USER:PASSWORD@ or TOKEN@]HOST[:PORT][,HOST[:PORT]...]``, or ``tls://``, which tells nothing to a server
            without TLS. Options are ``prefix`` of subjects, ``ping_interval``, ``timeout`` and ``connect_timeout`` in seconds,
            ``ssl_ca_certs``, ``ssl_certfile``, ``ssl_keyfile``, ``user_credentials`` and ``nkeys_seed``, which name files, and
            ``client_name``.

    Raises:
        ValueError: the URL is wrong.

    """

    echoes = False

    def __init__(self, url: str) -> None:
        scheme, _, rest = url.partition("://")
        places, _, query = rest.partition("?")
        options = dict(parse_qsl(query, keep_blank_values=True))
        prefix = options.pop("prefix", "")
        if not _PREFIX.fullmatch(prefix):
            raise ValueError(f"prefix of the broker's URL must be the beginning of a subject of NATS, not {prefix!r}")
        self._prefix = prefix.encode()
        self._patience = Patience.take(options)
        user, _, hosts = places.rpartition("@")
        hosts = hosts.rstrip("/")
        self._servers = [_server(scheme.lower(), each) for each in re.sub(r",(nats|tls)://", ",", hosts).split(",")]
        self._wants_tls = scheme.lower() == "tls" or any(name.startswith("ssl_") for name in options)
        self._options: dict[str, Any] = {theirs: options.pop(ours) for ours, theirs in _FILES.items() if ours in options}
        self._options["tls"] = _tls_context(options)
        if options:
            raise ValueError(f"the broker's URL has an option that is unknown: {min(options)}")
        name, colon, password = user.partition(":")
        if colon:
            self._options.update(user=unquote(name), password=unquote(password))
        elif name:
            self._options["token"] = unquote(name)
        self._shown = f"{scheme.lower()}://{hosts}"
        self._deliver: Optional[Deliver] = None
        self._connection: Optional[NatsConnection] = None
        #: What may still publish when a server that was silent goes on.
        self._silent: list[NatsConnection] = []
        self._numbers: dict[str, int] = {}
        self._topics: dict[int, str] = {}
        self._next = 1
        self._arrived: list[Publication] = []
        self._has_complained = False

    async def connect(self, deliver: Deliver) -> None:
        """Implement :meth:`Broker.connect`."""
        await self.close()
        self._numbers, self._topics = {}, {}
        self._deliver, self._has_complained = deliver, False
        connection = NatsConnection(self._on_message, self._complain, self._patience)
        await connection.open(self._servers, wants_tls=self._wants_tls, **self._options)
        self._connection = connection
        for each in self._silent:
            await each.settle(SETTLE)
        self._silent = []

    async def wait_until_lost(self) -> str:
        """Implement :meth:`Broker.wait_until_lost`."""
        # Whoever waits may be cancelled; the connection goes on.
        return await asyncio.shield(self._connected().lost)

    async def publish(self, publications: Sequence[Publication]) -> int:
        """Implement :meth:`Broker.publish`."""
        connection, prefix = self._connected(), self._prefix
        room = connection.max_payload
        frames = []
        for each in publications:
            header = encode_header(each.data, each.is_text, each.compress)
            if len(header) + len(each.data) > room:
                self._complain(f"{len(each.data)} bytes to {each.topic!r} are lost: max_payload of the server is {room}")
            else:
                frames.append(frame_message(prefix + encode_subject(each.topic), header, each.data))
        if frames:
            await connection.send(b"".join(frames))
        return len(publications) - len(frames)

    async def flush(self) -> None:
        """Implement :meth:`Broker.flush`."""
        await self._connected().carry_out(b"")

    async def subscribe(self, topics: Sequence[str]) -> None:
        """Implement :meth:`Broker.subscribe`."""
        commands = []
        for topic in topics:
            if topic not in self._numbers:
                number, self._next = self._next, self._next + 1
                self._numbers[topic], self._topics[number] = number, topic
                commands.append(b"SUB %b %d\r\n" % (self._prefix + encode_subject(topic), number))
        if commands:
            await self._connected().carry_out(b"".join(commands))

    async def unsubscribe(self, topics: Sequence[str]) -> None:
        """Implement :meth:`Broker.unsubscribe`."""
        numbers = [self._numbers.pop(topic) for topic in topics if topic in self._numbers]
        if numbers:
            await self._connected().carry_out(b"".join(b"UNSUB %d\r\n" % number for number in numbers))
        for number in numbers:
            self._topics.pop(number, None)

    async def close(self) -> None:
        """Implement :meth:`Broker.close`."""
        connection, self._connection, self._deliver = self._connection, None, None
        if connection is not None:
            await connection.leave()
            if connection.is_silent:
                # Nobody knows yet what the server will still do for it.
                self._silent.append(connection)

    def _connected(self) -> NatsConnection:
        if self._connection is None:
            raise BrokerError("it is not connected")
        return self._connection

    def _on_message(self, number: int, header: Optional[bytes], data: bytes) -> None:
        topic = self._topics.get(number)
        if topic is None:
            return
        if not self._arrived:
            asyncio.get_running_loop().call_soon(self._hand_over)
        self._arrived.append(Publication(topic, data, *read_message(header, data)))

    def _hand_over(self) -> None:
        arrived, self._arrived = self._arrived, []
        if self._deliver is not None:
            self._deliver(arrived)

    def _complain(self, what: str) -> None:
        """Log the first one for each connection, as a program that publishes in vain mostly goes on with it."""
        if not self._has_complained:
            self._has_complained = True
            logger.error("%s: %s; others of this connection are not logged", self._shown, what)


def _server(scheme: str, place: str) -> str:
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]/@]+)(:\d{1,5})?", place)
    if found is None:
        raise ValueError(f"the broker's URL must have HOST:PORT, or several with commas between them, not {place!r}")
    return f"{scheme}://{found[1]}{found[2] or ':4222'}"


def _tls_context(options: dict[str, str]) -> ssl.SSLContext:
    """Return what a server with TLS has to be like."""
    trusted, certificate, key = (options.pop(f"ssl_{name}", None) for name in ("ca_certs", "certfile", "keyfile"))
    try:
        context = ssl.create_default_context(cafile=trusted)
        if certificate is not None:
            context.load_cert_chain(certificate, key)
    except OSError as error:
        raise ValueError(f"the broker's URL names files for TLS that cannot be used: {error}") from None
    return context
