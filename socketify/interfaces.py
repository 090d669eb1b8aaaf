"""Import paths of earlier versions, and of the published package. Import these from :mod:`socketify`."""

from . import asgi, loop, ssgi, wsgi
from .asgi.lifespan import LifespanError
from .asgi.protocol import ClientDisconnectedError
from .core.bridge import Loop
from .server import mounting as _mounting  # noqa: F401 - apps mount by it from now on
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

asgi.ASGI, loop.Loop, ssgi.SSGI, wsgi.WSGI = ASGI, Loop, SSGI, WSGI
