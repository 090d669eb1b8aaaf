"""The PROXY protocol, versions 1 and 2: who the client is, as a proxy says before everything else of a connection."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from typing import Any

import pytest
from app_servers import TLS, ASGIServer, read_all
from websockets.sync.client import connect
from wsgi_server import both, served

from socketify import WSGI, App, AppListenOptions

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
V4 = socket.inet_aton("192.0.2.7") + socket.inet_aton("192.0.2.9") + struct.pack("!HH", 4711, 80)
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7") + bytes(16) + struct.pack("!HH", 4711, 80)
UNIX = b"/client".ljust(108, b"\0") + b"/run/app.sock".ljust(108, b"\0")
# What load balancers add: an identifier of theirs (type 0xEA), and padding (type 4).
EXTRA = b"\xea\x00\x03abc" + b"\x04\x00\x10" + bytes(16)


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def tls_tlv(client: int, verify: int, **texts: bytes) -> bytes:
    kinds = {"version": 0x21, "name": 0x22, "cipher": 0x23}
    return tlv(0x20, struct.pack("!BI", client, verify) + b"".join(tlv(kinds[name], text) for name, text in texts.items()))


FACTS = tlv(2, b"shop.example") + tlv(1, b"h2") + tls_tlv(7, 0, version=b"TLSv1.3", name=b"Ann, Lee", cipher=b"X") + EXTRA


def header(command: int, family: int, content: bytes = b"", length: int = -1) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(content) if length < 0 else length) + content


def connected(port: int, begin: bytes = b"") -> socket.socket:
    """Connect, and send what stands before TLS where there is TLS."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.settimeout(10)
    connection.sendall(begin)
    return connection if TLS is None else TLS.client().wrap_socket(connection, server_hostname="localhost")


def ask(port: int, begin: bytes, request: bytes = REQUEST) -> bytes:
    with connected(port, begin) as connection:
        connection.sendall(request)
        return read_all(connection)


@pytest.fixture
def server(serve: Any) -> Any:
    def handler(res: Any, _req: Any) -> None:
        packed = res.get_proxied_remote_address_bytes()
        res.end(f"{res.get_proxied_remote_address()} {packed and len(packed)} {res.get_remote_address()}")

    return lambda mode: serve(lambda app: app.get("/", handler), accept_proxy_protocol=mode)


NAMED = [
    (header(0x21, 0x11, V4), b"192.0.2.7 4 192.0.2.7"),
    (header(0x21, 0x12, V4), b"192.0.2.7 4 192.0.2.7"),
    (header(0x21, 0x11, V4 + EXTRA), b"192.0.2.7 4 192.0.2.7"),
    (header(0x21, 0x11, V4 + FACTS), b"192.0.2.7 4 192.0.2.7"),
    (header(0x21, 0x21, V6), b"2001:db8::7 16 2001:db8::7"),
    (header(0x21, 0x21, V6 + EXTRA + b"\x20" * 3000), b"2001:db8::7 16 2001:db8::7"),
    (header(0x21, 0x11, V4 + tlv(4, bytes(65500))), b"192.0.2.7 4 192.0.2.7"),
    # The proxy asks for itself: whether the server lives.
    (header(0x20, 0x00), b"None None 127.0.0.1"),
    (header(0x20, 0x11, V4), b"None None 127.0.0.1"),
    (header(0x20, 0x11, b""), b"None None 127.0.0.1"),
    # Addresses that are none of the Internet.
    (header(0x21, 0x00), b"None None 127.0.0.1"),
    (header(0x21, 0x00, EXTRA), b"None None 127.0.0.1"),
    (header(0x21, 0x31, UNIX), b"None None "),
    # Version 1.
    (b"PROXY TCP4 192.0.2.7 192.0.2.9 4711 80\r\n", b"192.0.2.7 4 192.0.2.7"),
    (b"PROXY TCP6 2001:db8::7 ::1 65535 0\r\n", b"2001:db8::7 16 2001:db8::7"),
    (b"PROXY UNKNOWN\r\n", b"None None 127.0.0.1"),
    (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", b"None None 127.0.0.1"),
]


@pytest.mark.parametrize("mode", [True, "optional"])
def test_the_client_that_it_names(server: Any, mode: Any) -> None:
    port = server(mode).port
    for begin, client in NAMED:
        assert ask(port, begin).endswith(b"\r\n\r\n" + client), begin[:60]
        # However it arrives.
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(10)
            for at in range(min(len(begin), 110)):
                connection.sendall(begin[at : at + 1])
            connection.sendall(begin[110:])
            secured = connection if TLS is None else TLS.client().wrap_socket(connection, server_hostname="localhost")
            secured.sendall(REQUEST)
            assert read_all(secured).endswith(b"\r\n\r\n" + client)
            secured.close()


REFUSED = [
    header(0x21, 0x11, V4[:11]),
    header(0x21, 0x11),
    header(0x21, 0x21, V4),
    header(0x21, 0x21, V6[:35]),
    header(0x21, 0x31, UNIX[:215]),
    header(0x21, 0x41, V6),
    header(0x21, 0x13, V4),
    header(0x22, 0x11, V4),
    header(0x2F, 0x11, V4),
    header(0x11, 0x11, V4),
    SIGNATURE[:11] + b"x",
    b"\r\n\r\nGET / HTTP/1.1\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.9 4711 80\n" + REQUEST,
    b"PROXY TCP4 192.0.2.7 192.0.2.9 4711\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.9 4711 80 5\r\n",
    b"PROXY TCP4  192.0.2.7 192.0.2.9 4711 80\r\n",
    b"PROXY TCP4 192.0.2.7\0 192.0.2.9 4711 80\r\n" + REQUEST,
    b"PROXY TCP6 ::1 ::1\0x 4711 80\r\n" + REQUEST,
    b"PROXY TCP4 192.0.2.7 192.0.2.9 65536 80\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.9 04711 80\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.9 -1 80\r\n",
    b"PROXY TCP4 ::1 ::1 4711 80\r\n",
    b"PROXY TCP6 1.2.3.4 1.2.3.4 4711 80\r\n",
    b"PROXY TCP5 1.2.3.4 1.2.3.4 4711 80\r\n",
    b"PROXY UNKNOWN" + b" " * 100 + b"\r\n",
    b"PROXY " + b"x" * 101,
]


@pytest.mark.parametrize("mode", [True, "optional", "required"])
def test_what_is_no_header_is_refused(server: Any, mode: Any) -> None:
    port = server(mode).port
    begins = REFUSED if mode == "optional" else [*REFUSED, REQUEST, b"\r\n" + REQUEST]
    for begin in begins:
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(begin)
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                answer = connection.recv(12)
            assert answer == (b"HTTP/1.1 400" if TLS is None else b""), begin


@pytest.mark.parametrize("begin", [b"P", b"PROXY UNKNOWN", SIGNATURE, header(0x21, 0x11, V4)[:-1]])
def test_a_peer_that_leaves_within_a_header_is_not_waited_for(server: Any, begin: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server(True).port), 8) as connection:
        connection.sendall(begin)
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == b""


@pytest.mark.parametrize("begin", [b"", b"\r\n"])
def test_a_connection_without_a_header_where_it_is_optional(server: Any, begin: bytes) -> None:
    with connected(server("optional").port) as connection:
        connection.sendall(begin + REQUEST)
        assert read_all(connection).endswith(b"\r\n\r\nNone None 127.0.0.1")


def test_wrong_modes() -> None:
    with pytest.raises(ValueError, match="accept_proxy_protocol must be True, False or 'optional', not 'v1'"):
        App(accept_proxy_protocol="v1")


def test_the_facts_of_tls(serve: Any) -> None:
    def handler(res: Any, req: Any) -> None:
        facts = res.get_proxy_facts()
        if facts is not None and "others" in facts:
            facts["others"] = {kind: value.decode() for kind, value in facts["others"].items()}
        res.end(json.dumps([req.get_scheme(), facts]))

    server = serve(lambda app: app.get("/", handler), accept_proxy_protocol="optional")
    scheme, facts = json.loads(ask(server.port, header(0x21, 0x11, V4 + FACTS)).partition(b"\r\n\r\n")[2])
    assert scheme == "https"
    assert facts == {
        "authority": "shop.example",
        "alpn": "h2",
        "tls": {"client_certificate": True, "verified": True, "version": "TLSv1.3", "client_name": "Ann, Lee", "cipher": "X"},
        "others": {"234": "abc"},
    }
    own = "http" if TLS is None else "https"
    for begin, said in ((header(0x21, 0x11, V4), {}), (b"PROXY UNKNOWN\r\n", {}), (b"", None)):
        assert json.loads(ask(server.port, begin).partition(b"\r\n\r\n")[2]) == [own, said]


@both
def test_wsgi_has_facts(threads: int) -> None:
    seen: list[Any] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append(environ.get("socketify.proxy_protocol"))
        start_response("204 No Content", [])
        return []

    with served(
        app, threads=threads, accept_proxy_protocol="optional", options=None if TLS is None else TLS.options()
    ) as server:
        # The same request is asked for more than once, on connections of which only some have a header.
        for begin in (*[header(0x21, 0x11, V4 + FACTS)] * 3, header(0x21, 0x11, V4), b"PROXY UNKNOWN\r\n", b""):
            ask(server.port, begin)
    assert [each["authority"] for each in seen[:3]] == ["shop.example"] * 3
    assert seen[0]["tls"]["client_name"] == "Ann, Lee"
    assert seen[3:] == [{}, {}, None]


def test_asgi_has_ends_and_facts(serve_asgi: Any) -> None:
    scopes: list[dict[str, Any]] = []

    async def app(scope: dict[str, Any], _receive: Any, send: Any) -> None:
        scopes.append(scope)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    server: ASGIServer = serve_asgi(app, accept_proxy_protocol=True, lifespan="off")
    for begin in (header(0x21, 0x11, V4 + FACTS), header(0x21, 0x31, UNIX), header(0x20, 0)):
        ask(server.port, begin)
    named, unix, local = scopes
    assert (named["client"], named["server"], named["scheme"]) == (("192.0.2.7", 4711), ("192.0.2.9", 80), "https")
    assert named["extensions"]["proxy_protocol"]["authority"] == "shop.example"
    assert (unix["client"], unix["server"]) == (None, ("/run/app.sock", None))
    assert local["client"][0] == local["server"][0] == "127.0.0.1"
    if TLS is None:
        assert named["extensions"]["tls"]["client_cert_name"] == "CN=Ann\\, Lee"
        assert named["extensions"]["tls"]["tls_version"] == 0x0304
        assert "tls" not in local["extensions"]


def test_wsgi_has_the_client() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        names = ("REMOTE_ADDR", "REMOTE_PORT", "SERVER_NAME", "SERVER_PORT", "wsgi.url_scheme")
        return [" ".join(environ[name] for name in names).encode()]

    server = WSGI(app, accept_proxy_protocol=True, options=None if TLS is None else TLS.options())
    ports: list[int] = []
    server.listen(AppListenOptions(host="127.0.0.1"), lambda config: ports.append(config.port))
    server.run(block=False)
    try:
        assert ask(ports[0], header(0x21, 0x11, V4 + FACTS)).endswith(b"\r\n\r\n192.0.2.7 4711 192.0.2.9 80 https")
    finally:
        server.close()


def test_a_websocket_has_the_client(serve: Any) -> None:
    def message(ws: Any, _message: Any, _opcode: int) -> None:
        ws.send(ws.get_remote_address())

    server = serve(lambda app: app.ws("/", {"message": message}), accept_proxy_protocol=True)
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(header(0x21, 0x11, V4))
        context = None if TLS is None else TLS.client()
        uri = f"{server.ws_url.partition(':')[0]}://localhost:{server.port}/"
        with connect(uri, sock=connection, ssl=context) as client:
            client.send("who")
            assert client.recv(timeout=10) == b"192.0.2.7"


def test_http_2_behind_it(serve: Any) -> None:
    httpcore = pytest.importorskip("h2.connection")
    if TLS is not None:
        pytest.skip("in clear, with prior knowledge")

    def handler(res: Any, _req: Any) -> None:
        res.end(res.get_remote_address())

    server = serve(lambda app: app.get("/", handler), accept_proxy_protocol=True)
    connection = httpcore.H2Connection()
    connection.initiate_connection()
    connection.send_headers(1, [(":method", "GET"), (":path", "/"), (":scheme", "http"), (":authority", "a")], end_stream=True)
    with socket.create_connection(("127.0.0.1", server.port), 10) as client:
        client.sendall(header(0x21, 0x21, V6) + connection.data_to_send())
        body = b""
        while not body:
            for event in connection.receive_data(client.recv(10_000)):
                body += getattr(event, "data", b"") or b""
        assert body == b"2001:db8::7"
