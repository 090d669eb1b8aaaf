"""A connection to one server of Redis or Valkey: commands are sent ahead of their replies, messages arrive between these."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Iterator, Sequence
from typing import Any, Callable, Optional, Union, cast

from redis._parsers import _AsyncRESP3Parser
from redis.asyncio.connection import AbstractConnection, Connection, DefaultParser, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import AskError, ClusterError, RedisError, ResponseError, TryAgainError
from redis.utils import HIREDIS_AVAILABLE

from ..broker import BrokerError
from .patience import LINGER, Patience
from .room import wait_for_room

#: The name of a channel, and what was published there.
Message = tuple[bytes, bytes]
#: How many bytes wait to be sent before publishing waits.
KEPT_MAX = 256 << 10
PING = b"*1\r\n$4\r\nPING\r\n"
_MESSAGES = (b"message", b"smessage")
#: Errors of a node of a cluster that does not have the channel, or not now.
_ELSEWHERE = (AskError, ClusterError, TryAgainError)
_MOVED = "channels have moved to another node"
_CHANGES = (b"subscribe", b"ssubscribe", b"unsubscribe", b"sunsubscribe")


# Without hiredis, clients before version 8 begin with a parser of the older protocol, and replace it when they are connected.
_Parser = DefaultParser if HIREDIS_AVAILABLE else _AsyncRESP3Parser


class _PlainParser(_Parser):  # type: ignore[misc, valid-type] # chosen when redis is imported
    """The client's parser, without the text that it makes of every message for a logger, and without its steps for each."""

    async def handle_push_response(self, response: Any, *_: Any, **__: Any) -> Any:
        """Give a message as it is."""
        return response

    def read_rest(self) -> Iterator[Any]:
        """Give the responses that have arrived behind the one that was read; the slow parser gives them one by one."""
        gets = getattr(self._reader, "gets", None) if HIREDIS_AVAILABLE else None
        while gets is not None:
            response = gets(False)
            # What stands for "not yet complete" is a bare object, which no response is.
            if type(response) is object:
                return
            yield response


class _Ahead(AbstractConnection):
    """What a connection of the client lacks: writing without waiting, and an end that waits for nobody.

    Its own way of sending connects anew, without telling, where the connection is lost; and its ``disconnect`` waits until a
    server that was stopped reads on. The stream is ``_writer`` in every version of the client.
    """

    def write(self, data: bytes) -> None:
        """Send, or keep what cannot be sent now."""
        if self._writer is None:
            raise BrokerError("the connection is closed")
        self._writer.write(data)

    @property
    def is_full(self) -> bool:
        """Whether so much is kept that one should wait."""
        return self._writer is not None and self._writer.transport.get_write_buffer_size() > KEPT_MAX

    async def drain(self) -> None:
        """Wait while too much is kept."""
        if self._writer is not None:
            await self._writer.drain()

    def read_rest(self) -> Iterator[Any]:
        """Give what has arrived behind the response that was read; errors are not raised, but given."""
        return cast(_PlainParser, self._parser).read_rest()

    def abort(self) -> None:
        """Close the connection at once, and forget what is kept."""
        if self._writer is not None:
            self._writer.transport.abort()
            self._close()


class _TCP(_Ahead, Connection):
    pass


class _TLS(_Ahead, SSLConnection):
    pass


class _Unix(_Ahead, UnixDomainSocketConnection):
    pass


_CLASSES: dict[type[AbstractConnection], type[_Ahead]] = {
    Connection: _TCP,
    SSLConnection: _TLS,
    UnixDomainSocketConnection: _Unix,
}


def make_connection(connection_class: type[AbstractConnection], **arguments: Any) -> _Ahead:
    """Return a connection of the client, which does nothing by itself: no retry, no time-out, no pings.

    Retrying publishes twice when the server is slow, and a time-out that drops a reply mixes up those that follow.
    """
    ours = {"socket_timeout": None, "socket_connect_timeout": None, "retry": None, "protocol": 3, "parser_class": _PlainParser}
    return _CLASSES[connection_class](**{**arguments, **ours})


class RedisConnection:
    """A connection that publishes and is subscribed at the same time, as RESP3 allows.

    The server carries out commands in their order and replies in this order: so it is known what every error is about.

    Args:
        connection: of :func:`make_connection`.
        deliver: called once a turn with what arrived in it. A publication that the server refuses comes back by this way, too,
            if the connection is subscribed to its channel: whoever waits for what it published to come back has an end then.
        refuse: called with an error of the server, and with the message, or the name of the channel, that it refuses.
        patience: how long the server may be silent.

    """

    def __init__(
        self,
        connection: _Ahead,
        deliver: Callable[[Sequence[Message]], None],
        refuse: Callable[[ResponseError, Union[Message, bytes]], None],
        patience: Patience,
    ) -> None:
        self._connection = connection
        self._deliver = deliver
        self._refuse = refuse
        self._patience = patience
        #: What replies are waited for, in the order of the commands: a message that was published, the name of a channel that
        #: was subscribed to or left, or what a reply is given to.
        self._expected: deque[Union[Message, bytes, asyncio.Future[Any]]] = deque()
        #: Channels that were subscribed to, and those among them that the server refused.
        self._wanted: set[bytes] = set()
        self._refused: set[bytes] = set()
        self._arrived: list[Message] = []
        self._heard = False
        self._tasks: list[asyncio.Task[None]] = []
        #: Set by a ping of which the answer ends a connection that was given up.
        self._last_ping: Optional[asyncio.Future[Any]] = None
        self._loop = asyncio.get_running_loop()
        #: How many publications had no reply when the connection was lost: they may have arrived.
        self.unanswered = 0
        #: Why the connection is lost.
        self.lost: asyncio.Future[str] = self._loop.create_future()

    async def open(self) -> None:
        """Connect and authenticate.

        Raises:
            BrokerError: it does not succeed, or not within the time-out.

        """
        await within(self._patience.connect_timeout, self._connection.connect(), self._connection)
        self._tasks = [self._loop.create_task(self._read()), self._loop.create_task(self._watch())]

    async def send(self, data: bytes, expected: Sequence[Union[Message, bytes]]) -> None:
        """Send commands, and wait while too much is waiting to be sent.

        Args:
            data: the commands.
            expected: what each is about.

        """
        self._write(data, expected)
        if self._connection.is_full:
            await wait_for_room(self._connection.drain(), self.lost)

    async def ask(self, data: bytes, expected: Sequence[Union[Message, bytes]] = ()) -> Any:
        """Send commands, and return the reply of the last one, which is about nothing else.

        Raises:
            ResponseError: the reply is an error.

        """
        reply = self._loop.create_future()
        self._write(data, [*expected, reply])
        return await reply

    def _write(self, data: bytes, expected: Sequence[Union[Message, bytes, asyncio.Future[Any]]]) -> None:
        if self.lost.done():
            raise BrokerError(self.lost.result())
        self._expected.extend(expected)
        self._connection.write(data)

    async def _read(self) -> None:
        read, read_rest = self._connection.read_response, self._connection.read_rest
        try:
            while self._last_ping is None or not self._last_ping.done():
                try:
                    response = await read(disable_decoding=True, push_request=True, disconnect_on_error=False)
                except ResponseError as error:
                    response = error
                self._heard = True
                self._on_response(response)
                for response in read_rest():
                    self._on_response(response)
        except Exception as error:
            self.lose(_reason(error))
        finally:
            self._connection.abort()

    def _on_response(self, response: Any) -> None:
        if isinstance(response, list) and response and response[0] in _MESSAGES:
            self._arrive((response[1], response[2]))
        elif isinstance(response, list) and response and response[0] in _CHANGES:
            self._on_change(response[0], response[1])
        elif isinstance(response, ResponseError):
            self._on_error(response)
        elif isinstance(response, Exception):
            raise response
        else:
            about = self._expected.popleft()
            if isinstance(about, asyncio.Future):
                if not about.done():
                    about.set_result(response)
            elif self._refused and about[0] in self._refused:
                self._arrive(cast(Message, about))

    def _on_change(self, kind: bytes, channel: bytes) -> None:
        """A channel was subscribed to or left."""
        if not self._expected or self._expected[0] != channel:
            self.lose(_MOVED)
            return
        self._expected.popleft()
        if kind in (b"subscribe", b"ssubscribe"):
            self._wanted.add(channel)
        else:
            self._wanted.discard(channel)
            self._refused.discard(channel)

    def _on_error(self, error: ResponseError) -> None:
        if isinstance(error, _ELSEWHERE):
            self.lose(_MOVED)
            return
        about = self._expected.popleft()
        if isinstance(about, asyncio.Future):
            if not about.done():
                about.set_exception(error)
            return
        if isinstance(about, bytes):
            self._wanted.add(about)
            self._refused.add(about)
        elif about[0] in self._wanted:
            self._arrive(about)
        self._refuse(error, about)

    def _arrive(self, message: Message) -> None:
        if not self._arrived:
            self._loop.call_soon(self._hand_over)
        self._arrived.append(message)

    def _hand_over(self) -> None:
        arrived, self._arrived[:] = self._arrived[:], []
        if arrived and not self.lost.done():
            self._deliver(arrived)

    async def _watch(self) -> None:
        """Ask for a sign when there was none for a while; without one, the connection is lost."""
        while True:
            self._heard = False
            await asyncio.sleep(self._patience.ping_interval)
            if self._heard:
                continue
            ping = self._loop.create_future()
            try:
                self._write(PING, [ping])
            except BrokerError:
                return
            await asyncio.sleep(self._patience.timeout)
            if not self._heard:
                self._last_ping = ping
                self.lose(f"it did not answer a ping within {self._patience.timeout:g} s")
                return

    def lose(self, reason: str) -> None:
        """Give the connection up: nothing is delivered or sent from now on."""
        if self.lost.done():
            return
        arrived, self._arrived[:] = self._arrived[:], []
        self.lost.set_result(reason)
        self.unanswered = sum(isinstance(each, tuple) for each in self._expected)
        for each in self._expected:
            if isinstance(each, asyncio.Future) and not each.done() and each is not self._last_ping:
                each.set_exception(BrokerError(reason))
                each.exception()
        if self._last_ping is None:
            self._connection.abort()
        else:
            self._loop.call_later(LINGER, self._connection.abort)
        if arrived:
            self._deliver(arrived)

    @property
    def is_silent(self) -> bool:
        """Whether the server fell silent, and may still do what it was sent before."""
        return self._last_ping is not None and not self._tasks[0].done()

    async def settle(self, seconds: float) -> None:
        """Wait until a server that was silent has done what it was sent, or has closed the connection, at most for some time.

        What it still has not read would come after, or among, what the next connection publishes. Then it is closed.
        """
        await asyncio.wait(self._tasks[:1], timeout=seconds)
        self._connection.abort()

    async def close(self) -> None:
        """Disconnect, and wait for nobody. What :attr:`is_silent` stays open, for :meth:`settle`, but not for ever."""
        if self.is_silent:
            return
        self._arrived.clear()
        self.lose("it was closed")
        self._connection.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def within(seconds: float, step: Awaitable[Any], connection: _Ahead) -> Any:
    """Wait for a step of connecting.

    Raises:
        BrokerError: it fails, or takes too long; the connection is closed then.

    """
    try:
        return await asyncio.wait_for(step, seconds)
    except asyncio.TimeoutError:
        reason = f"no answer within {seconds:g} s"
    except (OSError, RedisError) as error:
        reason = _reason(error)
    except BaseException:
        connection.abort()
        raise
    connection.abort()
    raise BrokerError(reason)


def _reason(error: BaseException) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__
