"""Finding and loading the native library."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any

from . import abi

_SUFFIX = ".dylib" if sys.platform == "darwin" else ".so"


def library_path() -> Path:
    """Return where the library is: beside this file, or what ``SOCKETIFY_LIBRARY`` names."""
    return Path(os.environ.get("SOCKETIFY_LIBRARY") or Path(__file__).with_name("libsocketify" + _SUFFIX))


def load_library() -> Any:
    """Load the library beside this file, or the one that ``SOCKETIFY_LIBRARY`` names, such as a build with checks.

    Calls keep the interpreter lock (``ctypes.PyDLL``): nothing native blocks. PyPy has no such class, and gives it up.

    Raises:
        ImportError: there is no such library, or it was built from other headers than this package; or another interpreter
            of this process (``concurrent.interpreters``) uses it.

    """
    path = library_path()
    if not path.exists():
        message = f"the native library is missing: {path} (in a source tree, run: python -m ziglang build)"
        raise ImportError(message)
    library = getattr(ctypes, "PyDLL", ctypes.CDLL)(str(path))
    found = _digest(library)
    if found != abi.DIGEST:
        message = f"{path} has ABI {found:016x}, this package needs {abi.DIGEST:016x}: build it again"
        raise ImportError(message)
    for name, (result, parameters) in abi.FUNCTIONS.items():
        function = getattr(library, name)
        function.restype = result
        if name not in abi.UNCHECKED:
            function.argtypes = parameters
    if not library.sk_python_claim(_interpreter()):
        message = (
            "socketify serves one interpreter of a process, the first that imported it: "
            "import it there, or use processes instead of subinterpreters"
        )
        raise ImportError(message)
    return library


def _digest(library: ctypes.CDLL) -> int:
    """Return the digest of the headers that a library was built from; 0 for a library that has no such number."""
    if not hasattr(library, "sk_abi_digest"):
        return 0
    library.sk_abi_digest.restype = ctypes.c_uint64
    return int(library.sk_abi_digest())


def _interpreter() -> int:
    """Return the number of this interpreter; only CPython has several in a process."""
    if sys.implementation.name != "cpython":
        return 0
    current = ctypes.pythonapi.PyInterpreterState_Get
    current.restype = ctypes.c_void_p
    number = ctypes.pythonapi.PyInterpreterState_GetID
    number.restype, number.argtypes = ctypes.c_int64, (ctypes.c_void_p,)
    return int(number(current()))


lib = load_library()
