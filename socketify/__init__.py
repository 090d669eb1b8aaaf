"""A web server and framework for Python on the native core of uWebSockets.

>>> from socketify import App
>>> app = App()
>>> app.get("/", lambda res, req: res.end("Hello, World!"))  # doctest: +ELLIPSIS
<socketify.app.app.App object at ...>
"""

from .app.app import App
from .app.current import current_app
from .app.extensions import AppExtension
from .app.middleware import middleware
from .app.routers import MiddlewareRouter
from .app.templates import Jinja2Template, MakoTemplate
from .core.bridge import Loop
from .core.limits import Limits
from .core.options import AppListenOptions, AppOptions
from .core.response_compression import ResponseCompression
from .http.etags import answer_unchanged, send_with_etag
from .http.event_stream import EventStream
from .http.files import sendfile
from .http.request import Request
from .http.response import Response
from .interfaces import ASGI, SSGI, WSGI
from .process.worker_options import WorkerOptions
from .server.serve import serve
from .tasks import RequestTask, TaskFactory, create_task
from .topics.broker import Broker, BrokerError, Publication
from .topics.counters import BrokerCounters
from .topics.current import publish
from .websocket.admission import is_same_origin
from .websocket.constants import CompressOptions, OpCode, SendStatus
from .websocket.socket import WebSocket
from .wire.errors import BadRequestError, HTTPError
from .wire.forms import FormData, UploadFile
from .wire.handshake_facts import HandshakeFacts

__version__ = "0.2.0"

__all__ = [
    "ASGI",
    "SSGI",
    "WSGI",
    "App",
    "AppExtension",
    "AppListenOptions",
    "AppOptions",
    "BadRequestError",
    "Broker",
    "BrokerCounters",
    "BrokerError",
    "CompressOptions",
    "EventStream",
    "FormData",
    "HTTPError",
    "HandshakeFacts",
    "Jinja2Template",
    "Limits",
    "Loop",
    "MakoTemplate",
    "MiddlewareRouter",
    "OpCode",
    "Publication",
    "Request",
    "RequestTask",
    "Response",
    "ResponseCompression",
    "SendStatus",
    "TaskFactory",
    "UploadFile",
    "WebSocket",
    "WorkerOptions",
    "__version__",
    "answer_unchanged",
    "create_task",
    "current_app",
    "is_same_origin",
    "middleware",
    "publish",
    "send_with_etag",
    "sendfile",
    "serve",
]
