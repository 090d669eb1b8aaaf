"""What handlers are told of a connection of HTTP/2 beside the request: who the client is, and whom it asked for."""

from __future__ import annotations

import socket
import ssl
import struct
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from app_servers import TLS
from http2_client import Client
from tls_files import Files, plain
from wsgi_server import served

from socketify import SSGI, App, AppListenOptions

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
#: 192.0.2.7 speaks to 192.0.2.9, as PROXY protocol says.
PROXIED = SIGNATURE + b"\x21\x11\0\x0c" + bytes([192, 0, 2, 7, 192, 0, 2, 9]) + struct.pack("!HH", 4711, 80)
in_clear = pytest.mark.skipif(TLS is not None, reason="what comes before TLS, or has a certificate of its own")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


def connected(server: Any, files: Files, name: Optional[str], **certificate: str) -> Client:
    """A connection that was made for a name; None for no name."""
    context = files.client(**certificate)
    context.check_hostname = False
    context.set_alpn_protocols(["h2", "http/1.1"])
    connection = context.wrap_socket(plain(server), server_hostname=name)
    assert connection.selected_alpn_protocol() == "h2"
    return Client(connection=connection)


def ask(client: Client, host: str, *fields: tuple[str, str]) -> tuple[int, str]:
    head = [(":method", "GET"), (":scheme", "https"), (":authority", host), (":path", "/")]
    answer = client.wait(client.open([*head, *fields], ends=True))
    return answer.status, answer.body.decode()


def test_a_name_of_another_certificate_is_refused_on_its_stream_alone(serve: Callable[..., Any], files: Files) -> None:
    """A client may believe that one connection serves both (RFC 9113 section 9.1.1): 421 tells it to open another one."""

    def build(app: App) -> None:
        app.get("/", lambda res, _req: res.end("default"))
        for name in ("a.example.org", "b.example.org"):
            app.add_server_name(name, files.options(name[0], name))
            app.domain(name).get("/", lambda res, _req, name=name: res.end(name))

    server = serve(build, options=files.options())
    with connected(server, files, "a.example.org") as client:
        assert ask(client, "a.example.org") == (200, "a.example.org")
        assert ask(client, "b.example.org") == (421, "Misdirected Request")
        assert ask(client, "B.example.org:443") == (421, "Misdirected Request")
        assert ask(client, "A.Example.org:443") == (200, "a.example.org")
        assert ask(client, "other.example.org") == (200, "default")
        assert client.goaway is None
    with connected(server, files, None) as client:
        assert ask(client, "b.example.org") == (200, "b.example.org")


def test_names_of_one_certificate_share_a_connection(serve: Callable[..., Any], files: Files) -> None:
    def build(app: App) -> None:
        for name in ("a.example.org", "b.example.org"):
            app.domain(name).get("/", lambda res, _req, name=name: res.end(name))

    server = serve(build, options=files.options("all", "localhost", "*.example.org"))
    with connected(server, files, "a.example.org") as client:
        assert ask(client, "a.example.org") == (200, "a.example.org")
        assert ask(client, "b.example.org") == (200, "b.example.org")


def test_the_certificate_of_a_client(serve: Callable[..., Any], files: Files) -> None:
    me = files.issue("me", "me.example.org")

    def build(app: App) -> None:
        app.get("/", lambda res, _req: res.end((res.get_client_certificate() or b"none").hex()))

    server = serve(build, options=files.options(ca_file_name=files.ca_file, client_certificate="optional"))
    own = ssl.PEM_cert_to_DER_cert(Path(me["cert_file_name"]).read_text()).hex()
    with connected(server, files, "localhost", **me) as client:
        assert [ask(client, "localhost") for _ in range(2)] == [(200, own)] * 2
    with connected(server, files, "localhost") as client:
        assert ask(client, "localhost") == (200, b"none".hex())


def test_a_certificate_that_is_asked_for(serve: Callable[..., Any], files: Files) -> None:
    server = serve(lambda app: app.get("/", lambda res, _req: res.end("in")), options=files.options(ca_file_name=files.ca_file))
    with connected(server, files, "localhost", **files.issue("me", "me")) as client:
        assert ask(client, "localhost") == (200, "in")
    with pytest.raises((OSError, AssertionError)):  # noqa: SIM117 - with TLS 1.3 the client learns it from what it reads
        with connected(server, files, "localhost") as client:
            assert client.receive()


def tell(app: App) -> None:
    def handle(res: Any, req: Any) -> None:
        res.end(f"{res.get_remote_address()} {res.get_proxied_remote_address()} {req.get_scheme()}")

    app.get("/", handle)


@in_clear
@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "in pieces"])
def test_proxy_protocol(serve: Callable[..., Any], pieces: bool) -> None:
    server = serve(tell, accept_proxy_protocol=True)
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(0, len(PROXIED), 1 if pieces else len(PROXIED)):
        connection.sendall(PROXIED[at : at + (1 if pieces else len(PROXIED))])
    with Client(connection=connection, in_pieces=pieces) as client:
        # Of the connection, and so of all its streams.
        streams = [client.request("/") for _ in range(3)]
        assert {client.wait(stream).body for stream in streams} == {b"192.0.2.7 192.0.2.7 http"}


def test_what_a_trusted_proxy_says_holds_for_its_stream(serve: Callable[..., Any]) -> None:
    server = serve(tell, trusted_proxies="127.0.0.1")
    own = b"http" if TLS is None else b"https"
    with Client(server.port) as client:
        first = client.request("/", "GET", ("x-forwarded-for", "198.51.100.1, 192.0.2.7"), ("x-forwarded-proto", "https"))
        second, third = client.request("/", "GET", ("x-forwarded-for", "2001:db8::7")), client.request("/")
        assert client.wait(first).body == b"192.0.2.7 None https"
        assert client.wait(second).body == b"2001:db8::7 None " + own
        assert client.wait(third).body == b"127.0.0.1 None " + own
    server = serve(tell)
    with Client(server.port) as client:
        said = client.get("/", ("x-forwarded-for", "192.0.2.7"), ("x-forwarded-proto", "https"))
        assert said.body == b"127.0.0.1 None " + own


async def facts(scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"{scope['client'][0]} {scope['scheme']}".encode()})


@in_clear
def test_a_trusted_proxy_in_front_of_an_asgi_application(serve_asgi: Callable[..., Any]) -> None:
    with Client(serve_asgi(facts, trusted_proxies="127.0.0.1").port) as client:
        assert client.get("/", ("x-forwarded-for", "192.0.2.7"), ("x-forwarded-proto", "https")).body == b"192.0.2.7 https"
        assert client.get("/").body == b"127.0.0.1 http"


@in_clear
def test_an_ssgi_application() -> None:
    async def app(*arguments: Any) -> None:
        kind, _server, remote, method, path, query, get_header, res = arguments
        body = (await res.get_data()).getvalue()
        res.send_status(201).send_headers([("X-Kind", kind)])
        said = f"{remote.rpartition(':')[0]} {method} {path} {query} {get_header('host')} {len(body)} "
        res.send(said, has_more=True)
        res.send(body)

    with served(app, SSGI) as one, Client(one.port) as client:
        for size in (0, 5, 300_000):
            answer = client.post("/a%20b?c=d", b"x" * size)
            assert (answer.status, answer.field("x-kind")) == (201, "http")
            assert answer.body == b"127.0.0.1 POST /a%%20b c=d localhost %d " % size + b"x" * size


@in_clear
def test_a_unix_domain_socket(serve: Callable[..., Any], tmp_path: Path) -> None:
    path = str(tmp_path / "socket")

    def build(app: App) -> None:
        tell(app)
        app.listen(AppListenOptions(domain=path))

    serve(build)
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    with Client(connection=connection) as client:
        assert [client.get("/").body for _ in range(2)] == [b" None http"] * 2


@in_clear
@pytest.mark.parametrize("http", ["auto", "2"])
def test_an_upgrade_to_h2c_is_ignored(serve: Callable[..., Any], http: str) -> None:
    """RFC 9113 section 3.1: the way of RFC 7540 is gone."""
    server = serve(tell, http=http)
    settings = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    with server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n" + settings + b"\r\n")
        head = connection.recv(65536)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n" if http == "auto" else b"HTTP/1.1 505 HTTP Version Not Supported\r\n")
        assert b"upgrade" not in head.lower()


@in_clear
def test_only_http_2(serve: Callable[..., Any], files: Files) -> None:
    server = serve(tell, http="2")
    answer = server.exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 505 HTTP Version Not Supported\r\n")
    assert server.exchange(b"GET / HTTP/1.0\r\n\r\n").split(b" ", 2)[1] == b"505"
    assert server.exchange(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").split(b" ", 2)[1] == b"505"
    with Client(server.port) as client:
        assert client.get("/").status == 200
    secure = serve(tell, http="2", options=files.options())
    with connected(secure, files, "localhost") as client:
        assert ask(client, "localhost")[0] == 200
    context = files.client()
    with context.wrap_socket(plain(secure), server_hostname="localhost") as connection:
        # A client that does not know ALPN.
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 505 ")
    context.set_alpn_protocols(["http/1.1"])
    with pytest.raises(OSError, match="no application protocol"):
        context.wrap_socket(plain(secure), server_hostname="localhost")


@in_clear
def test_only_http_1_1(serve: Callable[..., Any], files: Files) -> None:
    server = serve(tell, http="1")
    assert server.exchange(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").startswith(b"HTTP/1.1 505 ")
    secure = serve(tell, http="1", options=files.options())
    context = files.client()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with context.wrap_socket(plain(secure), server_hostname="localhost") as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"
