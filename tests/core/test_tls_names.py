"""Server names, the renewal of certificates, and certificates of clients."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable

import httpx
import pytest
from certificates import KeyType
from tls_files import Files, plain

from socketify import App, AppOptions


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


def _hello(app: App) -> None:
    app.get("/", lambda res, _req: res.end("hello"))


def certificate_for(server: Any, files: Files, name: str) -> tuple[str, ...]:
    """Tell the names in the certificate that a client gets who asks for a name."""
    context = files.client()
    context.check_hostname = False
    with context.wrap_socket(plain(server), server_hostname=name) as connection:
        found: Any = connection.getpeercert()
    return tuple(value for _kind, value in found["subjectAltName"])


def ask(server: Any, files: Files, host: str) -> str:
    with files.client().wrap_socket(plain(server), server_hostname=host) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\nHost: " + host.encode() + b"\r\n\r\n")
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts).rpartition(b"\r\n\r\n")[2].decode()


def test_names_have_certificates_and_routes(serve: Callable[..., Any], files: Files) -> None:
    def build(app: App) -> None:
        _hello(app)
        app.add_server_name("a.example.org", files.options("a", "a.example.org"))
        app.add_server_name("*.Example.org", files.options("wild", "*.example.org"))
        app.add_server_name("bücher.example", files.options("idn", "xn--bcher-kva.example"))
        app.domain("a.example.org").get("/", lambda res, _req: res.end("a"))
        app.domain("*.example.org").get("/", lambda res, _req: res.end("any"))

    server = serve(build, options=files.options())
    assert certificate_for(server, files, "localhost") == ("localhost", "127.0.0.1")
    assert certificate_for(server, files, "unknown.test") == ("localhost", "127.0.0.1")
    assert certificate_for(server, files, "A.example.org") == ("a.example.org",)
    assert certificate_for(server, files, "b.example.org") == ("*.example.org",)
    assert certificate_for(server, files, "example.org") == ("localhost", "127.0.0.1")
    assert certificate_for(server, files, "bücher.example") == ("xn--bcher-kva.example",)
    assert [ask(server, files, host) for host in ("a.example.org", "b.example.org", "localhost")] == ["a", "any", "hello"]


def test_a_name_has_versions_of_its_own(serve: Callable[..., Any], files: Files) -> None:
    new, old = "TLS_AES_128_GCM_SHA256", "ECDHE+AESGCM"
    for default, own in ((old, new), (new, old)):

        def build(app: App, own: str = own) -> None:
            _hello(app)
            app.add_server_name("n.test", files.options("n", "n.test", ssl_ciphers=own, ssl_prefer_low_memory_usage=1))

        server = serve(build, options=files.options(ssl_ciphers=default))
        for name, ciphers in (("localhost", default), ("n.test", own)):
            context = files.client()
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            if ciphers == new:
                with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
                    request_as(server, context, name)
            else:
                assert request_as(server, context, name).endswith(b"hello")


def test_names_come_and_go_while_serving(serve: Callable[..., Any], files: Files) -> None:
    added = files.options("late", "late.example.org")
    server = serve(_hello, options=files.options())
    assert certificate_for(server, files, "late.example.org")[0] == "localhost"
    server.app.add_server_name("late.example.org", added)
    context = files.client()
    with context.wrap_socket(plain(server), server_hostname="late.example.org") as living:
        server.app.remove_server_name("late.example.org")
        living.sendall(b"GET / HTTP/1.1\r\nHost: late.example.org\r\n\r\n")
        assert living.recv(1000).endswith(b"hello")
    assert certificate_for(server, files, "late.example.org")[0] == "localhost"


def test_a_missing_name_can_be_added_in_the_handshake(serve: Callable[..., Any], files: Files) -> None:
    asked = []

    def build(app: App) -> None:
        def missing(name: str) -> None:
            asked.append(name)
            if name.startswith("new"):
                app.add_server_name(name, files.options("new", name))
            if name.startswith("broken"):
                raise ValueError(name)

        async def later(name: str) -> None:
            asked.append("later " + name)
            if name.startswith("step"):
                # Before it first waits, the handshake waits for it.
                app.add_server_name(name, files.options("step", name))

        _hello(app)
        app.on_error(lambda error, _res, _req: asked.append(f"error {error}"))
        app.missing_server_name(later)
        app.missing_server_name(missing)
        app.get("/later", lambda res, _req: app.missing_server_name(later) and res.end())

    server = serve(build, options=files.options())
    for _ in range(2):
        assert certificate_for(server, files, "new.example.org") == ("new.example.org",)
    assert certificate_for(server, files, "other.example.org")[0] == "localhost"
    assert certificate_for(server, files, "broken.example.org")[0] == "localhost"
    assert asked == ["new.example.org", "other.example.org", "broken.example.org", "error broken.example.org"]
    httpx.get(server.url + "/later", verify=files.client())
    certificate_for(server, files, "x.example.org")
    ask(server, files, "localhost")
    assert "later x.example.org" in asked
    assert certificate_for(server, files, "step.example.org") == ("step.example.org",)


def refuses_in_time(server: Any) -> bool:
    """Wait until nobody listens any more."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            plain(server).close()
        except ConnectionRefusedError:
            return True
        time.sleep(0.05)
    return False


def test_a_handler_may_close_the_app_in_a_handshake(serve: Callable[..., Any], files: Files) -> None:
    def build(app: App) -> None:
        _hello(app)
        app.missing_server_name(lambda _name: app.close())

    server = serve(build, options=files.options())
    context = files.client()
    with contextlib.suppress(OSError), context.wrap_socket(plain(server), server_hostname="x.y") as shaken:
        assert shaken.recv(1000) == b""
    assert refuses_in_time(server)


def test_a_handshake_timeout_that_nothing_would_follow(files: Files) -> None:
    options = files.options(handshake_timeout=5)
    app = App(options)
    app.add_server_name("same.example.org", options)
    app.add_server_name("usual.example.org", files.options("usual", "usual.example.org"))
    with pytest.raises(ValueError, match=r"'a.example.org': handshake_timeout is an option of the app, where it is 5"):
        app.add_server_name("a.example.org", files.options("a", "a.example.org", handshake_timeout=3))
    app.close()


def test_wrong_uses(files: Files) -> None:
    plain = App()
    secure = App(files.options())
    for bad in ("", "a b", "*", "*.*.x", "a..b", "-" * 70, 7):
        with pytest.raises(ValueError, match="hostname"):
            secure.add_server_name(bad, files.options())
    with pytest.raises(RuntimeError, match=r"server name 'x\.y': its certificate needs an app"):
        plain.add_server_name("x.y", files.options())
    for call in (plain.reload_certificates, lambda: plain.missing_server_name(print)):
        with pytest.raises(RuntimeError, match="needs an app that serves TLS"):
            call()
    with pytest.raises(TypeError, match="handler must be callable"):
        secure.missing_server_name(7)
    broken = AppOptions(**{**files.issue("m"), "key_file_name": files.issue("n")["key_file_name"]})
    with pytest.raises(ValueError, match=r"key_file_name.*does not belong.*server name x\.y"):
        secure.add_server_name("x.y", broken)
    plain.add_server_name("x.y").close()
    secure.close()


def test_certificates_are_renewed_while_connections_live(serve: Callable[..., Any], files: Files) -> None:
    def build(app: App) -> None:
        _hello(app)
        app.add_server_name("n.test", AppOptions(**files.issue("name", "n.test")))

    server = serve(build, options=AppOptions(**files.issue("renewed", "localhost", "before.test")))
    with files.client().wrap_socket(plain(server), server_hostname="localhost") as living:
        files.issue("renewed", "localhost", "after.test")
        files.issue("name", "n.test", "new.test")
        server.app.reload_certificates()
        assert certificate_for(server, files, "localhost") == ("localhost", "after.test")
        assert certificate_for(server, files, "n.test") == ("n.test", "new.test")
        (files.directory / "renewed.pem").write_text("half a file")
        files.issue("name", "n.test", "newer.test")
        with pytest.raises(ValueError, match=r"cert_file_name .*renewed\.pem"):
            server.app.reload_certificates()
        assert certificate_for(server, files, "localhost") == ("localhost", "after.test")
        assert certificate_for(server, files, "n.test") == ("n.test", "newer.test")
        living.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert living.recv(1000).endswith(b"hello")


PROGRAM = """
import sys
from socketify import App, AppOptions
app = App(AppOptions(cert_file_name=sys.argv[1], key_file_name=sys.argv[2]))
app.on_error(lambda error, res, req: print("error", error, flush=True))
app.get("/", lambda res, req: res.end("hello"))
app.listen(0, lambda config: print(config.port, flush=True))
app.run()
"""


def test_sighup_renews(files: Files) -> None:
    given = files.issue("hup", "before.test")
    command = [sys.executable, "-c", PROGRAM, given["cert_file_name"], given["key_file_name"]]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as program:
        assert program.stdout is not None
        port = int(program.stdout.readline())
        assert certificate_for(SimpleNamespace(port=port), files, "before.test") == ("before.test",)
        files.issue("hup", "after.test")
        program.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        assert certificate_for(SimpleNamespace(port=port), files, "after.test") == ("after.test",)
        shutil.copy(given["key_file_name"], given["cert_file_name"])
        program.send_signal(signal.SIGHUP)
        assert "cert_file_name" in program.stdout.readline()
        assert certificate_for(SimpleNamespace(port=port), files, "after.test") == ("after.test",)
        program.terminate()
        assert program.wait(10) == -signal.SIGTERM


# ---- certificates of clients


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("strangers"))


def _who(app: App) -> None:
    def who(res: Any, _req: Any) -> None:
        found = res.get_client_certificate()
        res.end(b"nobody" if found is None else found)

    app.get("/", who)


def get(server: Any, context: ssl.SSLContext) -> bytes:
    return httpx.get(server.url + "/", verify=context).content


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_required(serve: Callable[..., Any], files: Files, strangers: Files, version: ssl.TLSVersion) -> None:
    server = serve(_who, options=files.options(ca_file_name=files.ca_file))
    friend = files.issue("friend", "friend.test")
    context = files.client(**friend)
    context.minimum_version = context.maximum_version = version
    assert get(server, context) == ssl.PEM_cert_to_DER_cert(Path(friend["cert_file_name"]).read_text())
    stranger = strangers.issue("stranger", "stranger.test")
    for certificate in ({}, stranger):
        refused = files.client(**certificate)
        refused.minimum_version = refused.maximum_version = version
        with pytest.raises((httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError)):
            get(server, refused)
    assert server.app.get_failed_handshakes() == 2


def test_optional(serve: Callable[..., Any], files: Files, strangers: Files) -> None:
    server = serve(_who, options=files.options(ca_file_name=files.ca_file, client_certificate="optional"))
    assert get(server, files.client()) == b"nobody"
    assert len(get(server, files.client(**files.issue("friend", key_type=KeyType.RSA)))) > 100
    with pytest.raises((httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError)):
        get(server, files.client(**strangers.issue("stranger", "stranger.test")))


def test_not_asked_for(serve: Callable[..., Any], files: Files) -> None:
    server = serve(_who, options=files.options())
    assert get(server, files.client(**files.issue("friend"))) == b"nobody"
    plain = serve(_who)
    assert httpx.get(plain.url).content == b"nobody"


def request_as(server: Any, context: ssl.SSLContext, name: str) -> bytes:
    with context.wrap_socket(plain(server), server_hostname=name) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        return connection.recv(1000)


def test_a_name_can_require_what_others_do_not(serve: Callable[..., Any], files: Files) -> None:
    def build(app: App) -> None:
        _who(app)
        app.add_server_name("closed.test", files.options("closed", "closed.test", ca_file_name=files.ca_file))

    server = serve(build, options=files.options())
    assert get(server, files.client()) == b"nobody"
    context = files.client()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        request_as(server, context, "closed.test")
    context = files.client(**files.issue("friend"))
    assert request_as(server, context, "closed.test").startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_does_not_open_another_name(serve: Callable[..., Any], files: Files, version: ssl.TLSVersion) -> None:
    def build(app: App) -> None:
        _who(app)
        app.add_server_name("closed.test", files.options("closed", "closed.test", ca_file_name=files.ca_file))

    server = serve(build, options=files.options())
    context = files.client()
    context.check_hostname = False
    context.minimum_version = context.maximum_version = version

    def request(name: str, session: Any = None) -> tuple[bytes, Any, Any]:
        with context.wrap_socket(plain(server), server_hostname=name, session=session) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            return connection.recv(1000), connection.session, connection.session_reused

    answer, session, _reused = request("localhost")
    assert answer.endswith(b"nobody")
    again, _session, reused = request("localhost", session)
    assert again.endswith(b"nobody")
    assert reused
    with pytest.raises((ssl.SSLError, ConnectionError)):
        request("closed.test", session)


def test_a_renewed_authority_ends_old_sessions(serve: Callable[..., Any], files: Files, strangers: Files) -> None:
    authority = files.directory / "authority.pem"
    shutil.copy(files.ca_file, authority)
    server = serve(_who, options=files.options(ca_file_name=authority))
    context = files.client(**files.issue("friend"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with context.wrap_socket(plain(server), server_hostname="localhost") as connection:
        session = connection.session
    shutil.copy(strangers.ca_file, authority)
    server.app.reload_certificates()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(plain(server), server_hostname="localhost", session=session)
