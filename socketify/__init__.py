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
from .forms import FormData, UploadFile
from .interfaces import ASGI, SSGI, WSGI
from .interfaces.serving import serve
from .limits import Limits
from .middleware import middleware
from .options import AppListenOptions, AppOptions
from .request import Request
from .response import Response
from .routers import MiddlewareRouter
from .sendfile import sendfile
from .templates import Jinja2Template, MakoTemplate
from .websocket import WebSocket
from .websocket_admission import is_same_origin
from .websocket_constants import CompressOptions, OpCode, SendStatus

__version__ = "0.1.0"

__all__ = [
    "ASGI",
    "SSGI",
    "WSGI",
    "App",
    "AppExtension",
    "AppListenOptions",
    "AppOptions",
    "BadRequestError",
    "CompressOptions",
    "FormData",
    "HTTPError",
    "Jinja2Template",
    "Limits",
    "Loop",
    "MakoTemplate",
    "MiddlewareRouter",
    "OpCode",
    "Request",
    "Response",
    "SendStatus",
    "UploadFile",
    "WebSocket",
    "__version__",
    "is_same_origin",
    "middleware",
    "sendfile",
    "serve",
]
