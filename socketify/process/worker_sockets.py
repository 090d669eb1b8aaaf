"""Sockets that listen for workers, in place of an app's."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable

from ..core.listeners import Listener
from ..core.options import AppListenOptions
from ..system.unix_sockets import SocketFile, bound_unix_socket
from .binding import SPREADS_CONNECTIONS, bound_socket


def _bound(config: AppListenOptions) -> socket.socket:
    found = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # The listener took the first address, too, IPv6 before IPv4.
    family, _, _, _, address = sorted(found, key=lambda each: each[0] != socket.AF_INET6)[0]
    return bound_socket(family, address, shares_port=True, only_ipv6=config.host is not None)


class WorkerSockets:
    """Listens where an app listened, for workers: a worker's successor inherits the clients in its backlog.

    Made while the app listens, so that no other process takes its ports, and none of its clients is lost.

    Args:
        places: where the app listens, with bound ports.
        listeners: by which it does, in the same order; closed ones are opened again.
        workers: how many; each has its own socket of each port (SO_REUSEPORT), where the system spreads connections among them.
            They share the sockets of other kinds, and elsewhere all.
        backlog: connections that may wait in each.
        threads: how many of each worker serve, each of which has its own sockets likewise.

    Raises:
        OSError: a port cannot be shared any more.

    """

    def __init__(
        self, places: list[AppListenOptions], listeners: list[Listener], workers: int, backlog: int, threads: int = 1
    ) -> None:
        self._backlog = backlog
        self._workers, self._threads = (workers, threads) if SPREADS_CONNECTIONS else (1, 1)
        # Of all threads of the first worker, then of those of the second one, and so on.
        self._sockets: list[list[socket.socket]] = []
        self._files: list[SocketFile] = []
        shared = [socket.socket(fileno=os.dup(place.fd)) for place in places if place.fd is not None]
        try:
            for index in range(self._workers * self._threads):
                mine = list(shared)
                self._sockets.append(mine)
                for place, listener in zip(places, listeners):
                    if place.domain is None and place.fd is None:
                        # The app's clients are the first thread's of the first worker.
                        mine.append(listener.duplicate() if listener.is_open and index == 0 else self._listening(place))
            for place, listener in zip(places, listeners):
                if place.domain is not None:
                    # Only one socket can have a path.
                    made = self._take_path(place, listener)
                    for mine in self._sockets:
                        mine.append(made)
        except BaseException:
            self.close()
            raise

    def _listening(self, place: AppListenOptions) -> socket.socket:
        made = _bound(place)
        made.listen(self._backlog)
        return made

    def _take_path(self, place: AppListenOptions, listener: Listener) -> socket.socket:
        if listener.is_open:
            made = listener.duplicate()
            self._files.append(listener.take_file())
            return made
        made, file = bound_unix_socket(str(place.domain), place.permissions)
        self._files.append(file)
        made.listen(self._backlog)
        return made

    def __len__(self) -> int:
        """Return among how many workers connections are spread; each needs one."""
        return self._workers

    def of(self, shares: Iterable[int], thread: int = 0) -> list[AppListenOptions]:
        """Return what a thread listens on of a worker that takes these shares."""
        places = [share * self._threads + thread % self._threads for share in sorted(shares)]
        mine = dict.fromkeys(each for place in places for each in self._sockets[place])
        return [AppListenOptions(fd=each.fileno()) for each in mine]

    def close(self) -> None:
        """Close the sockets of this process."""
        for mine in self._sockets:
            for each in mine:
                each.close()

    def stop(self) -> None:
        """Close the sockets, and remove the files of Unix-domain sockets."""
        self.close()
        for file in self._files:
            file.remove()
