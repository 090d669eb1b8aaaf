"""421 (RFC 9110 section 15.5.20): a request for a host that its connection was not made for."""

from __future__ import annotations

from typing import Any, Callable

import pytest
from tls_files import Files, plain

from socketify import App, AppOptions


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


def ask(server: Any, files: Files, name: Any, host: str, **certificate: str) -> tuple[int, str]:
    """Ask for a host on a connection that was made for a name; None for no name."""
    context = files.client(**certificate)
    context.check_hostname = False
    with context.wrap_socket(plain(server), server_hostname=name) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\nHost: " + host.encode() + b"\r\n\r\n")
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body.decode()


def _build(files: Files, certificates: bool = True) -> Callable[[App], None]:
    def build(app: App) -> None:
        app.get("/", lambda res, _req: res.end("default"))
        for name in ("a.example.org", "b.example.org"):
            if certificates:
                app.add_server_name(name, files.options(name[0], name))
            app.domain(name).get("/", lambda res, _req, name=name: res.end(name))

    return build


def test_a_host_with_another_certificate_is_refused(serve: Callable[..., Any], files: Files) -> None:
    server = serve(_build(files), options=files.options())
    assert ask(server, files, "a.example.org", "a.example.org") == (200, "a.example.org")
    assert ask(server, files, "a.example.org", "A.Example.org:443") == (200, "a.example.org")
    assert ask(server, files, "a.example.org", "b.example.org") == (421, "Misdirected Request")
    assert ask(server, files, "localhost", "b.example.org") == (421, "Misdirected Request")
    assert ask(server, files, "a.example.org", "b.example.org.:443") == (421, "Misdirected Request")
    assert ask(server, files, "a.example.org", "a.example.org.") == (200, "a.example.org")
    # What nobody configured, and clients that name no server, get what they always got.
    assert ask(server, files, "a.example.org", "other.example.org") == (200, "default")
    assert ask(server, files, None, "b.example.org") == (200, "b.example.org")
    assert ask(server, files, "localhost", "127.0.0.1") == (200, "default")


def test_hosts_with_one_certificate_share_connections(serve: Callable[..., Any], files: Files) -> None:
    server = serve(_build(files, certificates=False), options=files.options("all", "localhost", "*.example.org"))
    assert ask(server, files, "a.example.org", "b.example.org") == (200, "b.example.org")


def test_the_connection_goes_on(serve: Callable[..., Any], files: Files) -> None:
    server = serve(_build(files), options=files.options())
    with files.client().wrap_socket(plain(server), server_hostname="a.example.org") as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: b.example.org\r\nContent-Length: 5\r\n\r\nhello")
        assert connection.recv(4096).startswith(b"HTTP/1.1 421 ")
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a.example.org\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_renewed_certificates_do_not_misdirect(serve: Callable[..., Any], files: Files) -> None:
    server = serve(_build(files), options=files.options())
    with files.client().wrap_socket(plain(server), server_hostname="a.example.org") as connection:
        server.app.reload_certificates()
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a.example.org\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_nobody_gets_around_the_certificate_of_clients(serve: Callable[..., Any], files: Files) -> None:
    demanding = AppOptions(**files.issue("b", "b.example.org"), ca_file_name=files.ca_file)
    me = files.issue("me", "me")

    def build(app: App) -> None:
        app.get("/", lambda res, _req: res.end("default"))
        app.add_server_name("b.example.org", demanding)

    server = serve(build, options=files.options())
    assert ask(server, files, "b.example.org", "b.example.org", **me) == (200, "default")
    assert ask(server, files, None, "b.example.org", **me)[0] == 421
    assert ask(server, files, "localhost", "b.example.org", **me)[0] == 421

    def open_name(app: App) -> None:
        app.get("/", lambda res, _req: res.end("default"))
        app.add_server_name("a.example.org", files.options("a", "a.example.org"))

    server = serve(open_name, options=files.options(ca_file_name=files.ca_file))
    assert ask(server, files, "a.example.org", "a.example.org")[0] == 200
    assert ask(server, files, "a.example.org", "localhost")[0] == 421
    assert ask(server, files, "a.example.org", "anything.else")[0] == 421
    assert ask(server, files, "localhost", "localhost", **me)[0] == 200
