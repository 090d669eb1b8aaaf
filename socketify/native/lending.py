"""Bytes that have to wait before they can be sent: the native side refers to them instead of copying them."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Optional, Union

from . import abi

Content = Union[bytes, ctypes.c_char_p]
#: ctypes of PyPy converts the bytes of an argument one by one, which takes longer than finding their address from here on.
_ADDRESSED_MIN = 64
_ON_PYPY = sys.implementation.name == "pypy"

_OwnerCallback = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)

#: By identity, the objects that the native side refers to, and how often; threads send the same ones.
_held: dict[int, list[Any]] = {}
# The garbage collector may end something that is held at every step.
_held_lock = threading.RLock()
#: By thread and identity, the objects that its current call may refer to.
_offered: dict[tuple[int, int], bytes] = {}
_library: Any = None
#: What :func:`placed` was given last, which nothing else may refer to.
_here = threading.local()


def _retain(owner: int) -> None:
    offered = _offered.get((threading.get_ident(), owner))
    with _held_lock:
        _held.setdefault(owner, [offered, 0])[1] += 1


def _release(owner: int) -> None:
    with _held_lock:
        held = _held[owner]
        held[1] -= 1
        # The object ends outside.
        over = None if held[1] else _held.pop(owner)
    del over


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
def lent(data: bytes) -> Generator[Content, None, None]:
    """Yield the bytes for a call within the block: the native side refers to them if they have to wait."""
    length = len(data)
    if length < _LEAST:
        yield data
        return
    owner = id(data)
    offer = threading.get_ident(), owner
    _offered[offer] = data
    try:
        content = _address(data)
        if length >= abi.LENT_MIN:
            _library.sk_lend(owner, content, length)
        yield content
    finally:
        if length >= abi.LENT_MIN:
            _library.sk_lend(None, None, 0)
        _offered.pop(offer, None)


def placed(data: bytes) -> Content:
    """Return what a native function takes instead of bytes, so that ctypes copies none; it is good for the next call."""
    if not _ON_PYPY:
        return data
    _here.placed = data
    return _address(data)


def _address(data: bytes) -> Content:
    if not _ON_PYPY or not isinstance(data, bytes):
        return data
    # As its own ctypes finds it; the address stays the same as long as the object lives.
    return ctypes.c_char_p(memoryview(data)._pypy_raw_address())  # type: ignore[attr-defined] # noqa: SLF001 - of PyPy alone


#: Shorter ones are passed as they are.
_LEAST = _ADDRESSED_MIN if _ON_PYPY else abi.LENT_MIN
