"""Which versions of TLS are served, and which certificates of clients are revoked."""

from __future__ import annotations

import datetime
import socket
import ssl
from collections.abc import Callable
from typing import Any, Optional

import pytest
from tls_files import Files

from socketify import App, AppOptions

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


def hello(app: App) -> None:
    app.get("/", lambda res, _req: res.end("hello"))


def ask(port: int, context: ssl.SSLContext, name: str = "localhost") -> tuple[str, bytes]:
    """Give the version that was agreed on, and the answer."""
    with socket.create_connection(("127.0.0.1", port), 10) as plain, context.wrap_socket(plain, server_hostname=name) as shaken:
        shaken.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return str(shaken.version()), shaken.recv(1000).rpartition(b"\r\n\r\n")[2] or shaken.recv(1000)


def only(files: Files, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = files.client()
    context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.parametrize(
    ("versions", "served"),
    [
        ({}, ["TLSv1.2", "TLSv1.3"]),
        ({"minimum_version": "1.3"}, ["TLSv1.3"]),
        ({"maximum_version": "1.2"}, ["TLSv1.2"]),
        ({"minimum_version": "1.2", "maximum_version": "1.3"}, ["TLSv1.2", "TLSv1.3"]),
        ({"minimum_version": "1.3", "ssl_ciphers": "ECDHE+AESGCM"}, ["TLSv1.3"]),
    ],
)
def test_versions(serve: Callable[..., Any], files: Files, versions: dict[str, str], served: list[str]) -> None:
    server = serve(hello, options=files.options(**versions))
    found = []
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        try:
            found.append(ask(server.port, only(files, version)))
        except ssl.SSLError:
            continue
    assert found == [(each, b"hello") for each in served]


def test_versions_of_a_server_name(serve: Callable[..., Any], files: Files) -> None:
    def build(app: App) -> None:
        hello(app)
        app.add_server_name("new.test", files.options("new", "new.test", minimum_version="1.3"))
        app.add_server_name("old.test", files.options("old", "old.test", maximum_version="1.2"))

    server = serve(build, options=files.options("server"))
    old, new = only(files, ssl.TLSVersion.TLSv1_2), only(files, ssl.TLSVersion.TLSv1_3)
    for name, taken, refused in (("new.test", new, old), ("old.test", old, new)):
        assert ask(server.port, taken, name)[0] == ("TLSv1.3" if taken is new else "TLSv1.2")
        with pytest.raises(ssl.SSLError):
            ask(server.port, refused, name)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"minimum_version": "1.1"}, "minimum_version must be one of 1.2, 1.3 or None, not '1.1'"),
        ({"maximum_version": 1.3}, "maximum_version must be one of 1.2, 1.3 or None, not 1.3"),
        ({"minimum_version": "1.3", "maximum_version": "1.2"}, "minimum_version is above maximum_version"),
        ({"maximum_version": "1.2", "ssl_ciphers": "TLS_AES_128_GCM_SHA256"}, "ssl_ciphers: none of .* is of TLS 1.2"),
    ],
)
def test_wrong_versions(files: Files, choices: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        App(files.options(**choices))


def test_versions_need_a_certificate() -> None:
    with pytest.raises(ValueError, match="minimum_version needs cert_file_name"):
        AppOptions(minimum_version="1.3")


def revoke(files: Files, *certificates: str, until: datetime.timedelta = DAY, after: datetime.timedelta = DAY) -> str:
    """Write the list of what the CA has revoked, and give its path."""
    path = files.directory / "revoked.pem"
    path.write_text(files.ca.revoke(certificates, NOW - after, NOW + until))
    return str(path)


def is_served(port: int, context: ssl.SSLContext) -> Optional[bytes]:
    try:
        return ask(port, context)[1]
    except (ssl.SSLError, ConnectionResetError):
        return None


@pytest.mark.parametrize("mode", ["required", "optional"])
def test_a_client_whose_certificate_is_revoked_is_refused(serve: Callable[..., Any], files: Files, mode: str) -> None:
    good, bad = files.issue("good", "good@example.org"), files.issue("bad", "bad@example.org")
    crl = revoke(files, bad["cert_file_name"])
    server = serve(hello, options=files.options(ca_file_name=files.ca_file, client_certificate=mode, crl_file_name=crl))
    assert is_served(server.port, files.client(**good)) == b"hello"
    assert is_served(server.port, files.client(**bad)) is None
    assert is_served(server.port, files.client()) == (b"hello" if mode == "optional" else None)
    # It is read again with the certificates.
    revoke(files, good["cert_file_name"])
    server.app.reload_certificates()
    assert is_served(server.port, files.client(**good)) is None
    assert is_served(server.port, files.client(**bad)) == b"hello"


def test_a_list_that_is_too_old_refuses_everybody(serve: Callable[..., Any], files: Files) -> None:
    good = files.issue("good", "good@example.org")
    crl = revoke(files, until=-DAY / 2)
    server = serve(hello, options=files.options(ca_file_name=files.ca_file, crl_file_name=crl))
    assert is_served(server.port, files.client(**good)) is None


def test_wrong_lists(files: Files) -> None:
    with pytest.raises(ValueError, match="crl_file_name needs ca_file_name"):
        files.options(crl_file_name=files.ca_file)
    with pytest.raises(FileNotFoundError, match="crl_file_name: no such file"):
        files.options(ca_file_name=files.ca_file, crl_file_name="nowhere")
    with pytest.raises(ValueError, match=r"crl_file_name '.*authority.pem': no list of revoked certificates that can be used"):
        App(files.options(ca_file_name=files.ca_file, crl_file_name=files.ca_file))


def test_the_command(command: Any, files: Files) -> None:
    good, bad = files.issue("good", "good@example.org"), files.issue("bad", "bad@example.org")
    given = files.issue("server")
    flags = ("--ssl-certfile", given["cert_file_name"], "--ssl-keyfile", given["key_file_name"])
    more = ("--ssl-ca-certs", files.ca_file, "--ssl-crl", revoke(files, bad["cert_file_name"]), "--ssl-minimum-version", "1.3")
    running = command("app:run", "--port", "0", *flags, *more)
    port = int(running.url.rpartition(":")[2])
    assert ask(port, files.client(**good)) == ("TLSv1.3", b"native")
    assert is_served(port, files.client(**bad)) is None
    with pytest.raises(ssl.SSLError):
        ask(port, only(files, ssl.TLSVersion.TLSv1_2))
    assert running.stop() == 0
