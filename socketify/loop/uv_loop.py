"""The native loop below uvloop's: both wait in one place."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import functools
import importlib
from types import ModuleType
from typing import Any, Optional

from ..native import abi, capabilities, lib

#: libuv 1.48, that of uvloop 0.20: `uv_backend_timeout` must tell of descriptors that libuv has not begun to watch yet.
_OLDEST = 1 << 16 | 48 << 8


class UvDriver:
    """What drives the native loop of a thread by a loop of uvloop.

    Args:
        loop: the loop.
        address: what ``sk_uv_attach`` returned.

    """

    def __init__(self, loop: asyncio.AbstractEventLoop, address: int) -> None:
        self._loop = loop
        self._address = address

    def give_way(self) -> None:
        """Let other loops drive the native one, too."""
        lib.sk_uv_give_way(self._address)

    def detach(self) -> None:
        """End it."""
        lib.sk_uv_detach(self._address, self._loop.is_closed())


def drive_by_uv(loop: asyncio.AbstractEventLoop) -> Optional[UvDriver]:
    """Let a loop of uvloop drive the native loop of this thread, in the context of the caller.

    Returns:
        What drives it, or None where that is not possible.

    """
    functions = _functions()
    if functions is None:
        return None
    module, addresses = functions
    capsule = module.libuv_get_loop_t_ptr(loop)
    uv = abi.UvStruct(loop=_capsule_pointer()(capsule, None), **addresses)
    context = contextvars.copy_context()
    address = lib.sk_uv_attach(ctypes.byref(uv), id(context))
    return UvDriver(loop, address) if address else None


@functools.cache
def _capsule_pointer() -> Any:
    prototype = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    return prototype(("PyCapsule_GetPointer", ctypes.pythonapi))


@functools.cache
def _functions() -> Optional[tuple[ModuleType, dict[str, Optional[int]]]]:
    """Return uvloop's module, and the addresses of libuv's functions in it; None where one is missing."""
    if not capabilities.c_api:
        return None
    try:
        module = importlib.import_module("uvloop.loop")
        if module.libuv_get_version() < _OLDEST:
            return None
        library = ctypes.CDLL(str(module.__file__))
        names = [field[0] for field in abi.UvStruct._fields_ if field[0] != "loop"]
        found = {name: ctypes.cast(getattr(library, f"uv_{name}"), ctypes.c_void_p).value for name in names}
    except (ImportError, OSError, AttributeError):
        return None
    return module, found
