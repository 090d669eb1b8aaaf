"""Topics for the websockets of Starlette, FastAPI and any other ASGI framework.

>>> from socketify.asgi import topics
>>> async def chat(websocket):
...     await websocket.accept()
...     topics.subscribe(websocket, "room")
...     async for text in websocket.iter_text():
...         topics.publish(websocket, "room", text)

They do what the ASGI messages ``websocket.subscribe``, ``websocket.unsubscribe`` and ``websocket.publish`` do, which the
frameworks' own ``send`` refuses. Nothing of it waits, so nothing is awaited.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Union

from .websocket import ASGIWebSocket
from .websocket_route import WEBSOCKET_KEY


class HasScope(Protocol):
    """A websocket of a framework, which has its ASGI scope as an attribute."""

    @property
    def scope(self) -> Any:
        """The ASGI scope."""


#: A websocket of a framework, or its ASGI scope.
Connection = Union[HasScope, Mapping[str, Any]]
Data = Union[str, bytes, bytearray, memoryview]


def subscribe(websocket: Connection, topic: str, *, presence: Any = None) -> bool:
    """Get what is published to a topic from now on, as messages of the server.

    Args:
        websocket: of the framework, accepted; or its ASGI scope.
        topic: its name.
        presence: what others may see of this websocket on the topic, as JSON; see :meth:`socketify.App.presence`. None for
            nothing: it stays unseen.

    Returns:
        True unless the connection is closed.

    Raises:
        RuntimeError: another server serves it, it is not accepted yet, or another thread than the server's calls.
        TypeError: an argument is no websocket or no topic, or presence is not JSON.
        ValueError: the topic is too long or reserved, or presence is not JSON.

    """
    return _find(websocket).subscribe(topic, presence)


def unsubscribe(websocket: Connection, topic: str) -> bool:
    """Leave a topic. What was published before still arrives. A connection that closes leaves all.

    Args:
        websocket: of the framework, or its ASGI scope.
        topic: its name.

    Returns:
        False when it was not subscribed to, as after the connection closed.

    Raises:
        RuntimeError, TypeError, ValueError: see :func:`subscribe`.

    """
    return _find(websocket).unsubscribe(topic)


def publish(websocket: Connection, topic: str, message: Data, *, exclude_self: bool = False) -> bool:
    """Send to all subscribers of a topic, this websocket included if it is one; it need not be. Thread-safe.

    Args:
        websocket: of the framework, or its ASGI scope; it may be closed. Where there is none, call :func:`socketify.publish`.
        topic: its name.
        message: str is sent as text, bytes as binary. It is compressed if the ``compression`` of ``websocket_options`` says so.
        exclude_self: whether this websocket does not get it.

    Returns:
        Whether there was a subscriber in this process; from another thread than the server's, whether it runs.

    Raises:
        RuntimeError: another server serves it.
        TypeError: an argument is no websocket, no topic or no message.
        ValueError: the topic is too long or reserved.

    """
    if not isinstance(message, (str, bytes, bytearray, memoryview)):
        error = f"message must be str or bytes, not {type(message).__name__}"
        raise TypeError(error)
    return _find(websocket).publish(topic, message, exclude_self=exclude_self)


def _find(websocket: Connection) -> ASGIWebSocket:
    scope = websocket if isinstance(websocket, Mapping) else getattr(websocket, "scope", None)
    if not isinstance(scope, Mapping) or scope.get("type") != "websocket":
        error = f"websocket must be that of an ASGI framework, or its scope, not {type(websocket).__name__}"
        raise TypeError(error)
    found = scope.get(WEBSOCKET_KEY)
    if not isinstance(found, ASGIWebSocket):
        error = f"topics need a websocket that socketify serves: this scope has no {WEBSOCKET_KEY!r}, as another server made it"
        raise RuntimeError(error)
    return found
