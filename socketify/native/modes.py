"""How CPython and the native side call each other: by all that the interpreter has, or by less of it, as others must."""

from __future__ import annotations

import os

VARIABLE = "SOCKETIFY_CALLS"

#: Everything that is there: the default.
MEMBERS = "members"
#: Members of objects are not read where they lie, as on builds without the common lock.
NO_MEMBERS = "no-members"
#: Coroutines are stepped by Python, as on CPython 3.9, which has no PyIter_Send.
NO_ITERATOR_SEND = "no-iterator-send"
#: No C API at all, as on PyPy.
CTYPES = "ctypes"

MODES = (MEMBERS, NO_MEMBERS, NO_ITERATOR_SEND, CTYPES)


def chosen_mode() -> str:
    """Give the mode that ``SOCKETIFY_CALLS`` in the environment names, or ``members``. An interpreter may have less.

    Raises:
        ImportError: it names none.

    """
    mode = os.environ.get(VARIABLE, MEMBERS)
    if mode not in MODES:
        message = f"{VARIABLE} must be one of {', '.join(MODES)}, not {mode!r}"
        raise ImportError(message)
    return mode
