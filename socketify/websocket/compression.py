"""The zlib that compresses messages."""

from __future__ import annotations

import ctypes.util
import functools
import logging

from ..native import lib

logger = logging.getLogger("socketify")


@functools.cache
def find_zlib() -> bool:
    """Load zlib; without it connections are not compressed, and one log line says so."""
    if lib.sk_zlib_load(None):
        return True
    path = ctypes.util.find_library("z")
    if path and lib.sk_zlib_load(path.encode()):
        return True
    logger.warning("zlib was not found: websocket messages are not compressed")
    return False
