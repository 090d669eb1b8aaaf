"""An import path of earlier versions, for :mod:`socketify.websocket.constants`."""

from .websocket.constants import CompressOptions, OpCode, SendStatus

__all__ = ["CompressOptions", "OpCode", "SendStatus"]
