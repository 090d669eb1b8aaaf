"""TLS files that change are read again, without a signal."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from server_programs import Program
from tls_files import Files
from waiting import wait_until

from socketify import App, AppOptions
from socketify.core.certificate_watch import CertificateWatch


def names(port: int, context: ssl.SSLContext, asked: str = "localhost") -> set[str]:
    """Give what the certificate of a new connection is for."""
    with (
        socket.create_connection(("127.0.0.1", port), 10) as plain,
        context.wrap_socket(plain, server_hostname=asked) as shaken,
    ):
        found: Any = shaken.getpeercert()
        return {str(name) for _, name in found["subjectAltName"]}


def test_changed_files_are_read_again(serve: Callable[..., Any], tmp_path: Path) -> None:
    files, errors = Files(tmp_path), []

    def build(app: App) -> None:
        app.get("/", lambda res, _req: res.end("hello"))
        app.on_error(lambda error, _res, _req: errors.append(str(error)))
        app.add_server_name("other.test", files.options("other", "other.test", "first.test"))

    server = serve(build, options=files.options("server", "localhost", "before.test", reload_interval=1))
    context = files.client()
    assert names(server.port, context) == {"localhost", "before.test"}
    files.issue("server", "localhost", "after.test")
    wait_until(lambda: names(server.port, context) == {"localhost", "after.test"})
    assert names(server.port, context, "other.test") == {"other.test", "first.test"}
    files.issue("other", "other.test", "second.test")
    wait_until(lambda: names(server.port, context, "other.test") == {"other.test", "second.test"})
    # Half of a pair: what was there before stays, and the error is reported once.
    key = tmp_path / "server.key"
    shutil.copy(tmp_path / "other.key", tmp_path / "good.key")
    good = key.read_bytes()
    shutil.copy(tmp_path / "other.key", key)
    wait_until(lambda: len(errors) == 1)
    time.sleep(2.5)
    assert len(errors) == 1
    assert "server.key': the key does not belong to the certificate" in errors[0]
    assert names(server.port, context) == {"localhost", "after.test"}
    key.write_bytes(good)
    files.issue("server", "localhost", "last.test")
    wait_until(lambda: names(server.port, context) == {"localhost", "last.test"})
    assert len(errors) == 1


def test_a_link_that_leads_elsewhere(serve: Callable[..., Any], tmp_path: Path) -> None:
    """As Kubernetes mounts secrets: the files are links into a folder that is a link, which is replaced."""
    files = Files(tmp_path)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        issued = files.issue(f"{name}/tls", "localhost", f"{name}.test")
        assert Path(issued["key_file_name"]).exists()
    (tmp_path / "data").symlink_to("one")
    for end in ("pem", "key"):
        (tmp_path / f"tls.{end}").symlink_to(f"data/tls.{end}")
    options = AppOptions(
        cert_file_name=tmp_path / "tls.pem", key_file_name=tmp_path / "tls.key", reload_interval=1, minimum_version="1.3"
    )
    server = serve(lambda app: app.get("/", lambda res, _req: res.end("hello")), options=options)
    assert "one.test" in names(server.port, files.client())
    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").rename(tmp_path / "data")
    wait_until(lambda: "two.test" in names(server.port, files.client()))


def test_the_command_with_workers(command: Any, tmp_path: Path) -> None:
    files = Files(tmp_path)
    given = files.issue("server", "localhost", "before.test")
    flags = ("--ssl-certfile", given["cert_file_name"], "--ssl-keyfile", given["key_file_name"], "--ssl-reload")
    running = command("app:run", "--port", "0", "--workers", "2", *flags)
    port, context = int(running.url.rpartition(":")[2]), files.client()
    assert {"before.test", "localhost"} == names(port, context)
    files.issue("server", "localhost", "after.test")
    # Connections reach either worker by chance.
    wait_until(lambda: all("after.test" in names(port, context) for _ in range(10)))
    assert running.said.count("the TLS files were read again") == 2
    assert running.stop() == 0


@pytest.mark.parametrize("value", [-1, "5", 100000, 0.5, float("nan")])
def test_wrong_intervals(value: Any) -> None:
    with pytest.raises(ValueError, match="reload_interval must be 0, or from 1 to 86400 seconds, not "):
        AppOptions(reload_interval=value)


def test_an_interval_that_nothing_would_follow(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="reload_interval needs cert_file_name"):
        AppOptions(reload_interval=5)
    files = Files(tmp_path)
    app = App(files.options())
    with pytest.raises(ValueError, match="reload_interval is an option of the app"):
        app.add_server_name("a.test", files.options("a", "a.test", reload_interval=5))
    app.close()


NOBODY = 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user, whom permissions concern")
def test_what_permissions_forbid_is_read_when_they_permit_it(tmp_path: Path) -> None:
    files = Files(tmp_path)
    given = files.issue("server", "localhost", "before.test")
    for folder in (tmp_path, *list(tmp_path.parents)[:3]):
        if folder.stat().st_uid == os.getuid() and folder != Path("/tmp"):
            folder.chmod(0o755)
    key = Path(given["key_file_name"])
    key.chmod(0o644)
    text = (
        "import os, socketify\nfrom socketify import App, AppOptions\n"
        f"files = { ({each: str(path) for each, path in given.items()})!r}\n"
        "app = App(AppOptions(**files, reload_interval=1))\n"
        "app.get('/', lambda res, req: res.end('x'))\n"
        f"app.listen(0, lambda config: print(config.port))\nos.setgid({NOBODY})\nos.setuid({NOBODY})\napp.run()\n"
    )
    with Program(text) as program:
        key.chmod(0o600)
        files.issue("server", "localhost", "after.test")
        Path(given["cert_file_name"]).chmod(0o644)
        wait_until(lambda: "Permission denied" in program.errors)
        # Longer than until a second report.
        time.sleep(2.5)
        assert program.errors.count("a handler failed") == 1
        assert names(program.port, files.client()) == {"localhost", "before.test"}
        key.chmod(0o644)
        wait_until(lambda: names(program.port, files.client()) == {"localhost", "after.test"})
        program.stop()


def test_a_look_at_many_names_takes_many_turns(tmp_path: Path) -> None:
    file = tmp_path / "pair.pem"
    file.touch()
    asked: list[str] = []
    options = {f"{number}.test": AppOptions(cert_file_name=file) for number in range(1000)}
    watch = CertificateWatch(SimpleNamespace(options=options, reload_name=asked.append), 0.01)  # type: ignore[arg-type]
    file.write_text("changed")

    async def look() -> int:
        await watch.start()
        turns = 0
        while len(asked) < len(options):
            turns += bool(asked)
            await asyncio.sleep(0)
        await watch.stop(0)
        return turns

    assert asyncio.run(look()) >= 15
    assert set(asked) == set(options)
