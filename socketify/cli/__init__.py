"""The command line: ``python -m socketify module:app``, or ``socketify module:app``."""

from .main import main

__all__ = ["main"]
