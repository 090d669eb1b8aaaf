"""What parts of the framework send to each other, between the processes that share a broker: under reserved topics."""

from __future__ import annotations

import logging
from typing import Callable, Optional, Protocol

from ..native.abi import WS_TOPICS_RESERVED as RESERVED
from .broker import Publication

logger = logging.getLogger("socketify")

Receive = Callable[[bytes], None]


class Carrier(Protocol):
    """What brings publications to other processes, and from them."""

    def want(self, topic: str, wanted: bool) -> None:
        """Get what others publish to a topic, or no more."""

    def publish(self, publication: Publication, at_once: bool = False) -> None:
        """Hand over what this process publishes; at once also where others may not be back yet after an outage."""


class Messenger:
    """Sends to other processes under names, and calls back with what they send. Without a carrier there are no others."""

    def __init__(self) -> None:
        self._carrier: Optional[Carrier] = None
        self._listeners: dict[str, tuple[Receive, ...]] = {}

    def use(self, carrier: Carrier) -> None:
        """Reach other processes from now on."""
        self._carrier = carrier
        for name in self._listeners:
            carrier.want(RESERVED + name, True)

    def listen(self, name: str, receive: Receive) -> None:
        """Call back with what other processes send under a name, until :meth:`ignore`."""
        listeners = self._listeners.get(name, ())
        self._listeners[name] = (*listeners, receive)
        if not listeners and self._carrier is not None:
            self._carrier.want(RESERVED + name, True)

    def ignore(self, name: str, receive: Receive) -> None:
        """Call back no more."""
        left = tuple(each for each in self._listeners.get(name, ()) if each != receive)
        if left:
            self._listeners[name] = left
        elif self._listeners.pop(name, None) and self._carrier is not None:
            self._carrier.want(RESERVED + name, False)

    def tell(self, name: str, data: bytes, at_once: bool = True) -> None:
        """Send to the other processes that listen.

        Args:
            name: under which they do.
            data: what they get.
            at_once: whether, after an outage, it does not wait until they are back. By this they learn of each other.

        """
        if self._carrier is not None:
            self._carrier.publish(Publication(RESERVED + name, data, is_text=False, compress=False), at_once)

    def deliver(self, publication: Publication) -> None:
        """Take what another process sent."""
        for receive in self._listeners.get(publication.topic[len(RESERVED) :], ()):
            try:
                receive(publication.data)
            except Exception:
                logger.exception("the broker delivered to %r what no process of this kind sends", publication.topic)
