"""Who is at the other end of a Unix-domain socket."""

from __future__ import annotations

import ctypes
import os
import platform
import socket
import struct

from .c_library import c_function

#: Process, user and group.
_CREDENTIALS = struct.Struct("3i")
#: PyPy does not name it, and POWER counts differently.
_SO_PEERCRED = getattr(socket, "SO_PEERCRED", 21 if platform.machine().startswith("ppc") else 17)


def peer_user(connection: socket.socket) -> int:
    """Return the number of the user who connected.

    Raises:
        OSError: it is no connection.

    """
    ask = c_function("getpeereid")
    if ask is None:
        found = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERCRED, _CREDENTIALS.size)
        return int(_CREDENTIALS.unpack(found)[1])
    user, group = ctypes.c_uint32(), ctypes.c_uint32()
    if ask(connection.fileno(), ctypes.byref(user), ctypes.byref(group)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return user.value
