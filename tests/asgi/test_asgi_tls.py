"""The TLS extension of ASGI: https://asgi.readthedocs.io/en/latest/specs/tls.html."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from certificates import Authority, openssl
from tls_files import Files
from websockets.sync.client import connect

from socketify import ASGI, AppListenOptions

scopes: list[dict[str, Any]] = []


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    scopes.append(scope)
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        return
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body"})


@pytest.fixture
def files(tmp_path: Path) -> Files:
    scopes.clear()
    return Files(tmp_path)


@pytest.fixture
def serve() -> Iterator[Any]:
    servers = []

    def start(**options: Any) -> str:
        server = ASGI(app, lifespan=False, **options)
        ports: list[int] = []
        server.listen(AppListenOptions(host="127.0.0.1"), lambda config: ports.append(config.port))
        server.run(block=False)
        servers.append(server)
        return f"{'https' if 'options' in options else 'http'}://127.0.0.1:{ports[0]}"

    yield start
    for server in servers:
        server.close()


def test_a_client_without_a_certificate(serve: Any, files: Files) -> None:
    url = serve(options=files.options("server"))
    context = files.client()
    with httpx.Client(verify=context) as client:
        client.get(url)
        client.get(url)
    first, second = (scope["extensions"]["tls"] for scope in scopes)
    assert first == second
    assert first is not second
    assert set(first) == {
        "server_cert",
        "client_cert_chain",
        "client_cert_name",
        "client_cert_error",
        "tls_version",
        "cipher_suite",
    }
    assert ssl.PEM_cert_to_DER_cert(first["server_cert"])
    assert first["server_cert"].replace("\r", "") == (files.directory / "server.pem").read_text().replace("\r", "")
    assert list(first["client_cert_chain"]) == []
    assert (first["client_cert_name"], first["client_cert_error"]) == (None, None)
    assert first["tls_version"] == 0x0304
    assert first["cipher_suite"] in (0x1301, 0x1302, 0x1303)


def test_tls_1_2(serve: Any, files: Files) -> None:
    url = serve(options=files.options("server"))
    context = files.client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    with httpx.Client(verify=context) as client:
        client.get(url)
    assert scopes[0]["extensions"]["tls"]["tls_version"] == 0x0303
    assert scopes[0]["extensions"]["tls"]["cipher_suite"] == 0xC02B


def test_the_certificate_of_a_client(serve: Any, files: Files) -> None:
    leaf = files.ca.child().issue("me@example.org", organization_name="Büro, Inc.", common_name="me")
    me = files.write("me", leaf)
    url = serve(options=files.options("server", ca_file_name=files.ca_file, client_certificate="optional"))
    with httpx.Client(verify=files.client(**me)) as client:
        client.get(url)
    with httpx.Client(verify=files.client()) as client:
        client.get(url)
    tls = scopes[0]["extensions"]["tls"]
    chain = list(tls["client_cert_chain"])
    assert chain == list(leaf.chain)
    said = openssl("x509", "-in", me["cert_file_name"], "-noout", "-subject", "-nameopt", "RFC2253,-esc_msb,utf8")
    assert tls["client_cert_name"] == said.strip().removeprefix("subject=") == "CN=me,OU=leaf,O=Büro\\, Inc."
    assert tls["client_cert_error"] is None
    # The next connection is somebody else.
    assert scopes[1]["extensions"]["tls"]["client_cert_name"] is None
    assert scopes[1]["extensions"]["tls"]["client_cert_chain"] == ()


def test_websockets_have_it_too(serve: Any, files: Files) -> None:
    url = serve(options=files.options("server"))
    with connect(url.replace("https", "wss"), ssl=files.client()):
        pass
    assert scopes[0]["type"] == "websocket"
    assert scopes[0]["extensions"]["tls"]["tls_version"] == 0x0304


def test_plain_http_has_none(serve: Any, files: Files) -> None:
    httpx.get(serve())
    assert "tls" not in scopes[0]["extensions"]


def test_the_name_of_the_certificate_is_the_servers(serve: Any, files: Files) -> None:
    extra = Authority(files.directory / "other").issue("other.example")
    files.write("other", extra)
    url = serve(
        options=files.options("server"),
        setup=lambda native: native.add_server_name("localhost", files.options("local", "localhost")),
    )
    with httpx.Client(verify=files.client()) as client:
        client.get(url.replace("127.0.0.1", "localhost"))
    assert scopes[0]["extensions"]["tls"]["server_cert"] == (files.directory / "local.pem").read_text().replace("\r", "")
