"""Layer 5: finds and loads the native library and declares its functions once."""

from .library import load_library

lib = load_library()

__all__ = ["lib"]
