"""What a broker is: it carries what one process publishes to the other processes that share it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable, NamedTuple, Protocol, runtime_checkable


class Publication(NamedTuple):
    """A message on its way to the subscribers of a topic in other processes."""

    #: Its name.
    topic: str
    #: The message; UTF-8 if it is text.
    data: bytes
    #: Whether websockets get it as text, rather than binary.
    is_text: bool
    #: Whether it is compressed for websockets that negotiated that. It is never compressed here.
    compress: bool


#: Called with what others published, in order, on the thread of the loop that connected.
Deliver = Callable[[Sequence[Publication]], None]


class BrokerError(ConnectionError):
    """The broker cannot be reached, refuses, or was lost. The message says why, and holds no password."""


class Broker(Protocol):
    """What carries publications between processes; a program may have one of its own.

    One event loop uses it: all methods are coroutines of that loop. The relay of the app calls one of :meth:`publish`,
    :meth:`flush`, :meth:`subscribe` and :meth:`unsubscribe` at a time, between :meth:`connect` and the loss of the connection.
    A call that is cancelled leaves the connection in any state: :meth:`close` or :meth:`connect` follows.
    """

    #: Whether what this connection publishes to a topic that it is subscribed to comes back to it: exactly once each,
    #: and before :meth:`unsubscribe` of that topic returns.
    echoes: bool

    async def connect(self, deliver: Deliver) -> None:
        """Connect. Called again after a loss, when everything that was subscribed to is forgotten.

        Args:
            deliver: called with what is published to the topics that are subscribed to, in the order of each publisher.

        Raises:
            BrokerError: it does not succeed. The relay tries again later, and gives up waiting after a few seconds by itself.

        """

    async def wait_until_lost(self) -> str:
        """Wait until the connection is lost, and return why, for the log. Called once for each connection."""

    async def publish(self, publications: Sequence[Publication]) -> int:
        """Hand over what was published in a turn, in order. It may be on its way still when this returns.

        Returns:
            How many are lost, because the broker refuses them, or the queue of a process that wants them is full: once for each
            such process. 0 where that is unknown.

        Raises:
            BrokerError: the connection is lost. Some may have arrived, so none of them is sent again.

        """

    async def flush(self) -> None:
        """Wait until the broker, or the other processes, have taken all that was handed over.

        Raises:
            BrokerError: the connection is lost.

        """

    async def subscribe(self, topics: Sequence[str]) -> None:
        """Get what is published to these topics.

        What anybody publishes after this returned is delivered; or after :meth:`.Confirming.wait_until_known`.
        A topic that the broker refuses is left out, with a line in the log.

        Raises:
            BrokerError: the connection is lost.

        """

    async def unsubscribe(self, topics: Sequence[str]) -> None:
        """Leave topics. Nothing of them is delivered after this returned, until they are subscribed to again.

        Raises:
            BrokerError: the connection is lost.

        """

    async def close(self) -> None:
        """Disconnect and release everything; harmless where nothing is connected. It may be connected again."""


@runtime_checkable
class Confirming(Protocol):
    """What a broker has as well whose :meth:`.Broker.subscribe` waits for nobody."""

    async def wait_until_known(self, skips_silent: bool = False) -> None:
        """Wait until all other processes know what is subscribed to, however long that takes; called beside other calls.

        Args:
            skips_silent: whether those are left out that did not answer when they were asked before.

        """


@runtime_checkable
class Immediate(Protocol):
    """What a broker has as well that never lets a publisher wait."""

    #: How many publications were lost, each for each process that wants it.
    lost: int

    def publish_soon(self, topic: str, data: bytes, is_text: bool, compress: bool) -> None:
        """Hand over a publication at the end of this turn of the loop; called while it is connected, between other calls."""
