"""A channel layer of Django Channels on the broker of the app: ``{"BACKEND": "socketify.channels.ChannelLayer"}``."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine, Mapping
from typing import Any, Callable, Optional, TypeVar

from channels.exceptions import ChannelFull
from channels.layers import BaseChannelLayer

from .topics.current import find_current
from .topics.mailboxes import Mailboxes, MailboxFullError
from .topics.topics import Topics
from .wire.channel_messages import decode_message, encode_message

Result = TypeVar("Result")
logger = logging.getLogger("socketify")
#: Seconds to wait for the broker at most.
_FLUSH_SECONDS = 1.0


class ChannelLayer(BaseChannelLayer):  # type: ignore[misc]
    """The channel layer of the app that serves Django; see the specification of channel layers, of Channels 4.

    It reaches all processes that share the app's broker, with the extensions ``groups`` and ``flush``. Channels are those of
    ``new_channel``; there are no queues that several processes share, as ``runworker`` needs them. Any thread, with whatever
    event loop, may use it; the app's thread does the work.

    Args:
        expiry: seconds after which a message is dropped that nobody received.
        group_expiry: seconds after which a channel leaves a group that it was not added to again.
        capacity: messages that may wait in a channel.
        channel_capacity: other capacities, by patterns of channels, as ``{"specific.*": 10}``.
        prefix: of the names that it uses on the broker: layers with others do not meet.

    """

    extensions = ("groups", "flush")

    def __init__(
        self,
        expiry: float = 60,
        group_expiry: float = 86400,
        capacity: int = 100,
        channel_capacity: Optional[Mapping[Any, int]] = None,
        prefix: str = "default",
    ) -> None:
        super().__init__(expiry=expiry, capacity=capacity, channel_capacity=self.compile_capacities(channel_capacity or {}))
        self.group_expiry = group_expiry
        self.prefix = prefix
        #: Of each app; one after the other may be served.
        self._mailboxes: dict[Topics, Mailboxes] = {}
        self._lock = threading.Lock()

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        """Send to a channel.

        Raises:
            ChannelFull: the channel is of this process, and has no room; one of another process drops the message.
            TypeError: the channel's name is not valid, or the message is not.
            ValueError: the channel is none that :meth:`new_channel` returned.
            RuntimeError: no app is served in this process, or several are.

        """
        self.require_valid_channel_name(channel)
        data = encode_message(message)
        try:
            await self._call(lambda boxes: boxes.send(channel, data))
        except MailboxFullError:
            raise ChannelFull(channel) from None

    async def receive(self, channel: str) -> dict[str, Any]:
        """Wait for the next message of a channel of this process, and return it.

        Raises:
            TypeError: the channel's name is not valid.
            ValueError: the channel is none of this process.
            RuntimeError: no app is served in this process, or several are.

        """
        self.require_valid_channel_name(channel)
        while True:
            data = await _in_loop(lambda topics: self._of(topics).receive(channel))
            try:
                return decode_message(data)
            except ValueError:
                logger.exception("the broker delivered to the channel %r what no channel layer sends", channel)

    async def new_channel(self, prefix: str = "specific") -> str:
        """Return the name of a new channel of this process.

        Raises:
            RuntimeError: no app is served in this process, or several are.

        """
        return await self._call(lambda boxes: boxes.new_name(prefix))

    async def group_add(self, group: str, channel: str) -> None:
        """Let a channel get what is sent to a group.

        Raises:
            TypeError: a name is not valid.
            ValueError, RuntimeError: see :meth:`send`.

        """
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)
        await self._call(lambda boxes: boxes.join(group, channel))

    async def group_discard(self, group: str, channel: str) -> None:
        """Let a channel leave a group.

        Raises:
            TypeError, ValueError, RuntimeError: see :meth:`group_add`.

        """
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)
        await self._call(lambda boxes: boxes.leave(group, channel))

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Send to all channels of a group, in all processes; those that have no room drop the message.

        Raises:
            TypeError: the group's name is not valid, or the message is not.
            RuntimeError: no app is served in this process, or several are.

        """
        self.require_valid_group_name(group)
        data = encode_message(message)
        await self._call(lambda boxes: boxes.send_to_group(group, data))

    async def flush(self) -> None:
        """Forget all messages and groups of this process."""
        await self._call(Mailboxes.clear)

    async def close(self) -> None:
        """Do nothing: the app closes its broker."""

    def _of(self, topics: Topics) -> Mailboxes:
        # The loops of several threads may come here.
        with self._lock:
            found = self._mailboxes.get(topics)
            if found is None:
                for each in [each for each in self._mailboxes if not each.core.native]:
                    del self._mailboxes[each]
                found = Mailboxes(topics.messenger, self.prefix, self.get_capacity, self.expiry, self.group_expiry)
                self._mailboxes[topics] = found
            return found

    async def _call(self, function: Callable[[Mailboxes], Result]) -> Result:
        async def call(topics: Topics) -> Result:
            boxes = self._of(topics)
            result = function(boxes)
            heard = boxes.listening
            if boxes.settled < heard and topics.is_connected:
                # What others send from now on arrives, too.
                await topics.flush(_FLUSH_SECONDS, skips_silent=True)
                boxes.settled = max(boxes.settled, heard)
            return result

        return await _in_loop(call)


async def _in_loop(function: Callable[[Topics], Coroutine[Any, Any, Result]]) -> Result:
    """Call a coroutine function with the topics of the app, in its loop, whichever loop waits for the result."""
    topics, _ = find_current("the channel layer")
    home = topics.core.home
    if home.is_current:
        return await function(topics)
    loop = home.loop
    if loop is None:
        message = "the channel layer needs an app, and the one of this process stops"
        raise RuntimeError(message)
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(function(topics), loop))
