"""Servers for applications that are written for other interfaces: ASGI, WSGI and SSGI."""

from .asgi import ASGI
from .asgi_common import ClientDisconnectedError
from .asgi_lifespan import LifespanError
from .server import InterfaceServer
from .ssgi import SSGI
from .ssgi_http import SSGIHttpResponse
from .ssgi_websocket import SSGIWebSocket
from .wsgi import WSGI

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
