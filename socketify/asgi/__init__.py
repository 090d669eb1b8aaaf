"""ASGI 3 applications on an app."""

from typing import Any

__all__ = ["ASGI"]

#: What programs of the published package import from here; ``socketify.interfaces`` sets it, as imports point downwards.
ASGI: Any
