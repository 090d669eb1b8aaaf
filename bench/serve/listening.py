"""Tells that a server listens, for servers that do not tell it, or not the way the harness reads it."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import threading
import time


def announce(port: int) -> None:
    """Says where the server listens."""
    print(f"listening {port}", flush=True)


def check_backend() -> None:
    """Ends the program when this socketify would ignore which backend is asked for; what the kernel refuses it tells itself."""
    wanted = os.environ.get("SOCKETIFY_BACKEND", "epoll")
    if wanted != "epoll" and importlib.util.find_spec("socketify.loop.backend") is None:
        raise SystemExit(f"this socketify has no backend {wanted}")


def _announce_when_open(port: int) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.02)
    announce(port)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def announced(port: int, keeps_lock: bool = False) -> int:
    """Returns the port to listen on, a free one for 0, and says so as soon as a server does.

    ``keeps_lock`` is for servers that keep the interpreter lock while they wait: there a thread would never be heard.
    """
    port = port or _free_port()
    if keeps_lock:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        if os.fork() == 0:
            _announce_when_open(port)
            os._exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    else:
        threading.Thread(target=_announce_when_open, args=(port,), daemon=True).start()
    return port
