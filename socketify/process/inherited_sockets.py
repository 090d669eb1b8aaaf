"""Sockets that are opened before the workers, which share them: none is closed while another takes its place."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import socket
from typing import Optional

from ..core.mistakes import listen_failure
from ..system.descriptors import listen_on
from ..system.unix_sockets import SocketFile, bound_unix_socket
from .binding import SPREADS_CONNECTIONS, bound_socket

_SYSTEMD_FIRST = 3

#: Errors of addresses that do not exist here, as IPv6 in a container. They do not matter if a name has others.
_ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def open_sockets(
    *,
    host: Optional[str],
    port: int,
    uds: Optional[str],
    uds_permissions: Optional[int],
    fd: Optional[int],
    loops: int,
    backlog: int,
    owner: Optional[tuple[int, int]] = None,
) -> tuple[list[list[socket.socket]], Optional[SocketFile]]:
    """Return the listening sockets of each loop, or those that all share: SO_REUSEPORT lets the system spread connections.

    The file of a Unix-domain socket comes beside.

    Args:
        host: name or address to listen on; None for every interface.
        port: 0 lets the system pick one.
        uds: path of a Unix-domain socket, instead of host and port.
        uds_permissions: the mode of its file; see :func:`bound_unix_socket`.
        fd: a descriptor that is bound already, instead of host and port.
        loops: how many share the port, of workers and their threads.
        backlog: connections that may wait in each socket.
        owner: user and group to whom the file of a Unix-domain socket is given; None for nobody.

    Raises:
        OSError: the address is taken, unknown or not permitted; the message says which.

    """
    inherited = _systemd_descriptors() if fd is None else [fd]
    if inherited:
        return [[_adopt(descriptor, backlog) for descriptor in inherited]], None
    if uds is not None:
        opened, file = _listen_unix(uds, uds_permissions, backlog, owner)
        return [[opened]], file
    try:
        return _listen(host or None, port, loops if SPREADS_CONNECTIONS else 1, backlog), None
    except OSError as error:
        raise type(error)(error.errno, listen_failure(f"{host or '*'}:{port}", error)) from error


def _listen(host: Optional[str], port: int, loops: int, backlog: int) -> list[list[socket.socket]]:
    """Listen on every address of the host, all on one port."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    opened: list[list[socket.socket]] = []
    try:
        for _ in range(loops):
            mine: list[socket.socket] = []
            opened.append(mine)
            for family, _kind, _protocol, _name, address in dict.fromkeys(found):
                try:
                    place = (address[0], port, *address[2:])
                    # IPv4 has a socket of its own.
                    only_ipv6 = True if len(found) > 1 else None
                    mine.append(bound_socket(family, place, shares_port=loops > 1, only_ipv6=only_ipv6))
                    mine[-1].listen(backlog)
                except OSError as error:
                    if error.errno not in _ABSENT or (address == found[-1][4] and not mine):
                        raise
                else:
                    port = mine[0].getsockname()[1]
    except OSError:
        for each in itertools.chain(*opened):
            each.close()
        raise
    return opened


def _systemd_descriptors() -> list[int]:
    """Return the sockets that systemd passed, if any (sd_listen_fds(3))."""
    # The variables are meant for the process that they name.
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = os.environ.get("LISTEN_FDS", "0")
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    return list(range(_SYSTEMD_FIRST, _SYSTEMD_FIRST + int(count))) if count.isdigit() else []


def _adopt(descriptor: int, backlog: int) -> socket.socket:
    listen_on(descriptor, backlog)
    return socket.socket(fileno=descriptor)


def _listen_unix(
    path: str, permissions: Optional[int], backlog: int, owner: Optional[tuple[int, int]]
) -> tuple[socket.socket, SocketFile]:
    try:
        opened, file = bound_unix_socket(path, permissions)
        try:
            if owner is not None:
                file.give_to(*owner)
            opened.listen(backlog)
        except BaseException:
            opened.close()
            file.remove()
            raise
    except OSError as error:
        raise type(error)(error.errno, listen_failure(f"Unix socket {path!r}", error, is_path=True)) from error
    return opened, file


def describe(opened: socket.socket, secure: bool) -> str:
    """Return what a client would connect to."""
    address = opened.getsockname()
    if opened.family == socket.AF_UNIX:
        return f"unix:{address}"
    host, port = address[:2]
    return f"{'https' if secure else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def notify_systemd(message: str) -> None:
    """Notify systemd of a state (sd_notify(3)), if it asks for that."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.connect("\0" + address[1:] if address.startswith("@") else address)
        channel.sendall(message.encode())
