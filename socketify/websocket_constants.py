"""What earlier versions had here; it is in :mod:`socketify.websocket.constants`."""

from .websocket.constants import CompressOptions, OpCode, SendStatus

__all__ = ["CompressOptions", "OpCode", "SendStatus"]
