"""SSGI applications on an app."""

from typing import Any

from .http import SSGIHttpResponse
from .websocket import SSGIWebSocket

__all__ = ["SSGI", "SSGIHttpResponse", "SSGIWebSocket"]

#: What programs of the published package import from here; ``socketify.interfaces`` sets it, as imports point downwards.
SSGI: Any
