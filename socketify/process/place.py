"""What a process takes of the system before it serves: the file with its number, sockets, and another user."""

from __future__ import annotations

import os
import socket
from typing import Any, Optional

from ..core.listeners import Listener
from ..system.unix_sockets import SocketFile
from .identity import Identity
from .inherited_sockets import open_sockets
from .pid_file import PidFile


class Place:
    """Has a file with the number of the process, and sockets that listen, until :meth:`leave`.

    Args:
        pid_file: its path; None for none.
        identity: who the process is to be; None for who it is.

    Raises:
        OSError: another process has the file, or it cannot be written.

    """

    def __init__(self, pid_file: Optional[str], identity: Optional[Identity] = None) -> None:
        self.sockets: list[list[socket.socket]] = []
        #: The metrics port; None for none.
        self.metrics: Optional[Listener] = None
        self._identity = identity
        self._file: Optional[SocketFile] = None
        self._pid_file = None if pid_file is None else PidFile(pid_file)

    def listen(self, **where: Any) -> None:
        """Listen; the arguments and errors are those of :func:`open_sockets`."""
        identity = self._identity if os.geteuid() == 0 else None
        owner = None if identity is None else (identity.user, identity.group)
        self.sockets, self._file = open_sockets(**where, owner=owner)

    def settle(self) -> None:
        """Be the other user from now on.

        Raises:
            OSError: that is not permitted.

        """
        if self._identity is not None:
            self._identity.take()

    def of_workers(self, threads: int) -> list[list[list[socket.socket]]]:
        """Return the sockets of each worker, and of each of its threads; or those that all share.

        Args:
            threads: of each worker, for which so many sockets were opened.

        """
        return [self.sockets[begin : begin + threads] for begin in range(0, len(self.sockets), threads)]

    def stop_listening(self) -> None:
        """Close the sockets, and remove the file of a Unix-domain socket: the place is another one's to take."""
        for each in (each for group in self.sockets for each in group):
            each.close()
        if self._file is not None:
            self._file.remove()

    def leave(self) -> None:
        """Close the sockets, and remove the files as far as that is permitted."""
        self.stop_listening()
        if self.metrics is not None:
            self.metrics.close()
        if self._pid_file is not None:
            self._pid_file.remove()
