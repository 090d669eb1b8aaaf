"""Apps where the system has no descriptor left for their event loop, or refuses what one is made of."""

from __future__ import annotations

import platform
import subprocess
import sys
from typing import Optional

import pytest
from backends import environment, needs_io_uring

#: Whatever the limit is, an app is made or OSError says why not, nothing is left open, and the next one is served.
EXHAUSTED = """
import errno, os, resource, threading, urllib.request
from socketify import App

def opened() -> list[int]:
    found = []
    for descriptor in range(64):
        try:
            os.fstat(descriptor)
        except OSError:
            continue
        found.append(descriptor)
    return found

before, (soft, hard) = opened(), resource.getrlimit(resource.RLIMIT_NOFILE)
refused = 0
for limit in range(max(before) + 1, 64):
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        app = App()
    except OSError as error:
        assert error.errno == errno.EMFILE, error
        assert "cannot make the event loop of this thread: " + os.strerror(errno.EMFILE) in str(error), error
        assert opened() == before, (opened(), before)
        refused += 1
        continue
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    break
assert refused > 0
ports = []
app.get("/", lambda res, req: res.end("served"))
app.listen(0, lambda config: ports.append(config.port))

@app.on_start
def start() -> None:
    def ask() -> None:
        print(urllib.request.urlopen(f"http://127.0.0.1:{ports[0]}/", timeout=10).read().decode())
        app.close()
    threading.Thread(target=ask).start()

app.run()
"""

#: Denies a system call to this process: a seccomp filter (seccomp(2)).
REFUSED = """
import ctypes, errno, os, struct, sys, threading
from socketify import App
libc = ctypes.CDLL(None, use_errno=True)
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
program = b"".join(struct.pack("HBBI", *each) for each in (
    (LOAD, 0, 0, 0), (EQUAL, 0, 1, int(sys.argv[1])), (RETURN, 0, 0, 0x50000 | errno.EPERM), (RETURN, 0, 0, 0x7FFF0000)))
memory = ctypes.create_string_buffer(program)
class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Filter(4, ctypes.addressof(memory))), 0, 0) == 0
def attempt():
    try:
        App()
    except (OSError, RuntimeError) as error:
        print(type(error).__name__, error)
attempt()
thread = threading.Thread(target=attempt)
thread.start()
thread.join()
"""
CALLS = {
    "x86_64": {"timerfd_create": 283, "eventfd2": 290, "epoll_create1": 291},
    "aarch64": {"timerfd_create": 85, "eventfd2": 19, "epoll_create1": 20},
}.get(platform.machine(), {})
BACKENDS = ["epoll", pytest.param("io_uring", marks=needs_io_uring), None]


def run(program: str, *arguments: str, backend: Optional[str]) -> str:
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, env=environment(backend), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("backend", BACKENDS)
def test_without_descriptors(backend: Optional[str]) -> None:
    assert run(EXHAUSTED, backend=backend) == "served\n"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("call", CALLS)
def test_a_sandbox_refuses(call: str, backend: Optional[str]) -> None:
    output = run(REFUSED, str(CALLS[call]), backend=backend).splitlines()
    if backend == "io_uring":
        # It needs neither an epoll descriptor, nor one of its events where the ring cannot be made.
        assert output in ([], output[:1] * 2)
        assert all("Operation not permitted" in each for each in output)
    else:
        assert output == ["PermissionError [Errno 1] cannot make the event loop of this thread: Operation not permitted"] * 2
