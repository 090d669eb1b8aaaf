"""What a process takes of the system before it serves: the file with its number, sockets, and another user."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import Any, Optional

from ..core.listeners import Listener
from .identity import Identity
from .inherited_sockets import open_sockets
from .pid_file import PidFile


class Place:
    """Has a file with the number of the process, and sockets that listen, until :meth:`leave`.

    Args:
        pid_file: its path; None for none.

    Raises:
        OSError: another process has the file, or it cannot be written.

    """

    def __init__(self, pid_file: Optional[str]) -> None:
        self.sockets: list[list[socket.socket]] = []
        #: The metrics port; None for none.
        self.metrics: Optional[Listener] = None
        self._path: Optional[str] = None
        self._pid_file = None if pid_file is None else PidFile(pid_file)

    def listen(self, **where: Any) -> None:
        """Listen; the arguments and errors are those of :func:`open_sockets`."""
        self.sockets = open_sockets(**where)
        self._path = where["uds"]

    def become(self, identity: Identity) -> None:
        """Be another user from now on, with the files that are there.

        Raises:
            OSError: that is not permitted.

        """
        if os.geteuid() == 0:
            if self._path is not None:
                os.chown(self._path, identity.user, identity.group)
            if self._pid_file is not None:
                self._pid_file.give_to(identity.user, identity.group)
        identity.take()

    def leave(self) -> None:
        """Close the sockets, and remove the files as far as that is permitted."""
        for each in (each for group in self.sockets for each in group):
            each.close()
        if self.metrics is not None:
            self.metrics.close()
        if self._path is not None:
            with contextlib.suppress(OSError):
                Path(self._path).unlink()
        if self._pid_file is not None:
            self._pid_file.remove()
