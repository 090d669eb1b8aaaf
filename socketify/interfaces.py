"""Import paths of earlier versions. Import these from :mod:`socketify`, or from the package of their interface."""

from .asgi.lifespan import LifespanError
from .asgi.protocol import ClientDisconnectedError
from .server.asgi import ASGI
from .server.base import InterfaceServer
from .server.ssgi import SSGI
from .server.wsgi import WSGI
from .ssgi.http import SSGIHttpResponse
from .ssgi.websocket import SSGIWebSocket

__all__ = [
    "ASGI",
    "SSGI",
    "WSGI",
    "ClientDisconnectedError",
    "InterfaceServer",
    "LifespanError",
    "SSGIHttpResponse",
    "SSGIWebSocket",
]
