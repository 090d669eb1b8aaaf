"""What the package believes of the interpreter, for tests of how it does with less."""

from __future__ import annotations

import gc
import sys
import time

import pytest

from socketify.native import capabilities

#: Whether this CPython was built without a lock that all threads share, be it on or off.
FREE_THREADED = "t" in getattr(sys, "abiflags", "")


def lack(monkeypatch: pytest.MonkeyPatch, **less: bool) -> None:
    """Let what is made from now on do without some of it: ``lack(monkeypatch, members=False)``."""
    believed = capabilities._replace(**less)
    for name, module in list(sys.modules.items()):
        if name.startswith("socketify.") and getattr(module, "capabilities", None) is capabilities:
            monkeypatch.setattr(module, "capabilities", believed)


def search_takes() -> float:
    """Return how many seconds of a processor a search for forgotten responses may take: none where references are counted."""
    if hasattr(sys, "getrefcount"):
        return 0.0
    before = time.process_time()
    gc.collect()
    return 2 * (time.process_time() - before)


#: For tests of what happens as soon as nothing refers to an object any more.
counts_references = pytest.mark.skipif(
    not hasattr(sys, "getrefcount"), reason="only the next collection finds out that nothing refers to an object"
)
#: For tests of what an exception does that ctypes cannot pass on.
tells_of_ignored_exceptions = pytest.mark.skipif(
    sys.implementation.name == "pypy", reason="ctypes of PyPy prints what it ignores, and calls no hook"
)
