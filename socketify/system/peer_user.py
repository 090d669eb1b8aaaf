"""Who is at the other end of a Unix-domain socket."""

from __future__ import annotations

import ctypes
import platform
import socket
import struct
import sys
from typing import Optional

#: Process, user and group.
_CREDENTIALS = struct.Struct("3i")
#: PyPy does not name it, and POWER counts differently.
_SO_PEERCRED = getattr(socket, "SO_PEERCRED", 21 if platform.machine().startswith("ppc") else 17)


def peer_user(connection: socket.socket) -> Optional[int]:
    """Return the number of the user who connected; None where the system does not tell.

    Raises:
        OSError: it is no connection.

    """
    if sys.platform == "linux":
        found = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERCRED, _CREDENTIALS.size)
        return int(_CREDENTIALS.unpack(found)[1])
    ask = getattr(ctypes.CDLL(None), "getpeereid", None)
    user, group = ctypes.c_uint32(), ctypes.c_uint32()
    if ask is None or ask(connection.fileno(), ctypes.byref(user), ctypes.byref(group)):
        return None
    return user.value
