"""What an app does with topics."""

from __future__ import annotations

from typing import Any, TypeVar, Union

from ..topics.counters import BrokerCounters
from ..topics.presence import PresenceHandler
from ..topics.topics import Topics
from ..websocket.constants import OpCode
from ..websocket.encoding import Topic, topic_name

Presence = TypeVar("Presence", bound=PresenceHandler)


class TopicMethods:
    """The methods of an app that are about topics."""

    #: For the framework.
    topics: Topics

    def publish(self, topic: Topic, message: Any, opcode: Union[OpCode, int] = OpCode.BINARY, compress: bool = False) -> bool:
        """Send to all websockets that are subscribed to a topic, in all processes that share the broker. Thread-safe.

        Args:
            topic: its name; bytes are taken for UTF-8.
            message: str (sent as UTF-8), bytes, bytearray, memoryview, or anything else, which goes through the JSON
                serializer.
            opcode: TEXT or BINARY.
            compress: whether to compress it, where that was negotiated.

        Returns:
            Whether this process has a subscriber; from another thread than the app's, whether the app runs.

        Raises:
            TypeError, ValueError: an argument is wrong.

        """
        return self.topics.publish(topic, message, opcode, compress)

    def publish_here(
        self, topic: Topic, message: Any, opcode: Union[OpCode, int] = OpCode.BINARY, compress: bool = False
    ) -> bool:
        """Send to the websockets of this process that are subscribed to a topic, and not to other processes. Thread-safe.

        For what every process finds out by itself, as those that :meth:`on_presence` calls.

        Args:
            topic: its name.
            message: see :meth:`publish`.
            opcode: TEXT or BINARY.
            compress: whether to compress it, where that was negotiated.

        Returns:
            As :meth:`publish`.

        Raises:
            TypeError, ValueError: an argument is wrong.

        """
        return self.topics.publish_here(topic, message, opcode, compress)

    def num_subscribers(self, topic: Topic) -> int:
        """Return the number of websockets of this process that are subscribed to a topic.

        Raises:
            RuntimeError: another thread asks, and the app's does not answer in time.

        """
        return self.topics.num_subscribers(topic)

    async def count_subscribers(self, topic: Topic, timeout: float = 1.0) -> int:
        """Return the number of websockets that are subscribed to a topic, in all processes that share the broker.

        Args:
            topic: its name.
            timeout: seconds to wait for other processes; those that do not answer in time are not counted. Without a
                connection to the broker only this process is.

        Raises:
            RuntimeError: it is not awaited in the loop that serves the app.
            TypeError, ValueError: an argument is wrong.

        """
        return await self.topics.count_subscribers(topic_name(topic), timeout)

    async def presence(self, topic: Topic, timeout: float = 1.0) -> list[Any]:
        """Return who is on a topic, in all processes that share the broker.

        Args:
            topic: its name.
            timeout: seconds to wait for other processes; the websockets of those that do not answer in time are missing.
                Without a connection to the broker only this process is asked.

        Returns:
            For each websocket that is subscribed to it what the ``presence`` of its route (see :meth:`ws`) or of its ASGI
            application says of it, in no particular order; websockets of which that is None, or not said, are not among them.

        Raises:
            RuntimeError: it is not awaited in the loop that serves the app.
            TypeError, ValueError: an argument is wrong.

        """
        return await self.topics.members(topic_name(topic), timeout)

    def on_presence(self, handler: Presence) -> Presence:
        """Call a function, sync or async, when websockets join and leave a topic. Usable as a decorator.

        It is called in every process that has a websocket on the topic which others may see, about those of all processes.
        Those of a process that was killed leave within seconds. Who is there before the first of this process joins is not
        told: :meth:`presence` returns them.

        Args:
            handler: called as ``handler(topic, joined, left)``, with lists of what :meth:`presence` returns of each.

        Raises:
            TypeError: it is not callable.

        """
        self.topics.presence.on_change(handler)
        return handler

    async def flush_topics(self, timeout: float = 5.0) -> bool:
        """Wait until the broker has what was published and subscribed to before.

        What others publish after that reaches the websockets that were subscribed. Without a broker there is nothing to wait
        for.

        Args:
            timeout: seconds to wait.

        Returns:
            Whether it has it in time.

        Raises:
            RuntimeError: it is not awaited in the loop that serves the app.

        """
        return await self.topics.flush(timeout)

    @property
    def broker_counters(self) -> BrokerCounters:
        """What was published to other processes, came from them and was lost, as numbers."""
        return self.topics.counters
