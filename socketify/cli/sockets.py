"""Sockets that are opened before the workers, which share them: none is closed while another takes its place."""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import stat
from pathlib import Path

_SYSTEMD_FIRST = 3


def open_sockets(settings: argparse.Namespace) -> list[socket.socket]:
    """Give a listening socket for each worker, or one for all: SO_REUSEPORT lets the system spread connections over them.

    Raises:
        OSError: the address is taken, unknown or not permitted.

    """
    inherited = _inherited(settings)
    if inherited is not None:
        return [socket.socket(fileno=inherited)]
    if settings.uds is not None:
        return [_listen_unix(settings.uds, settings.backlog)]
    found = socket.getaddrinfo(settings.host or None, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    opened: list[socket.socket] = []
    try:
        for _ in range(settings.workers):
            each = socket.socket(family, kind, protocol)
            opened.append(each)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if settings.workers > 1:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            each.bind(opened[0].getsockname() if len(opened) > 1 else address)
            each.listen(settings.backlog)
    except OSError:
        for each in opened:
            each.close()
        raise
    return opened


def _inherited(settings: argparse.Namespace) -> int | None:
    if settings.fd is not None:
        return int(settings.fd)
    # sd_listen_fds(3): the variables are meant for the process that they name.
    if os.environ.get("LISTEN_PID") == str(os.getpid()) and int(os.environ.get("LISTEN_FDS", "0")) > 0:
        for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
            os.environ.pop(name, None)
        return _SYSTEMD_FIRST
    return None


def _listen_unix(path: str, backlog: int) -> socket.socket:
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_stale(path):
            Path(path).unlink()
        opened.bind(path)
        opened.listen(backlog)
    except OSError:
        opened.close()
        raise
    return opened


def _is_stale(path: str) -> bool:
    """Tell whether a socket's file is left over from a process that died."""
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
    """Give what a client would connect to."""
    address = opened.getsockname()
    if opened.family == socket.AF_UNIX:
        return f"unix:{address}"
    host, port = address[:2]
    return f"{'https' if secure else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def notify_systemd(message: str) -> None:
    """Tell systemd a state (sd_notify(3)), where it asks for it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel, contextlib.suppress(OSError):
        channel.connect("\0" + address[1:] if address.startswith("@") else address)
        channel.sendall(message.encode())
