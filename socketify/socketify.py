"""An import path of the published package, with its names of requests and responses. Import these from :mod:`socketify`."""

from .app.app import App
from .app.extensions import AppExtension
from .http.request import Request as AppRequest
from .http.response import Response as AppResponse
from .websocket.constants import CompressOptions, OpCode, SendStatus
from .websocket.socket import WebSocket

__all__ = [
    "App",
    "AppExtension",
    "AppRequest",
    "AppResponse",
    "CompressOptions",
    "OpCode",
    "SendStatus",
    "WebSocket",
]
