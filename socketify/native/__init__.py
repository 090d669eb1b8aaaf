"""Layer 5: finds and loads the native library and declares its functions once."""

from .calls import lib

__all__ = ["lib"]
