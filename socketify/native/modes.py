"""How CPython and the native side call each other: by all that the interpreter has, or by less of it, as others must.

``SOCKETIFY_CALLS`` in the environment names one of four modes; users see the same in each of them:

``members``
    The default. The native side calls CPython's C API by address; it gives requests and messages to handlers, and answers for
    them, without Python between, for which it reads the slots of responses, requests and websockets where they lie.
``no-members``
    The same, but objects are only used through the C API, as on free-threaded builds.
``no-iterator-send``
    As ``members``, but coroutines are stepped by Python, and with them ASGI is served by it, as on CPython 3.9, which has no
    ``PyIter_Send``.
``ctypes``
    No C API at all: everything goes through ctypes, as on PyPy.

An interpreter may have less than its mode allows; :data:`socketify.native.capabilities` says what there is.
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
        ImportError: it names none.

    """
    mode = os.environ.get(VARIABLE, MEMBERS)
    if mode not in MODES:
        message = f"{VARIABLE} must be one of {', '.join(MODES)}, not {mode!r}"
        raise ImportError(message)
    return mode
