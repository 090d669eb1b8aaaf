"""Tests of applications, over a real socket: clients that serve an application as long as they are open.

>>> from socketify import App
>>> from socketify.testing import TestClient
>>> app = App()
>>> _ = app.get("/", lambda res, req: res.end("Hello, World!"))
>>> with TestClient(app) as client:
...     client.get("/").text
'Hello, World!'
"""

try:
    import httpx as _httpx  # noqa: F401 - whether it is there
    import websockets as _websockets  # noqa: F401
except ImportError as error:
    message = f'socketify.testing needs the package {error.name}: pip install "socketify[testing]"'
    raise ImportError(message, name=error.name) from error

from .async_client import AsyncTestClient
from .async_websocket import AsyncTestWebSocket
from .client import TestClient
from .handshake import WebSocketClosed, WebSocketRejected
from .websocket import TestWebSocket

__all__ = ["AsyncTestClient", "AsyncTestWebSocket", "TestClient", "TestWebSocket", "WebSocketClosed", "WebSocketRejected"]
