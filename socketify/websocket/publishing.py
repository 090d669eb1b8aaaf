"""What a websocket publishes, where the native side alone does not do it."""

from __future__ import annotations

from typing import Any, Union

from ..core.core import Core
from ..native import lent, lib
from ..native.abi import STALE, WS_EXCLUDE_SELF, WS_TOPICS_RESERVED
from .constants import OpCode
from .encoding import RESERVED_TOPIC, encode_publication


def publish_from(
    core: Core, handle: int, topic: str, message: Any, opcode: Union[OpCode, int], compress: bool, exclude_self: bool
) -> bool:
    """Implement :meth:`socketify.WebSocket.publish` in the thread of the app.

    Args:
        core: of the app.
        handle: of the websocket; nothing is published after its end.
        topic: its name.
        message: as :meth:`Core.encoded` takes it.
        opcode: TEXT or BINARY.
        compress: whether to compress it, where that was negotiated.
        exclude_self: whether the websocket does not get it.

    Raises:
        TypeError, ValueError: an argument is wrong.

    """
    if handle and not exclude_self and core.publish is not None:
        return core.publish(topic, message, opcode, compress)
    name, payload, flags = encode_publication(core, topic, message, opcode, compress)
    relay = core.relay
    if relay is not None and topic.startswith(WS_TOPICS_RESERVED):
        raise ValueError(RESERVED_TOPIC)
    with lent(payload) as content:
        reached = lib.sk_ws_publish(
            handle, name, len(name), content, len(payload), flags | (WS_EXCLUDE_SELF if exclude_self else 0)
        )
    if relay is not None and reached != STALE:
        relay(topic, payload, flags)
    return bool(reached == 1)
