"""Coders of content: gzip of the standard library; brotli and zstd where they are installed."""

from __future__ import annotations

import importlib
import zlib
from typing import Any, Callable, Protocol

from ..native import abi

#: In the order in which clients that like several equally get them, with the extra that installs each.
EXTRAS = {"zstd": "zstd", "br": "brotli", "gzip": ""}
#: And the package that it brings.
PACKAGES = {"zstd": "backports.zstd", "br": "brotli"}
#: The levels that each has.
LEVELS = {"zstd": (1, 22), "br": (0, 11), "gzip": (1, 9)}

_GZIP_WINDOW_BITS = 31
#: 256 KiB and 512 KiB, which bound what a response in progress takes, and cost hardly any compression.
_BROTLI_WINDOW_BITS = 18
_ZSTD_WINDOW_BITS = 19


class Coder(Protocol):
    """Codes the content of one response."""

    def code(self, data: bytes, operation: int) -> bytes:
        """Take a piece of it, and return what there is of the coded content.

        Args:
            data: may be empty.
            operation: CODE_MORE, CODE_FLUSH or CODE_END.

        """


class _Gzip:
    __slots__ = ("_coder",)

    def __init__(self, level: int) -> None:
        self._coder = zlib.compressobj(level, zlib.DEFLATED, _GZIP_WINDOW_BITS)

    def code(self, data: bytes, operation: int) -> bytes:
        coded = self._coder.compress(data)
        if operation == abi.CODE_MORE:
            return coded
        return coded + self._coder.flush(zlib.Z_FINISH if operation == abi.CODE_END else zlib.Z_SYNC_FLUSH)


class _Brotli:
    __slots__ = ("_coder",)

    def __init__(self, module: Any, quality: int) -> None:
        self._coder = module.Compressor(quality=quality, lgwin=_BROTLI_WINDOW_BITS)

    def code(self, data: bytes, operation: int) -> bytes:
        coded: bytes = self._coder.process(data)
        if operation == abi.CODE_MORE:
            return coded
        rest: bytes = self._coder.finish() if operation == abi.CODE_END else self._coder.flush()
        return coded + rest


class _Zstd:
    __slots__ = ("_coder", "_modes")

    def __init__(self, module: Any, level: int) -> None:
        names = module.CompressionParameter
        options = {names.compression_level: level, names.window_log: _ZSTD_WINDOW_BITS}
        self._coder = module.ZstdCompressor(options=options)
        # In the order of CODE_MORE, CODE_FLUSH and CODE_END.
        self._modes = (self._coder.CONTINUE, self._coder.FLUSH_BLOCK, self._coder.FLUSH_FRAME)

    def code(self, data: bytes, operation: int) -> bytes:
        coded: bytes = self._coder.compress(data, mode=self._modes[operation])
        return coded


def new_coder(coding: str) -> Callable[[int], Coder]:
    """Return what makes coders of a coding by their level.

    Raises:
        ImportError: its library is not installed.

    """
    if coding == "gzip":
        return _Gzip
    if coding == "br":
        brotli = _first_of("brotli", "brotlicffi")
        return lambda quality: _Brotli(brotli, quality)
    zstd = _first_of("compression.zstd", "backports.zstd")
    return lambda level: _Zstd(zstd, level)


def installed_codings() -> tuple[str, ...]:
    """Return the codings of which there are coders, the best first."""
    return tuple(coding for coding in EXTRAS if _is_installed(coding))


def _is_installed(coding: str) -> bool:
    try:
        new_coder(coding)
    except ImportError:
        return False
    return True


def _first_of(name: str, other: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return importlib.import_module(other)
