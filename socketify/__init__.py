"""A web server and framework for Python on the native core of uWebSockets.

>>> from socketify import App
>>> app = App()
>>> app.get("/", lambda res, req: res.end("Hello, World!"))  # doctest: +ELLIPSIS
<socketify.app.App object at ...>
"""

from .app import App
from .errors import BadRequestError, HTTPError
from .event_loop import Loop
from .extensions import AppExtension
from .middleware import middleware
from .options import AppListenOptions, AppOptions
from .request import Request
from .response import Response
from .routers import MiddlewareRouter
from .websocket import WebSocket
from .websocket_constants import CompressOptions, OpCode, SendStatus

__version__ = "0.1.0"

__all__ = [
    "App",
    "AppExtension",
    "AppListenOptions",
    "AppOptions",
    "BadRequestError",
    "CompressOptions",
    "HTTPError",
    "Loop",
    "MiddlewareRouter",
    "OpCode",
    "Request",
    "Response",
    "SendStatus",
    "WebSocket",
    "__version__",
    "middleware",
]
