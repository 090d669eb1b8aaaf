"""A thread's event loop: asyncio's, which drives the native one, and the coroutines that begin in it."""

from typing import Any

__all__ = ["Loop"]

#: What programs of the published package import from here; ``socketify.interfaces`` sets it, as imports point downwards.
Loop: Any
