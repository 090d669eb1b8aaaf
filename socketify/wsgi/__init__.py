"""WSGI applications (PEP 3333) on an app."""

from typing import Any

__all__ = ["WSGI"]

#: What programs of the published package import from here; ``socketify.interfaces`` sets it, as imports point downwards.
WSGI: Any
