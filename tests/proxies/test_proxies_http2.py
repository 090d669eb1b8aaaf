"""haproxy speaks HTTP/2 to us, with the address of the client before it; nginx speaks it to clients.

nginx speaks HTTP/2 to servers, too, from version 1.29.4 on, which is not Debian's.
"""

from __future__ import annotations

import http.client
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable

import pytest
from app_servers import TLS
from front import in_front, is_installed
from http2_client import Client
from tls_files import Files, plain
from websockets.sync.client import connect

from socketify import App, Request, Response

pytestmark = pytest.mark.skipif(TLS is not None, reason="has certificates of its own")

BODY = bytes(range(256)) * 400


def routes(app: App) -> None:
    app.get("/", tell)
    app.post("/echo", echo)
    app.ws("/ws", {"message": lambda ws, message, opcode: ws.send(message, opcode)})


def tell(res: Response, req: Request) -> None:
    res.end(f"{res.get_proxied_remote_address() or '-'} {req.get_header('x-forwarded-for') or '-'} {req.get_scheme()}")


async def echo(res: Response, _req: Request) -> None:
    res.end((await res.get_data()).getvalue())


def test_haproxy_speaks_http_2_and_says_who_the_client_is(serve: Callable[..., Any], tmp_path: Path) -> None:
    if not is_installed("haproxy-http2-proxied"):
        pytest.skip("haproxy is not installed")
    # Whatever were no HTTP/2 would be refused.
    server = serve(routes, http="2", accept_proxy_protocol=True)
    with in_front("haproxy-http2-proxied", tmp_path, server.port) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        for _ in range(3):
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"127.0.0.1 127.0.0.1 http"
            connection.request("POST", "/echo", BODY)
            assert connection.getresponse().read() == BODY
        connection.close()
        # By extended CONNECT.
        with connect(f"ws://127.0.0.1:{port}/ws", compression=None, open_timeout=20) as websocket:
            websocket.send("text")
            assert websocket.recv(20) == "text"


def test_nginx_speaks_http_2_to_clients(serve: Callable[..., Any], tmp_path: Path) -> None:
    if not is_installed("nginx-tls"):
        pytest.skip("nginx is not installed")
    files = Files(tmp_path)
    files.issue("server")
    server = serve(routes)
    with in_front("nginx-tls", tmp_path, server.port) as port:
        context = files.client()
        context.set_alpn_protocols(["h2"])
        front = plain(SimpleNamespace(port=port))
        with Client(connection=context.wrap_socket(front, server_hostname="localhost")) as client:
            streams = [client.request("/") for _ in range(20)]
            assert {client.wait(stream).body for stream in streams} == {b"- - http"}
            assert client.post("/echo", BODY).body == BODY
