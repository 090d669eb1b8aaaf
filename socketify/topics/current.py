"""The app that is meant where none is at hand: in applications of other interfaces, background tasks and threads."""

from __future__ import annotations

import os
import weakref
from typing import Any, Union

from ..core.core import Core
from ..websocket.constants import OpCode
from ..websocket.encoding import Topic
from .topics import Topics

#: The topics of all apps, as far as these exist, and the apps. Threads add and remove some while others look.
_known: dict[weakref.ref[Topics], weakref.ref[Any]] = {}


def announce(topics: Topics, app: Any) -> None:
    """Let an app and its topics be found while it is served."""
    _known[weakref.ref(topics, _forget)] = weakref.ref(app)


def _forget(reference: weakref.ref[Topics]) -> None:
    _known.pop(reference, None)


def find_current(what: str) -> tuple[Topics, Any]:
    """Return the topics and the app, which the loop of this thread serves, else which is the only one that this process serves.

    A thread that works for that of an app counts as that one. Of apps that several threads serve together one stands for all.

    Args:
        what: asks, for the error.

    Raises:
        RuntimeError: there is none, or several.

    """
    # A copy, as the garbage collector may remove some at every step of a program.
    known = [(topics(), app()) for topics, app in _known.copy().items()]
    served = [(topics, app) for topics, app in known if topics is not None and _is_served(topics.core)]
    found = served if len(served) == 1 else [each for each in served if each[0].core.home.has_caller] or served
    if found and _are_served_together([app for _, app in found]):
        return found[0]
    if found:
        message = f"{what} cannot tell which of {len(found)} apps is meant that this process serves: use the app's own"
    else:
        message = f"{what} needs an app, and this process serves none now: other programs publish through the broker"
    raise RuntimeError(message)


def _is_served(core: Core) -> bool:
    # A child of a fork has copies of its parent's apps.
    return core.native != 0 and core.accepts() and core.home.process == os.getpid()


def _are_served_together(apps: list[Any]) -> bool:
    """Return whether apps are those of the threads of one program, or one alone."""
    first, *more = (None if each is None else each.lifecycle for each in apps)
    return not more or (first is not None and all(any(each is other for other in first.others) for each in more))


def publish(topic: Topic, message: Any, opcode: Union[OpCode, int] = OpCode.BINARY, compress: bool = False) -> bool:
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
    return find_current("socketify.publish")[0].publish(topic, message, opcode, compress)
