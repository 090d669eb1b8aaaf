"""An import path of earlier versions, for :mod:`socketify.process.supervisor`."""

from .process.supervisor import supervise

__all__ = ["supervise"]
