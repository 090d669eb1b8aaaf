"""A connection to a server of NATS: the client's, but for how it ends, waits, and hands over what arrives."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any, Callable, Optional

from nats import errors
from nats.aio.client import Client
from nats.aio.transport import TcpTransport

from ..broker import BrokerError
from .patience import LINGER, Patience
from .room import wait_for_room

PING, PONG = b"PING\r\n", b"PONG\r\n"
#: How many bytes wait to be sent before publishing waits.
KEPT_MAX = 256 << 10
#: Seconds: the client's own pings are not used.
_NEVER = 1 << 30
#: Errors with which the server goes on, though the client does so with the first one alone.
_PASSING = ("permissions violation", "maximum subscriptions exceeded")


class _Transport(TcpTransport):
    """The client's, which can also end at once."""

    def __bool__(self) -> bool:
        """Tell the client that it need not make one."""
        return True

    @property
    def is_full(self) -> bool:
        """Whether so much is kept that one should wait."""
        return self._io_writer is not None and self._io_writer.transport.get_write_buffer_size() > KEPT_MAX

    def abort(self) -> None:
        """Close the connection, and forget what could not be sent."""
        for writer in (self._io_writer, self._bare_io_writer):
            if writer is not None:
                writer.transport.abort()


class NatsConnection(Client):
    """A connection that is lost at once, and for good, when something is wrong with it.

    The client's own end waits until a server that was stopped has read everything; its ``flush`` overtakes what it should
    flush, and its reading ends for ever when a flush timed out. So what is sent, and the pings, are not the client's.

    Args:
        deliver: called with the number of the subscription, the header or None, and the message.
        complain: called with what the server refuses.
        patience: how long the server may be silent.

    """

    def __init__(
        self,
        deliver: Callable[[int, Optional[bytes], bytes], None],
        complain: Callable[[str], None],
        patience: Patience,
    ) -> None:
        super().__init__()
        self._deliver = deliver
        self._complain = complain
        self._patience = patience
        self._heard = False
        #: Those that wait for answers to pings, in their order.
        self._answers: deque[asyncio.Future[None]] = deque()
        self._last_ping: Optional[asyncio.Future[None]] = None
        self._watching: Optional[asyncio.Task[None]] = None
        self._wants_tls = False
        self._loop = asyncio.get_running_loop()
        self._stream = _Transport()
        self._transport = self._stream
        self._reason = ""
        #: Why the connection is lost.
        self.lost: asyncio.Future[str] = self._loop.create_future()
        #: Set when nothing more can happen on it.
        self.ended = asyncio.Event()

    async def open(self, servers: list[str], *, wants_tls: bool, **options: Any) -> None:
        """Connect to one of the servers and authenticate.

        Args:
            servers: URLs.
            wants_tls: whether nothing may be told to a server without TLS.
            options: of the client.

        Raises:
            BrokerError: it does not succeed, or not within the time-out.

        """
        self._wants_tls = wants_tls
        ours: dict[str, Any] = {"allow_reconnect": False, "max_reconnect_attempts": 1, "reconnect_time_wait": 0}
        ours.update(ping_interval=_NEVER, connect_timeout=self._patience.connect_timeout / len(servers))
        connecting = self.connect(servers, error_cb=self._on_client_error, no_echo=True, **{**options, **ours})
        try:
            await asyncio.wait_for(connecting, self._patience.connect_timeout)
        except asyncio.TimeoutError:
            reason = self._reason or f"no answer within {self._patience.connect_timeout:g} s"
        except (OSError, errors.Error) as error:
            reason = self._reason or _reason_of(error)
        except BaseException:
            self._stream.abort()
            raise
        else:
            self._watching = self._loop.create_task(self._watch())
            return
        self._stream.abort()
        raise BrokerError(reason)

    async def send(self, data: bytes) -> None:
        """Send commands, and wait while too much is waiting to be sent."""
        self._put(data)
        if self._stream.is_full:
            await wait_for_room(self._stream.drain(), self.lost)

    async def carry_out(self, data: bytes) -> None:
        """Send commands, and wait until the server has carried them out."""
        await self._ping(data)

    def _put(self, data: bytes) -> None:
        if self.lost.done():
            raise BrokerError(self.lost.result())
        self._stream.write(data)

    def _ping(self, data: bytes = b"") -> asyncio.Future[None]:
        self._put(data + PING)
        answer = self._loop.create_future()
        self._answers.append(answer)
        return answer

    async def _watch(self) -> None:
        """Ask for a sign when there was none for a while; without one, the connection is lost."""
        while not self.lost.done():
            self._heard = False
            await asyncio.sleep(self._patience.ping_interval)
            if self._heard or self.lost.done():
                continue
            ping = self._ping()
            await asyncio.sleep(self._patience.timeout)
            if not self._heard:
                self._last_ping = ping
                self.lose(f"it did not answer a ping within {self._patience.timeout:g} s")

    def lose(self, reason: str) -> None:
        """Give the connection up: nothing is delivered or sent from now on."""
        if self.lost.done():
            return
        self.lost.set_result(reason)
        for answer in self._answers:
            if answer is not self._last_ping and not answer.done():
                answer.set_exception(BrokerError(reason))
                answer.exception()
        if self._last_ping is None:
            self._stream.abort()
        else:
            self._loop.call_later(LINGER, self._stream.abort)

    @property
    def is_silent(self) -> bool:
        """Whether the server fell silent, and may still do what it was sent before."""
        return self._last_ping is not None and not self.ended.is_set()

    async def settle(self, seconds: float) -> None:
        """Wait until a server that was silent has done what it was sent, or has ended the connection, at most so long.

        What it still has not read would come after, or among, what the next connection publishes. Then it is closed.
        """
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.ended.wait(), seconds)
        self.ended.set()
        await self.leave()

    async def leave(self) -> None:
        """Disconnect, and wait for nobody. What :attr:`is_silent` stays open, for :meth:`settle`, but not for ever."""
        if self.is_silent:
            return
        self.lose("it was closed")
        self._stream.abort()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self.close()

    async def _on_client_error(self, error: Exception) -> None:
        """What the client tells on the way: why connecting fails."""
        self._reason = _reason_of(error)

    # What the client calls.

    async def _read_loop(self) -> None:
        try:
            await super()._read_loop()
        finally:
            # However it ends, and the client ends it in silence for what it does not expect, nothing is heard from now on.
            self.ended.set()
            self.lose("nothing more is read")
            self._stream.abort()

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: Optional[bytes]) -> None:  # noqa: ARG002
        self._heard = True
        if not self.lost.done():
            self._deliver(sid, headers, data)

    async def _process_ping(self) -> None:
        self._heard = True
        if not self.lost.done():
            self._stream.write(PONG)

    async def _process_pong(self) -> None:
        self._heard = True
        if self._answers:
            answer = self._answers.popleft()
            if answer is self._last_ping:
                self.ended.set()
            if not answer.done():
                answer.set_result(None)

    async def _process_err(self, err_msg: str) -> None:
        if err_msg.strip("'").startswith(_PASSING):
            self._complain(err_msg.strip("'"))
        else:
            await super()._process_err(err_msg)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if initial_connection:
            if self._wants_tls and not info.get("tls_required"):
                if not info.get("tls_available"):
                    raise errors.Error("the server has no TLS")
                info["tls_required"] = True
            if not info.get("headers"):
                raise errors.Error("the server is too old: it has no headers (NATS 2.2 and later)")

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        self.ended.set()
        self.lose(_reason_of(self._err or errors.UnexpectedEOF()))
        self._stream.abort()
        await super()._close(status, do_cbs)


def _reason_of(error: BaseException) -> str:
    text = str(error).strip().strip("'.")
    return text[len("nats: ") :].strip("'") if text.startswith("nats: ") else text or type(error).__name__
