"""What earlier versions had here; it is in :mod:`socketify.process.supervisor`."""

from .process.supervisor import supervise

__all__ = ["supervise"]
