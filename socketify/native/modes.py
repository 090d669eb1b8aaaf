"""How CPython and the native side call each other: by all means of the interpreter, or by fewer, as others must.

``SOCKETIFY_CALLS`` in the environment names one of four modes; users see the same behaviour in each:

``members``
    The default. The native side calls CPython's C API by address; it passes requests and messages to handlers, and sends
    answers, without Python code in between, and reads the slots of responses, requests and websockets in memory.
``no-members``
    The same, but objects are only used through the C API, as on builds whose objects do not begin with a reference count
    that is known.
``no-iterator-send``
    As ``members``, but Python code steps coroutines, and so serves ASGI, as on CPython 3.9, which has no
    ``PyIter_Send``.
``ctypes``
    No C API at all: everything goes through ctypes, as on PyPy.

An interpreter may have less than its mode allows; :data:`socketify.native.capabilities` says what is used.
"""

from __future__ import annotations

import os

VARIABLE = "SOCKETIFY_CALLS"

MEMBERS = "members"
NO_MEMBERS = "no-members"
NO_ITERATOR_SEND = "no-iterator-send"
CTYPES = "ctypes"

MODES = (MEMBERS, NO_MEMBERS, NO_ITERATOR_SEND, CTYPES)


def chosen_mode() -> str:
    """Return the mode that the environment names, or ``members``.

    Raises:
        ImportError: it does not name a mode.

    """
    mode = os.environ.get(VARIABLE, MEMBERS)
    if mode not in MODES:
        message = f"{VARIABLE} must be one of {', '.join(MODES)}, not {mode!r}"
        raise ImportError(message)
    return mode
