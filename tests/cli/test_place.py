"""What the command takes of the system: the file with its number, the mode of its socket, and another user."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from cli_command import children, wait_until
from server_programs import Program

from socketify import App, AppListenOptions

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
#: A user that every Debian has.
NOBODY = 65534


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def leave_a_socket(path: Path, permissions: int) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    path.chmod(permissions)


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    ("flags", "left", "expected"),
    [
        ((), None, 0o666),
        ((), 0o640, 0o640),
        (("--uds-permissions", "660"), 0o640, 0o660),
        (("--umask", "007"), None, 0o660),
        (("--umask", "077", "--uds-permissions", "666"), None, 0o666),
    ],
)
def test_who_may_connect_to_a_unix_socket(
    command: Any, tmp_path: Path, workers: str, flags: tuple[str, ...], left: Any, expected: int
) -> None:
    path = tmp_path / "s"
    if left is not None:
        leave_a_socket(path, left)
    before = os.umask(0o022)
    try:
        running = command("app:wsgi", "--uds", str(path), "--workers", workers, *flags)
    finally:
        os.umask(before)
    assert running.url == f"unix:{path}"
    assert mode(path) == expected
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
        assert client.get("http://a/").text.startswith("wsgi")
    assert running.stop() == 0
    assert not path.exists()


@pytest.mark.parametrize(
    ("options", "left", "expected"), [("", None, 0o666), ("", 0o620, 0o620), (", permissions=0o600", 0o620, 0o600)]
)
def test_who_may_connect_to_the_workers_of_a_program(tmp_path: Path, options: str, left: Any, expected: int) -> None:
    path = tmp_path / "s"
    if left is not None:
        leave_a_socket(path, left)
    text = (
        "import socketify\nfrom socketify import AppListenOptions, WSGI\n"
        "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'here']\n"
        f"WSGI(application).listen(AppListenOptions(domain={str(path)!r}{options}), lambda config: print(0)).run(workers=2)\n"
    )
    with Program(text) as program:
        wait_until(lambda: len(children(program.process.pid)) == 2)
        assert mode(path) == expected
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
            assert client.get("http://a/").text == "here"
        program.stop()
    assert not path.exists()


def test_permissions_of_an_app(tmp_path: Path) -> None:
    path = tmp_path / "s"
    told: list[AppListenOptions] = []
    app = App().listen(AppListenOptions(domain=str(path), permissions=0o604), told.append)
    assert mode(path) == 0o604
    assert told == [AppListenOptions(domain=str(path), permissions=0o604)]
    app.close()
    with pytest.raises(ValueError, match="permissions needs domain"):
        AppListenOptions(port=1, permissions=0o600)
    with pytest.raises(ValueError, match="permissions must be from 0 to 0o777, not 0o1000"):
        AppListenOptions(domain="s", permissions=0o1000)
    with pytest.raises(TypeError, match="permissions must be int or None, not str"):
        AppListenOptions(domain="s", permissions="666")  # type: ignore[arg-type]


@pytest.mark.parametrize("flags", [(), ("--workers", "2"), ("--reload",)])
def test_the_file_with_the_number_of_the_process(command: Any, tmp_path: Path, flags: tuple[str, ...]) -> None:
    path = tmp_path / "pid"
    # What a process has left that was killed, and whose number this test has meanwhile.
    path.write_text(f"{os.getpid()}\n")
    running = command("app:wsgi", "--port", "0", "--pid", "pid", *flags)
    assert running.url
    assert path.read_text() == f"{running.process.pid}\n"
    log = running.log.read_text()
    second = command("app:wsgi", "--port", "0", "--pid", "pid")
    assert second.process.wait(20) == 2
    assert f"socketify: --pid: 'pid' belongs to a process that runs: {running.process.pid}\n" in second.said
    assert "Traceback" not in log + second.said
    assert path.read_text() == f"{running.process.pid}\n"
    assert httpx.get(log.split()[2]).text.startswith("wsgi")
    os.kill(int(path.read_text()), signal.SIGTERM)
    assert running.process.wait(20) == -signal.SIGTERM
    assert not path.exists()


WHO = """
import os

def run(app):
    app.get("/", lambda res, req: res.end(f"{os.getresuid()} {os.getresgid()} {os.getgroups()}"))
"""


@AS_ROOT
@pytest.mark.parametrize("flags", [(), ("--workers", "2", "--timeout-worker", "5")])
def test_another_user_serves_a_port_that_only_root_may_bind(command: Any, tmp_path: Path, flags: tuple[str, ...]) -> None:
    (tmp_path / "who.py").write_text(WHO)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if folder.stat().st_uid == os.getuid() and folder != Path("/tmp"):
            folder.chmod(0o755)
    # The sources of the package may lie where the other user cannot read: all is imported before.
    running = command("who:run", "--host", "127.0.0.2", "--port", "943", "--user", "nobody", "--pid", "pid", *flags)
    text = httpx.get(running.url).text
    assert text.startswith(f"({NOBODY}, {NOBODY}, {NOBODY}) ({NOBODY}, {NOBODY}, {NOBODY}) ")
    assert " 0" not in text.partition("[")[2]
    for pid in (running.process.pid, *children(running.process.pid)):
        assert f"Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}" in Path(f"/proc/{pid}/status").read_text()
    assert running.stop() == 0
    # The directory is not hers.
    assert (tmp_path / "pid").read_text() == ""


@AS_ROOT
def test_a_unix_socket_belongs_to_the_other_user(command: Any, tmp_path: Path) -> None:
    (tmp_path / "who.py").write_text(WHO)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if folder.stat().st_uid == os.getuid() and folder != Path("/tmp"):
            folder.chmod(0o755)
    running = command("who:run", "--uds", "s", "--user", str(NOBODY), "--group", "daemon", "--uds-permissions", "600")
    assert running.url
    found = (tmp_path / "s").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (NOBODY, 1, 0o600)
    assert running.stop() == 0


@AS_ROOT
def test_who_is_not_root_cannot_become_another_user(tmp_path: Path) -> None:
    program = (
        "import os, sys\nfrom socketify.process.identity import find_identity\n"
        f"os.setgid({NOBODY})\nos.setuid({NOBODY})\n"
        f"find_identity('{NOBODY}', None).take()\n"
        "try:\n    find_identity('root', None)\nexcept PermissionError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "--user and --group: only root may become 'root'\n"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--user", "no-such-user"), "socketify: --user: there is no user 'no-such-user'\n"),
        (("--user", "4123456"), "socketify: --user: there is no user '4123456', so that --group is needed\n"),
        (("--group", "no-such-group"), "socketify: --group: there is no group 'no-such-group'\n"),
        (("--pid", "no/such/pid"), "socketify: --pid: cannot write 'no/such/pid': No such file or directory\n"),
        (("--umask", "8"), "argument --umask: must be from 0 to 777, octal, not '8'"),
        (("--uds-permissions", "666"), "--uds-permissions needs --uds"),
        (("--max-rss", "5x"), "argument --max-rss: must be a number of bytes, or of K, M or G, as 512M, not '5x'"),
        (("--worker-lifetime-jitter", "5"), "--worker-lifetime-jitter needs --worker-lifetime"),
    ],
)
def test_mistakes(command: Any, flags: tuple[str, ...], said: str) -> None:
    running = command("app:wsgi", "--port", "0", *flags)
    assert running.process.wait(20) == 2
    assert said in running.said
    assert running.said.count("\n") == 1
