"""Publishing where no app is at hand: in applications of other interfaces, background tasks and threads."""

from __future__ import annotations

import os
import weakref
from typing import Any, Union

from ..core.core import Core
from ..websocket.constants import OpCode
from .topics import Topics

#: The topics of all apps, as far as these exist. Threads add and remove some while others look.
_known: dict[weakref.ref[Topics], None] = {}


def announce(topics: Topics) -> None:
    """Let :func:`current_topics` find the topics of an app while it is served."""
    _known[weakref.ref(topics, _forget)] = None


def _forget(reference: weakref.ref[Topics]) -> None:
    _known.pop(reference, None)


def current_topics(what: str) -> Topics:
    """Return the topics of the app that the loop of this thread serves, else of the one app that is served in this process.

    Args:
        what: asks, for the error.

    Raises:
        RuntimeError: there is none, or several.

    """
    served = [each for each in (reference() for reference in tuple(_known)) if each is not None and _is_served(each.core)]
    found = served if len(served) == 1 else [each for each in served if each.core.home.is_current] or served
    if len(found) == 1:
        return found[0]
    if found:
        message = f"{what} cannot tell which of {len(found)} apps is meant that this process serves: use the app's own"
    else:
        message = f"{what} needs an app, and this process serves none now: other programs publish through the broker"
    raise RuntimeError(message)


def _is_served(core: Core) -> bool:
    # A child of a fork has copies of its parent's apps.
    return core.native != 0 and core.accepts() and core.home.process == os.getpid()


def publish(topic: str, message: Any, opcode: Union[OpCode, int] = OpCode.BINARY, compress: bool = False) -> bool:
    """Publish to a topic of the app that this thread's loop serves, else of the one app that this process serves. Thread-safe.

    For applications of other interfaces, background tasks and threads, which have no :class:`App` at hand.

    Args:
        topic: its name.
        message: str (sent as UTF-8), bytes, bytearray, memoryview, or anything else, which goes through the JSON serializer.
        opcode: TEXT or BINARY.
        compress: whether to compress it, where that was negotiated.

    Returns:
        Whether there was a subscriber in this process; from another thread than the app's, whether the app runs.

    Raises:
        RuntimeError: no app is served in this process, or several are, and none or several of them by this thread's loop.
        TypeError, ValueError: an argument is wrong.

    """
    return current_topics("socketify.publish").publish(topic, message, opcode, compress)
