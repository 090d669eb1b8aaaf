"""What the command takes of the system: the file with its number, the mode of its socket, and another user."""

from __future__ import annotations

import contextlib
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
from cli_command import ROOT, Command, children
from server_programs import Program, environment
from waiting import wait_until

from socketify import App, AppListenOptions
from socketify.system.unix_sockets import bound_unix_socket

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


WAITS = """
import asyncio, os, socketify

def run(app):
    async def wait(res, req):
        open("waits", "w").close()
        while not os.path.exists("go"):
            await asyncio.sleep(0.02)
        res.end("waited")
    app.get("/wait", wait)
    app.get("/", lambda res, req: res.end(str(os.getpid())))
"""
ALONE = (
    "import waits, socketify\nwaits.run(app := socketify.App())\nsocketify.serve(app, uds='s', on_listen=lambda _: print(0))"
)
CROWD = "import waits, socketify\nsocketify.serve(waits.run, uds='s', workers=2, on_listen=lambda _: print(0))"


@pytest.mark.parametrize("kind", ["one process", "workers", "an App", "workers of a program"])
def test_who_drains_leaves_the_file_of_its_successor_alone(command: Any, tmp_path: Path, kind: str) -> None:
    (tmp_path / "waits.py").write_text(WAITS)
    path = tmp_path / "s"
    transport = httpx.HTTPTransport(uds=str(path))
    with contextlib.ExitStack() as stack:
        if kind in ("one process", "workers"):
            old = command("waits:run", "--uds", "s", *(("--workers", "2") if kind == "workers" else ())).process
            wait_until(lambda: "Listening" in (tmp_path / "log.txt").read_text())
        else:
            more = {"cwd": tmp_path, "env": environment(PYTHONPATH=f"{ROOT}{os.pathsep}{tmp_path}")}
            old = stack.enter_context(Program(ALONE if kind == "an App" else CROWD, **more)).process
        with socket.socket(socket.AF_UNIX) as waiting:
            waiting.settimeout(20)
            waiting.connect(str(path))
            waiting.sendall(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
            wait_until((tmp_path / "waits").exists)
            old.terminate()
            # It stops listening at once, so that another one can take the place.
            wait_until(lambda: refuses(path))
            (tmp_path / "new").mkdir()
            new = Command(tmp_path / "new", "app:wsgi", "--app-dir", str(tmp_path), "--uds", str(path))
            stack.callback(new.process.wait)
            stack.callback(new.process.kill)
            assert new.url
            (tmp_path / "go").touch()
            assert waiting.recv(1000).endswith(b"waited")
        assert old.wait(20) == -signal.SIGTERM
        with httpx.Client(transport=transport) as client:
            assert client.get("http://a/").text.startswith("wsgi")
        assert new.stop() == 0
    assert not path.exists()


def refuses(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) != 0


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


def test_the_lock_of_the_file_holds_when_the_application_reads_it(command: Any, tmp_path: Path) -> None:
    (tmp_path / "reads.py").write_text('from app import wsgi\nopen("pid").read()\n')
    running = command("reads:wsgi", "--port", "0", "--pid", "pid")
    assert running.url
    second = command("app:wsgi", "--port", "0", "--pid", "pid")
    assert second.process.wait(20) == 2
    assert "belongs to a process that runs" in second.said


def test_workers_that_outlive_their_supervisor_have_no_part_in_the_file(command: Any, tmp_path: Path) -> None:
    running = command("app:wsgi", "--port", "0", "--workers", "2", "--pid", "pid")
    assert running.url
    workers = children(running.process.pid)
    for each in workers:
        os.kill(each, signal.SIGSTOP)
    try:
        running.process.kill()
        running.process.wait()
        second = command("app:wsgi", "--port", "0", "--pid", "pid")
        assert second.url
        assert (tmp_path / "pid").read_text() == f"{second.process.pid}\n"
    finally:
        for each in workers:
            os.kill(each, signal.SIGKILL)
    assert second.stop() == 0


@pytest.mark.parametrize(
    ("make", "why"), [("symlink_to", "it is a symbolic link"), ("hardlink_to", "it is no file of its own")]
)
def test_the_file_is_not_written_where_a_link_leads(command: Any, tmp_path: Path, make: str, why: str) -> None:
    other = tmp_path / "other"
    other.write_text("theirs\n")
    if make == "hardlink_to":
        os.link(other, tmp_path / "pid")
    else:
        (tmp_path / "pid").symlink_to(other)
    running = command("app:wsgi", "--port", "0", "--pid", "pid")
    assert running.process.wait(20) == 2
    assert running.said == f"socketify: --pid: cannot write 'pid': {why}\n"
    assert other.read_text() == "theirs\n"


def test_the_mode_of_a_socket_is_not_that_of_a_file_which_takes_its_place(tmp_path: Path) -> None:
    path, other = tmp_path / "s", tmp_path / "other"
    other.touch(0o600)
    opened, file = bound_unix_socket(str(path))
    path.unlink()
    path.symlink_to(other)
    for change in (lambda: file.set_permissions(0o666), lambda: file.give_to(os.getuid(), os.getgid())):
        with pytest.raises(OSError, match=r"symbolic links|taken its place"):
            change()
    file.remove()
    opened.close()
    assert path.is_symlink()
    assert mode(other) == 0o600


WHO = """
import os

def run(app):
    app.get("/", lambda res, req: res.end(f"{os.getresuid()} {os.getresgid()} {os.getgroups()}"))
"""


@AS_ROOT
@pytest.mark.parametrize("flags", [(), ("--workers", "2", "--timeout-worker", "5")])
def test_another_user_serves_a_port_that_only_root_may_bind(command: Any, tmp_path: Path, flags: tuple[str, ...]) -> None:
    (tmp_path / "who.py").write_text(WHO)
    for folder in (tmp_path, *list(tmp_path.parents)[:3]):
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
    # The directory is not hers, and neither is the file.
    assert (tmp_path / "pid").read_text() == ""
    assert (tmp_path / "pid").stat().st_uid == 0


@AS_ROOT
def test_a_unix_socket_belongs_to_the_other_user(command: Any, tmp_path: Path) -> None:
    (tmp_path / "who.py").write_text(WHO)
    for folder in (tmp_path, *list(tmp_path.parents)[:3]):
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
        (("--worker-lifetime", "40000000"), "argument --worker-lifetime: must be from 1 to 31622400, not 40000000"),
        (("--worker-lifetime-jitter", "5"), "--worker-lifetime-jitter needs --worker-lifetime"),
    ],
)
def test_mistakes(command: Any, flags: tuple[str, ...], said: str) -> None:
    running = command("app:wsgi", "--port", "0", *flags)
    assert running.process.wait(20) == 2
    assert said in running.said
    assert running.said.count("\n") == 1
