"""The calls of each request by cffi, which PyPy has built in and compiles: by its ctypes they take twice as long."""

from __future__ import annotations

import sys
from typing import Any, Callable, Optional

from . import abi

_DECLARATIONS = """
int32_t sk_res_send(uint32_t, const char *, int32_t, int32_t, const char *, size_t, int32_t);
int32_t sk_res_write(uint32_t, const char *, int32_t, int32_t, const char *, size_t);
int32_t sk_res_stream(uint32_t, const char *, int32_t, int32_t, const char *, size_t);
int32_t sk_ws_send(uint32_t, const char *, size_t, int32_t);
"""
_REQUEST = "int32_t(uint32_t, int32_t)"


class CffiCalls:
    """What takes the place of calls by ctypes.

    Args:
        path: of the library.

    """

    def __init__(self, path: str) -> None:
        import cffi  # noqa: PLC0415 - only PyPy has it always

        self._ffi: Any = cffi.FFI()
        self._ffi.cdef(_DECLARATIONS)
        # The library is loaded already: this is another name for it.
        library = self._ffi.dlopen(path)
        self.res_send = self._with_head(library.sk_res_send)
        self.res_write = self._with_head(library.sk_res_write)
        self.res_stream = self._with_head(library.sk_res_stream)
        self.ws_send: Callable[..., int] = library.sk_ws_send

    def _with_head(self, function: Callable[..., int]) -> Callable[..., int]:
        null = self._ffi.NULL

        def call(handle: int, head: Optional[bytes], *arguments: Any) -> int:
            if head is None:
                return function(handle, null, *arguments)
            # Lists of numbers would do as well.
            if not isinstance(head, bytes):
                message = f"head must be bytes, not {type(head).__name__}"
                raise TypeError(message)
            return function(handle, head, *arguments)

        return call

    def request_callback(self, function: Callable[[int, int], int]) -> Any:
        """Make an ``sk_request_fn`` of a function of a handle and a receipt."""
        made = self._ffi.callback(_REQUEST, function)
        callback: Any = abi.RequestCallback(int(self._ffi.cast("uintptr_t", made)))
        # It lives as long as the one that is passed.
        callback.made = made
        return callback


def cffi_calls(path: str) -> Optional[CffiCalls]:
    """Return them where they are the faster ones."""
    return CffiCalls(path) if sys.implementation.name == "pypy" else None
