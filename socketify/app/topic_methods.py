"""What an app does with topics."""

from __future__ import annotations

from typing import Any, Union

from ..topics.counters import BrokerCounters
from ..topics.topics import Topics
from ..websocket.constants import OpCode


class TopicMethods:
    """The methods of an app that are about topics."""

    #: For the framework.
    topics: Topics

    def publish(self, topic: str, message: Any, opcode: Union[OpCode, int] = OpCode.BINARY, compress: bool = False) -> bool:
        """Send to all websockets that are subscribed to a topic, in all processes that share the broker. Thread-safe.

        Args:
            topic: its name.
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

    def num_subscribers(self, topic: str) -> int:
        """Return the number of websockets of this process that are subscribed to a topic.

        Raises:
            RuntimeError: another thread asks, and the app's does not answer in time.

        """
        return self.topics.num_subscribers(topic)

    async def count_subscribers(self, topic: str, timeout: float = 1.0) -> int:
        """Return the number of websockets that are subscribed to a topic, in all processes that share the broker.

        Args:
            topic: its name.
            timeout: seconds to wait for other processes; those that do not answer in time are not counted. Without a
                connection to the broker only this process is.

        Raises:
            RuntimeError: it is not awaited in the loop that serves the app.
            TypeError, ValueError: an argument is wrong.

        """
        return await self.topics.count_subscribers(topic, timeout)

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
