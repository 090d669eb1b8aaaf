"""What asks the system, where that is less than Linux, or another one: by tests/support/macos."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_command import LIKE_MACOS, ROOT
from tls_files import Files

from socketify.core import tls
from socketify.http import file_copy
from socketify.process.awaited_signals import AwaitedSignals


def like_macos(program: str, **environment: str) -> str:
    # What ctypes.util imports there; Debian's CPython 3.14 comes without.
    pytest.importorskip("ctypes.macholib")
    where = {**os.environ, **LIKE_MACOS, **environment}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, env=where, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def test_a_library_that_is_missing_is_named_as_there() -> None:
    said = like_macos("import socketify", SOCKETIFY_LIBRARY="")
    assert said.endswith("native/libsocketify.dylib (in a source tree, run: python -m ziglang build)\n")


PROCESSES = """
import os, socket, subprocess, sys
from socketify.system.peer_user import peer_user
from socketify.system.processes import is_traced, open_descriptors, resident_bytes
from socketify.system.unix_sockets import bound_unix_socket

assert resident_bytes(os.getpid()) > 1_000_000
assert open_descriptors(os.getpid()) >= 3
before = open_descriptors(os.getpid())
kept = [os.dup(0) for _ in range(500)]
assert open_descriptors(os.getpid()) == before + 500
assert not is_traced(os.getpid())
ended = subprocess.Popen([sys.executable, "-c", ""])
ended.wait()
assert (resident_bytes(ended.pid), open_descriptors(ended.pid), is_traced(ended.pid)) == (None, None, False)

one, other = socket.socketpair()
assert peer_user(one) == peer_user(other) == os.geteuid()
one.close()
try:
    peer_user(one)
except OSError as error:
    print(error.errno)

os.chdir(sys.argv[1])
bound, file = bound_unix_socket("a" * 103, 0o600)
assert file.permissions == 0o600
file.give_to(os.geteuid(), os.getegid())
file.remove()
try:
    bound_unix_socket("a" * 104)
except OSError as error:
    print(error.strerror)
"""


def test_processes_peers_and_paths_of_sockets(tmp_path: Path) -> None:
    program = PROCESSES.replace("sys.argv[1]", repr(str(tmp_path)))
    assert like_macos(program) == f"9\n{os.strerror(errno.ENAMETOOLONG)}\n"


MUTUAL = """
import os, ssl, tempfile
from pathlib import Path
from socketify import AppOptions, App

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_verify_locations({authority!r})
context.verify_mode = ssl.CERT_REQUIRED
options = AppOptions.from_context(context, **{given!r})
path = Path(options.ca_file_name)
assert path.read_text().count("BEGIN CERTIFICATE") == 1, path
assert path.read_text().count("BEGIN CERTIFICATE") == 1, "once more"
App(options).close()
child = os.fork()
if not child:
    raise SystemExit
os.waitpid(child, 0)
print(path.exists(), path)
"""


def test_authorities_of_a_context_are_kept_in_a_file_that_goes_with_the_process(tmp_path: Path) -> None:
    files = Files(tmp_path)
    given = files.issue("server")
    said = like_macos(MUTUAL.format(authority=files.ca_file, given=given), TMPDIR=str(tmp_path))
    assert said.startswith("True "), said
    assert not Path(said.split()[1]).exists()


def test_no_library_of_apple_is_loaded_for_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls.ctypes.util, "find_library", lambda name: f"/usr/lib/lib{name}.dylib")
    assert "/usr/lib/libssl.dylib" in tls._libraries()
    monkeypatch.setattr(sys, "platform", "darwin")
    found = tls._libraries()
    # It ends whatever process loads it.
    assert "/usr/lib/libssl.dylib" not in found
    assert "libssl.3.dylib" in found
    assert tls.name_of_openssl() == "libssl.3.dylib"


REFUSALS = """
import os, socket, subprocess, sys, threading
from pathlib import Path
from socketify.system.unix_sockets import bound_unix_socket
from socketify.topics.brokers.local_directory import LocalDirectory

os.chdir({folder!r})
# As one whose backlog is full it refuses, for a while.
busy = socket.socket(socket.AF_UNIX)
busy.bind("busy")
threading.Timer(0.05, busy.listen).start()
try:
    bound_unix_socket("busy")
except OSError as error:
    print(error.strerror)
left = socket.socket(socket.AF_UNIX)
left.bind("left")
left.close()
bound_unix_socket("left")[0].close()

here = LocalDirectory(Path("topics"))
ended = subprocess.Popen([sys.executable, "-c", ""])
ended.wait()
for pid in (os.getppid(), ended.pid):
    refusing = socket.socket(socket.AF_UNIX)
    name = f"{{pid:x}}-00000000.topics"
    refusing.bind(f"topics/{{name}}")
    try:
        here.reach(name)
    except OSError as error:
        print(type(error).__name__, Path(f"topics/{{name}}").exists())
"""


def test_a_socket_that_refuses_may_only_be_busy(tmp_path: Path) -> None:
    said = like_macos(REFUSALS.format(folder=str(tmp_path)))
    assert said.splitlines() == [os.strerror(errno.EADDRINUSE), "ConnectionRefusedError True", "ProcessLookupError False"]


def test_children_of_a_thread_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr("socketify.process.awaited_signals.wait_for_signal", lambda _, seconds: asked.append(seconds))
    signals = AwaitedSignals()
    for seconds in (None, 0.2, 100.0):
        assert signals.wait(seconds) is None
    assert asked == [1.0, 0.2, 1.0]


@pytest.mark.parametrize("number", sorted(file_copy._NO_COPY))
def test_files_that_the_kernel_cannot_copy_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int) -> None:
    def sendfile(*_arguments: object) -> int:
        raise OSError(number, os.strerror(number))

    (tmp_path / "file").write_bytes(bytes(range(200)))
    monkeypatch.setattr(os, "sendfile", sendfile)
    reader, writer = os.pipe()
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    assert file_copy.copy_to_connection(writer, descriptor, 50, 200) == (150, False)
    assert os.read(reader, 1000) == bytes(range(50, 200))
    os.set_blocking(writer, False)
    os.write(writer, bytes(65536))
    assert file_copy.copy_to_connection(writer, descriptor, 0, 200) == (0, True)
    os.close(reader)
    assert file_copy.copy_to_connection(writer, descriptor, 0, 200) == (0, True)
    os.close(writer)
    os.close(descriptor)
