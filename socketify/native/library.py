"""Finding and loading the native library."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any

from . import declarations

_SUFFIX = ".dylib" if sys.platform == "darwin" else ".so"


def load_library() -> Any:
    """Load the library that lies beside this file, or the one that ``SOCKETIFY_LIBRARY`` names, such as a build with checks.

    Calls keep the interpreter lock (``ctypes.PyDLL``): nothing native blocks.

    Raises:
        ImportError: there is no such library, or it was built for another version of this package; or another interpreter
            of this process (``concurrent.interpreters``) has it.

    """
    path = Path(os.environ.get("SOCKETIFY_LIBRARY") or Path(__file__).with_name("libsocketify" + _SUFFIX))
    if not path.exists():
        message = f"the native library is missing: {path} (in a source tree, run: python -m ziglang build)"
        raise ImportError(message)
    lib = ctypes.PyDLL(str(path))
    for name, (result, parameters) in declarations.FUNCTIONS.items():
        function = getattr(lib, name)
        function.restype = result
        if name not in declarations.UNCHECKED:
            function.argtypes = parameters
    found = lib.sk_abi_version()
    if found != declarations.ABI_VERSION:
        message = f"{path} has ABI {found}, this package needs {declarations.ABI_VERSION}: build it again"
        raise ImportError(message)
    if not lib.sk_python_claim(_interpreter()):
        message = (
            "socketify serves one interpreter of a process, the first that imported it: "
            "import it there, or use processes instead of subinterpreters"
        )
        raise ImportError(message)
    return lib


def _interpreter() -> int:
    """Give the number of this interpreter; only CPython has several in a process."""
    if sys.implementation.name != "cpython":
        return 0
    current = ctypes.pythonapi.PyInterpreterState_Get
    current.restype = ctypes.c_void_p
    number = ctypes.pythonapi.PyInterpreterState_GetID
    number.restype, number.argtypes = ctypes.c_int64, (ctypes.c_void_p,)
    return int(number(current()))
