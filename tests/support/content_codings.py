"""What clients do with coded content, also while it still arrives."""

from __future__ import annotations

import importlib
import sys
import zlib
from typing import Any, Callable

import pytest
from capabilities import FREE_THREADED


def first_of(*names: str) -> Any:
    """Import the first module that is there; PyPy and free-threaded CPython have not all of them, which skips what needs it."""
    for name in names[:-1]:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    if sys.implementation.name == "pypy" or FREE_THREADED:
        return pytest.importorskip(names[-1])
    return importlib.import_module(names[-1])


brotli = first_of("brotli", "brotlicffi")
zstd = first_of("compression.zstd", "backports.zstd")

CODINGS = ("zstd", "br", "gzip")


def decoder(coding: str) -> Callable[[bytes], bytes]:
    """Return a function that takes pieces, and returns what can be read so far."""
    if coding == "gzip":
        return zlib.decompressobj(31).decompress
    if coding == "br":
        return brotli.Decompressor().process
    return zstd.ZstdDecompressor().decompress


def decoded(coding: Any, content: bytes) -> bytes:
    """Return the content of a whole message that is complete, and has nothing behind its end."""
    if coding is None:
        return content
    if coding == "gzip":
        gzip = zlib.decompressobj(31)
        text = gzip.decompress(content)
        assert (gzip.eof, gzip.unused_data) == (True, b"")
        return text
    if coding == "br":
        text = brotli.decompress(content)
        return bytes(text)
    frame = zstd.ZstdDecompressor()
    text = frame.decompress(content)
    assert (frame.eof, frame.unused_data) == (True, b"")
    return bytes(text)
