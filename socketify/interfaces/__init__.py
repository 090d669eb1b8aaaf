"""Servers for applications that are written for other interfaces: ASGI, WSGI and SSGI."""

from .asgi import ASGI
from .asgi_common import ClientDisconnectedError
from .asgi_lifespan import LifespanError
from .server import InterfaceServer

__all__ = ["ASGI", "ClientDisconnectedError", "InterfaceServer", "LifespanError"]
