"""Bytes that have to wait before they can be sent: the native side refers to them instead of copying them."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Optional, Union

from . import abi

_Content = Union[bytes, "ctypes.Array[ctypes.c_char]"]
_OwnerCallback = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)

#: By identity, the objects that the native side refers to, and how often.
_held: dict[int, list[Any]] = {}
#: The objects that the current call may refer to.
_offered: dict[int, _Content] = {}
_library: Any = None


def _retain(owner: int) -> None:
    _held.setdefault(owner, [_offered.get(owner), 0])[1] += 1


def _release(owner: int) -> None:
    held = _held[owner]
    held[1] -= 1
    if not held[1]:
        del _held[owner]


_callbacks = (_OwnerCallback(_retain), _OwnerCallback(_release))


def lend_by(library: Any, addresses: Optional[tuple[int, int]]) -> None:
    """Set the functions by which the native side refers to objects and releases them.

    Args:
        library: the native library.
        addresses: of ``Py_IncRef`` and ``Py_DecRef``; None if there are none, or Python code has to do it.

    """
    global _library  # noqa: PLW0603 - there is one
    _library = library
    retain, release = addresses or (ctypes.cast(each, ctypes.c_void_p).value for each in _callbacks)
    library.sk_lend_by(retain, release)


@contextmanager
def lent(data: bytes) -> Generator[_Content, None, None]:
    """Yield the bytes for a call within the block: the native side refers to them if they have to wait."""
    if len(data) < abi.LENT_MIN:
        yield data
        return
    # Other interpreters may move bytes in memory.
    content: _Content = data if sys.implementation.name == "cpython" else ctypes.create_string_buffer(data, len(data))
    owner = id(content)
    _offered[owner] = content
    try:
        _library.sk_lend(owner, content, len(data))
        yield content
    finally:
        _library.sk_lend(None, None, 0)
        _offered.pop(owner, None)
