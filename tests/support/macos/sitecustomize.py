"""What macOS has not, and what it does otherwise, for a Python program on Linux: its folder goes into PYTHONPATH.

The native library is still that of Linux, which SOCKETIFY_LIBRARY has to name. Facts of macOS that are not told by the absence
of a name are modelled: signals by kqueue, SIGCHLD that is dropped while nothing handles it, libproc, what sockets do not say.
"""

from __future__ import annotations

import builtins
import ctypes
import errno
import fcntl
import io
import os
import select
import selectors
import signal
import socket
import sys
import sysconfig
import time
from types import SimpleNamespace
from typing import Any

for module, names in (
    (os, ("memfd_create", "O_PATH", "RWF_NOWAIT", "pidfd_open", "sched_getaffinity", "eventfd", "pipe2", "splice")),
    (signal, ("sigtimedwait", "sigwaitinfo", "SIGRTMIN", "SIGRTMAX", "pidfd_send_signal", "SIGPWR", "SIGSTKFLT")),
    (socket, ("SO_PEERCRED", "SO_INCOMING_CPU", "SO_PROTOCOL", "SO_DOMAIN", "TCP_DEFER_ACCEPT", "TCP_USER_TIMEOUT")),
    (socket, ("SOCK_CLOEXEC", "SOCK_NONBLOCK", "TCP_QUICKACK", "SO_BINDTODEVICE")),
    # The default selector stands for that of kqueue.
    (selectors, ("EpollSelector",)),
):
    for name in names:
        vars(module).pop(name, None)
# What asks for those that this process may use has none of them there.
if hasattr(os, "process_cpu_count"):
    os.process_cpu_count = os.cpu_count
# What this interpreter was built with is known by the name of its system.
sysconfig.get_config_vars()
sys.platform = "darwin"
# No program of Linux gets this one either.
signal.SIGEMT = 16  # type: ignore[attr-defined]

# ---- the C library

PROC = "/proc"


def proc_pidinfo(pid: Any, what: Any, _zero: Any, buffer: Any, size: Any) -> int:
    """Answer as libproc does, by what /proc says."""
    here = f"{PROC}/{pid.value}"
    try:
        if what.value == 4:
            pages = int(real_open(f"{here}/statm").read().split()[1])
            answer = (0).to_bytes(8, "little") + (pages * os.sysconf("SC_PAGE_SIZE")).to_bytes(8, "little") + bytes(80)
        elif what.value == 1:
            answer = b"".join(int(each).to_bytes(4, "little") + bytes(4) for each in real_listdir(f"{here}/fd"))
        else:
            answer = bytes(136)
    except OSError:
        return 0
    answer = answer[: size.value]
    ctypes.memmove(buffer, answer, len(answer))
    return len(answer)


def getpeereid(descriptor: int, user: Any, group: Any) -> int:
    with socket.socket(fileno=os.dup(descriptor)) as asked:
        found = asked.getsockopt(socket.SOL_SOCKET, 17, 12)
    ctypes.memmove(user, found[4:8], 4)
    ctypes.memmove(group, found[8:12], 4)
    return 0


has: Any = {"proc_pidinfo": proc_pidinfo, "getpeereid": getpeereid}
real_function = ctypes.CDLL.__getattr__


def c_function(library: Any, name: str) -> Any:
    if library._name is None and name in has:
        return has[name]
    if name in ("prctl", "sigtimedwait", "mallopt"):
        raise AttributeError(name)
    return real_function(library, name)


ctypes.CDLL.__getattr__ = c_function  # type: ignore[method-assign]

# ---- no /proc, and in /dev/fd the descriptors themselves

DESCRIPTORS = "/dev/fd/"


class WithoutProc:
    """Like functions of C it is never a method: pathlib of CPython 3.9 has them as members of a class."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, path: Any, *arguments: Any, **options: Any) -> Any:
        name = os.fspath(path) if isinstance(path, (str, os.PathLike)) else ""
        if name.startswith(PROC):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        if name.startswith(DESCRIPTORS) and self.function is real_open:
            path = os.dup(int(name[len(DESCRIPTORS) :]))
        return self.function(path, *arguments, **options)


real_open, real_listdir, real_readlink = io.open, os.listdir, os.readlink
io.open = builtins.open = WithoutProc(io.open)
for name in ("listdir", "scandir", "stat", "readlink", "open"):
    setattr(os, name, WithoutProc(getattr(os, name)))

# ---- files and sockets

real_fcntl = fcntl.fcntl
fcntl.F_GETPATH = 50  # type: ignore[attr-defined]


def get_path(descriptor: Any, command: int, *argument: Any) -> Any:
    if command == 50:
        return os.fsencode(real_readlink(f"{PROC}/self/fd/{descriptor}")).ljust(len(argument[0]), b"\0")
    return real_fcntl(descriptor, command, *argument)


fcntl.fcntl = get_path
real_option = socket.socket.getsockopt


def getsockopt(self: socket.socket, level: int, option: int, *more: Any) -> Any:
    if (level, option) == (socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))
    return real_option(self, level, option, *more)


socket.socket.getsockopt = getsockopt  # type: ignore[method-assign]
real_sendfile = os.sendfile


def sendfile(connection: int, descriptor: int, offset: int, count: int) -> int:
    try:
        return real_sendfile(connection, descriptor, offset, count)
    except ConnectionError as error:
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN)) from error


os.sendfile = sendfile  # type: ignore[assignment]

# ---- signals


def pending() -> set[int]:
    found = real_pending()
    if signal.SIGCHLD in found and signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL:
        signal.sigwait((signal.SIGCHLD,))
        return found - {signal.SIGCHLD}
    return found


class Queue:
    """Of kqueue what watches signals, some of which may be blocked."""

    def control(self, changes: Any, _count: int, seconds: float) -> list[int]:
        if changes is not None:
            self.watched = {each.ident for each in changes}
            return []
        until = time.monotonic() + seconds
        while not (found := self.watched & set(pending())) and time.monotonic() < until:
            time.sleep(0.001)
        return list(found)

    def close(self) -> None:
        pass


real_pending = signal.sigpending
signal.sigpending = pending  # type: ignore[assignment]
has_kqueue: Any = select
has_kqueue.kqueue = Queue
has_kqueue.kevent = lambda ident, kind, flags: SimpleNamespace(ident=ident, filter=kind, flags=flags)
has_kqueue.KQ_FILTER_SIGNAL = -6
has_kqueue.KQ_EV_ADD = 1
