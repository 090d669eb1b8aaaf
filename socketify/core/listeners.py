"""Sockets that listen: opened at once, and passed to a native loop when one serves their app."""

from __future__ import annotations

import errno
import os
import socket
from typing import Optional, Union

from ..system.descriptors import answer_without_delay, listen_on
from ..system.unix_sockets import SocketFile, bound_unix_socket
from .mistakes import listen_failure
from .options import AppListenOptions

_EXCLUSIVE = 1


class Listener:
    """A socket that listens and may not belong to a native loop yet.

    Args:
        config: where.
        backlog: connections that may wait to be accepted.

    Raises:
        OSError: the port is taken, the host unknown, or the path not permitted; the message says which.

    """

    def __init__(self, config: AppListenOptions, backlog: int) -> None:
        self.config = config
        #: Whether other processes may accept from it, too.
        self.is_shared = config.fd is not None
        #: Whether the native side has a duplicate.
        self.is_registered = False
        self._file: Optional[SocketFile] = None
        #: The mode of the file of a Unix-domain socket.
        self.permissions: Optional[int] = None
        self._process = os.getpid()
        self._backlog = backlog
        if config.fd is not None:
            listen_on(config.fd)
        try:
            opened = self._open(config)
        except (OSError, UnicodeError) as error:
            raise listen_error(error, config) from None
        #: The port that was bound; 0 for a Unix-domain socket.
        self.port: int = opened.getsockname()[1] if opened.family in (socket.AF_INET, socket.AF_INET6) else 0
        #: The descriptor; -1 once it is closed.
        self.fd = opened.detach()

    def _open(self, config: AppListenOptions) -> socket.socket:
        if config.fd is not None:
            return socket.socket(fileno=os.dup(config.fd))
        if config.domain is not None:
            return self._unix(config.domain)
        return self._tcp(config.host, config.port, bool(config.options & _EXCLUSIVE))

    def _tcp(self, host: Optional[str], port: int, exclusive: bool) -> socket.socket:
        name = None if host is None else host.encode("idna")
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # Without a host, IPv6 is tried first: it serves both families where it is on.
        found.sort(key=lambda each: each[0] != socket.AF_INET6)
        failure: Optional[OSError] = None
        for family, kind, protocol, _, address in found:
            try:
                return self._bound(socket.socket(family, kind, protocol), address, exclusive, host is None)
            except OSError as error:
                failure = error
                if host is None and error.errno == errno.EADDRINUSE:
                    break
        raise failure or OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))

    def _bound(self, opened: socket.socket, address: object, exclusive: bool, dual_stack: bool) -> socket.socket:
        try:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if not exclusive:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if opened.family == socket.AF_INET6:
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not dual_stack))
            answer_without_delay(opened)
            opened.bind(address)  # type: ignore[arg-type]
            opened.listen(self._backlog)
        except BaseException:
            opened.close()
            raise
        return opened

    def _unix(self, path: str) -> socket.socket:
        opened, self._file = bound_unix_socket(path, self.config.permissions)
        try:
            self.permissions = self._file.permissions
            opened.listen(self._backlog)
        except BaseException:
            opened.close()
            self._remove_file()
            raise
        return opened

    def _remove_file(self) -> None:
        if self._file is not None and self._process == os.getpid():
            self._file.remove()
        self._file = None

    @property
    def where(self) -> str:
        """The place, for messages."""
        config = self.config
        if config.fd is not None:
            return f"descriptor {config.fd}"
        return f"Unix socket {config.domain!r}" if config.domain is not None else f"{config.host or '*'}:{self.port}"

    @property
    def is_open(self) -> bool:
        """Whether it was not closed."""
        return self.fd >= 0

    def duplicate(self) -> socket.socket:
        """Return the socket as another one: when this one is closed, it listens on, with those who wait to be accepted."""
        return socket.socket(fileno=os.dup(self.fd))

    def take_file(self) -> SocketFile:
        """Return the file of a Unix-domain socket, which is the caller's to remove from now on."""
        file, self._file = self._file, None
        assert file is not None
        return file

    def close(self) -> None:
        """Close the descriptor, and remove the file of a Unix-domain socket."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)
            self._remove_file()


def listen_error(error: Union[OSError, UnicodeError], config: AppListenOptions) -> OSError:
    """Return an error of listening with the place that was tried in its message."""
    where = f"Unix socket {config.domain!r}" if config.domain is not None else f"{config.host or '*'}:{config.port}"
    if config.fd is not None:
        where = f"descriptor {config.fd}"
    if isinstance(error, UnicodeError):
        return socket.gaierror(socket.EAI_NONAME, f"cannot listen on {where}: no such host: {config.host!r}")
    if isinstance(error, socket.gaierror):
        return socket.gaierror(error.errno, f"cannot listen on {where}: no such host: {config.host!r}")
    number = error.errno or 0
    return OSError(number, listen_failure(where, error, is_path=config.domain is not None))
