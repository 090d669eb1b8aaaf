"""The directory in which processes of one machine find each other: each has a Unix-domain socket there."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import socket
import stat
import tempfile
from pathlib import Path

from ...system.unix_sockets import REFUSAL_IS_FINAL, is_refused
from ..broker import BrokerError

#: What the address of a Unix-domain socket may have, of all systems the least.
_ADDRESS_MAX = 103
_SUFFIX = ".topics"
#: What names of directories that :func:`make_directory` made begin with.
_PREFIX = "sk-topics-"
#: A socket has this before its name until it listens.
_UNFINISHED = "."
#: The longest name: of a process, a token, and what is above.
_NAME_MAX = 8 + 1 + 8 + len(_SUFFIX) + len(_UNFINISHED)
_BACKLOG = 1024


def make_directory() -> Path:
    """Make a directory of this user alone, whose path is short enough. Those that were left by killed programs are removed.

    Raises:
        OSError: there is no place for it.

    """
    where = Path(tempfile.gettempdir())
    probable = len(os.fsencode(where)) + len(f"/{_PREFIX}12345678/") + _NAME_MAX
    if probable > _ADDRESS_MAX:
        where = Path("/tmp")
    for each in where.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if each.lstat().st_uid == os.geteuid() and _is_left(each):
                remove_directory(each)
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=where))


def _is_left(directory: Path) -> bool:
    """Return whether all who had a socket in a directory are dead. One that is empty may be new."""
    found = list(directory.iterdir())
    return bool(found) and all(_is_dead(each) for each in found)


def _is_dead(path: Path) -> bool:
    if not path.name.endswith(_SUFFIX) or path.name.startswith(_UNFINISHED):
        return False
    return is_refused(os.fsencode(path)) and (REFUSAL_IS_FINAL or not _has_process(path.name))


def _has_process(name: str) -> bool:
    """Return whether there is a process of the number that the name of a member begins with."""
    try:
        os.kill(int(name.partition("-")[0], 16), 0)
    except (ValueError, OverflowError, ProcessLookupError):
        return False
    except PermissionError:
        pass
    return True


def remove_directory(directory: Path) -> None:
    """Remove a directory and the sockets in it, as far as that is possible."""
    with contextlib.suppress(OSError):
        for each in directory.iterdir():
            if each.name.endswith(_SUFFIX):
                each.unlink()
        directory.rmdir()


class LocalDirectory:
    """A directory, and the name of this member of it.

    Args:
        path: of the directory; it is made if it is missing.

    Raises:
        BrokerError: it cannot be used, or others than this user may enter it.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._parent = os.getppid()
        #: Of this member; nobody had it before.
        self.name = f"{os.getpid():x}-{secrets.token_hex(4)}{_SUFFIX}"
        try:
            with contextlib.suppress(FileExistsError):
                path.mkdir(mode=0o700)
            found = path.stat()
        except OSError as error:
            message = f"the directory {str(path)!r} of the broker cannot be used: {error.strerror}"
            raise BrokerError(message) from error
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
            message = f"{str(path)!r} must be a directory that this user has alone (mode 0700)"
            raise BrokerError(message)
        if len(os.fsencode(path)) + 1 + _NAME_MAX > _ADDRESS_MAX:
            message = f"the path of the broker's directory is too long for Unix-domain sockets: {str(path)!r}"
            raise BrokerError(message)

    def listen(self) -> socket.socket:
        """Return the socket that others reach this member by.

        Raises:
            BrokerError: there cannot be one.

        """
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        unfinished = self.path / f"{_UNFINISHED}{self.name}"
        try:
            made.setblocking(False)
            made.bind(str(unfinished))
            made.listen(_BACKLOG)
            # One that refuses is thought to be dead, so nobody sees it before.
            unfinished.rename(self.path / self.name)
        except OSError as error:
            made.close()
            with contextlib.suppress(OSError):
                unfinished.unlink()
            message = f"the broker cannot listen in {str(self.path)!r}: {error.strerror or error}"
            raise BrokerError(message) from error
        return made

    def others(self) -> list[str]:
        """Return the names of the other members, some of which may be dead.

        Raises:
            BrokerError: the directory is gone.

        """
        try:
            found = [each.name for each in self.path.iterdir()]
        except OSError as error:
            message = f"the broker cannot look into {str(self.path)!r}: {error.strerror}"
            raise BrokerError(message) from error
        return sorted(name for name in found if self.is_other(name) and not name.startswith(_UNFINISHED))

    def is_other(self, name: str) -> bool:
        """Return whether this may be the name of another member."""
        return name != self.name and name.endswith(_SUFFIX) and "/" not in name

    def reach(self, name: str) -> socket.socket:
        """Return a connection to another member. The socket of a dead one is removed.

        Raises:
            ProcessLookupError: it has left, or is dead.
            OSError: it cannot be reached now.

        """
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.setblocking(False)
            made.connect(str(self.path / name))
        except OSError as error:
            made.close()
            if isinstance(error, ConnectionRefusedError):
                if not REFUSAL_IS_FINAL and _has_process(name):
                    raise
                self._remove(name)
            elif not isinstance(error, FileNotFoundError):
                raise
            raise ProcessLookupError(errno.ESRCH, "it is dead") from error
        return made

    def leave(self) -> None:
        """Be a member no more. The last one removes the directory that a supervisor made, and did not survive."""
        self._remove(self.name)
        if self.path.name.startswith(_PREFIX) and os.getppid() != self._parent:
            with contextlib.suppress(OSError):
                self.path.rmdir()

    def _remove(self, name: str) -> None:
        with contextlib.suppress(OSError):
            (self.path / name).unlink()
