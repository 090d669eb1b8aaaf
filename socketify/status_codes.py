"""An import path of the published package, for the status lines that numbers stand for (RFC 9110 section 15)."""

from .wire.headers import LINES

__all__ = ["status_codes"]

status_codes = LINES
