"""Sockets that are opened before the workers, which share them: none is closed while another takes its place."""

from __future__ import annotations

import argparse
import contextlib
import errno
import itertools
import os
import socket
import stat
from pathlib import Path
from typing import Any

from ..system.descriptors import listen_on

_SYSTEMD_FIRST = 3

#: Addresses of a name that are not there, as IPv6 in a container, do not matter while there are others.
_ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def open_sockets(settings: argparse.Namespace) -> list[list[socket.socket]]:
    """Return the listening sockets of each worker, or those that all share: SO_REUSEPORT lets the system spread connections.

    Raises:
        OSError: the address is taken, unknown or not permitted; the message says which.

    """
    inherited = _inherited(settings)
    if inherited:
        return [[_adopt(descriptor, settings.backlog) for descriptor in inherited]]
    if settings.uds is not None:
        return [[_listen_unix(settings.uds, settings.backlog)]]
    return _listen(settings)


def _listen(settings: argparse.Namespace) -> list[list[socket.socket]]:
    """Listen on every address of the host, all on one port."""
    where = f"{settings.host or '*'}:{settings.port}"
    try:
        found = socket.getaddrinfo(settings.host or None, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        message = f"cannot listen on {where}: {error.strerror}"
        raise type(error)(error.errno, message) from error
    opened: list[list[socket.socket]] = []
    port = settings.port
    try:
        for _ in range(settings.workers):
            mine: list[socket.socket] = []
            opened.append(mine)
            for family, _kind, _protocol, _name, address in dict.fromkeys(found):
                try:
                    mine.append(_bind(family, (address[0], port, *address[2:]), settings, len(found) > 1))
                except OSError as error:
                    if error.errno not in _ABSENT or (address == found[-1][4] and not mine):
                        raise
                else:
                    port = mine[0].getsockname()[1]
    except OSError as error:
        for each in itertools.chain(*opened):
            each.close()
        message = f"cannot listen on {where}: {error.strerror}"
        raise type(error)(error.errno, message) from error
    return opened


def _bind(family: int, address: Any, settings: argparse.Namespace, several: bool) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if settings.workers > 1:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6 and several:
            # The other family has a socket of its own.
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(address)
        opened.listen(settings.backlog)
    except OSError:
        opened.close()
        raise
    return opened


def _inherited(settings: argparse.Namespace) -> list[int]:
    if settings.fd is not None:
        return [int(settings.fd)]
    # sd_listen_fds(3): the variables are meant for the process that they name.
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = os.environ.get("LISTEN_FDS", "0")
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    return list(range(_SYSTEMD_FIRST, _SYSTEMD_FIRST + int(count))) if count.isdigit() else []


def _adopt(descriptor: int, backlog: int) -> socket.socket:
    listen_on(descriptor, backlog)
    return socket.socket(fileno=descriptor)


def _listen_unix(path: str, backlog: int) -> socket.socket:
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_stale(path):
            Path(path).unlink()
        opened.bind(path)
        opened.listen(backlog)
    except OSError as error:
        opened.close()
        # A path that is too long has no errno.
        message = f"cannot listen on Unix socket {path!r}: {error.strerror or error}"
        raise type(error)(error.errno or errno.ENAMETOOLONG, message) from error
    return opened


def _is_stale(path: str) -> bool:
    """Return whether a socket's file is left over from a process that died."""
    try:
        if not stat.S_ISSOCK(Path(path).stat().st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
    return False


def describe(opened: socket.socket, secure: bool) -> str:
    """Return what a client would connect to."""
    address = opened.getsockname()
    if opened.family == socket.AF_UNIX:
        return f"unix:{address}"
    host, port = address[:2]
    return f"{'https' if secure else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def notify_systemd(message: str) -> None:
    """Notify systemd of a state (sd_notify(3)), where it asks for it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel, contextlib.suppress(OSError):
        channel.connect("\0" + address[1:] if address.startswith("@") else address)
        channel.sendall(message.encode())
