"""Bytes of a known length whose pieces arrive one by one, each copied once."""

from __future__ import annotations

import contextlib
import ctypes
from typing import Callable, Optional

from .cpython import capabilities

#: Makes bytes that nobody has seen: only then may they be written to.
_new_bytes: Optional[Callable[[Optional[int], int], bytes]] = None
if capabilities.c_api:
    _prototype = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_ssize_t)
    _new_bytes = _prototype(("PyBytes_FromStringAndSize", ctypes.pythonapi))


class CollectedBytes:
    """Collects pieces of which there will be so many bytes altogether.

    Their memory is only touched as they arrive, so that a client who declares much and sends little costs little.

    Where there is no room for so many, the pieces are kept as they are: perhaps they never come.

    Args:
        length: of all pieces.

    """

    __slots__ = ("_address", "_filled", "_pieces", "_whole")

    def __init__(self, length: int) -> None:
        self._whole: Optional[bytes] = None
        if _new_bytes is not None:
            with contextlib.suppress(MemoryError, OverflowError):
                self._whole = _new_bytes(None, length)
                # The content is what an object of bytes ends with, before a zero.
                self._address = id(self._whole) + bytes.__basicsize__ - 1
        self._filled = 0
        self._pieces: list[bytes] = []

    def add(self, address: int, length: int) -> None:
        """Copy a piece from an address."""
        if self._whole is None:
            self._pieces.append(ctypes.string_at(address, length))
            return
        if self._filled + length > len(self._whole):
            message = "a body is longer than its client declared"
            raise ValueError(message)
        ctypes.memmove(self._address + self._filled, address, length)
        self._filled += length

    def finish(self) -> bytes:
        """Return what has arrived. This is the last call."""
        whole, self._whole = self._whole, None
        if whole is None:
            return b"".join(self._pieces)
        return whole if self._filled == len(whole) else whole[: self._filled]
