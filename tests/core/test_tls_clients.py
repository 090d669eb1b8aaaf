"""Every option of TLS with every kind of client."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets.asyncio.client
from certificates import KeyType
from tls_files import Files

from socketify import App, AppOptions, Request, Response


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


def build(app: App) -> None:
    app.get("/", lambda res, _req: res.end("hello"))
    app.ws("/ws", {"message": lambda ws, message, opcode: ws.send(message, opcode)})


def with_httpx(port: int, files: Files, identity: dict[str, str]) -> bytes:
    return httpx.get(f"https://localhost:{port}/", verify=files.client(**identity)).content


def with_curl(port: int, files: Files, identity: dict[str, str]) -> bytes:
    command = ["curl", "-sS", "--cacert", files.ca_file, f"https://localhost:{port}/"]
    command += ["--cert", identity["cert_file_name"], "--key", identity["key_file_name"]] if identity else []
    return subprocess.run(command, capture_output=True, check=True, timeout=20).stdout


def with_websockets(port: int, files: Files, identity: dict[str, str]) -> bytes:
    async def main() -> bytes:
        address = f"wss://localhost:{port}/ws"
        async with websockets.asyncio.client.connect(address, ssl=files.client(**identity)) as ws:
            await ws.send(b"hello")
            answer = await asyncio.wait_for(ws.recv(), 10)
            assert isinstance(answer, bytes)
            return answer

    return asyncio.run(main())


def with_s_client(port: int, files: Files, identity: dict[str, str]) -> bytes:
    command = ["openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile", files.ca_file, "-connect"]
    command.append(f"localhost:{port}")
    command += ["-cert", identity["cert_file_name"], "-key", identity["key_file_name"]] if identity else []
    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        # The end of its input would end the connection too.
        program.stdin.write(request)
        program.stdin.flush()
        return program.stdout.read().rpartition(b"\r\n\r\n")[2]


def dh_parameters(files: Files) -> dict[str, Any]:
    path = files.directory / "parameters.pem"
    command = ["openssl", "genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048", "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    given = files.issue("dh", key_type=KeyType.RSA)
    return {**given, "dh_params_file_name": path, "ssl_ciphers": "DHE-RSA-AES128-GCM-SHA256"}


def encrypted_key(files: Files) -> dict[str, Any]:
    given = files.issue("locked", key_type=KeyType.RSA)
    key = str(files.directory / "locked.pem.key")
    command = ["openssl", "rsa", "-aes256", "-passout", "pass:secret", "-in", given["key_file_name"], "-out", key]
    subprocess.run(command, check=True, capture_output=True)
    return {**given, "key_file_name": key, "passphrase": "secret"}


def two_kinds(files: Files) -> dict[str, Any]:
    both = [files.issue(f"kind-{kind.name}", key_type=kind) for kind in (KeyType.ECDSA, KeyType.RSA)]
    return {name: [each[name] for each in both] for name in both[0]}


def chain(files: Files) -> dict[str, Any]:
    return files.write("chain", files.ca.child().issue("localhost"))


def one_file(files: Files) -> dict[str, Any]:
    given = files.issue("one")
    path = files.directory / "one.both.pem"
    path.write_text(Path(given["cert_file_name"]).read_text() + Path(given["key_file_name"]).read_text())
    return {"cert_file_name": path}


OPTIONS: dict[str, Callable[[Files], dict[str, Any]]] = {
    "ECDSA": lambda files: files.issue("ecdsa"),
    "RSA": lambda files: files.issue("rsa", key_type=KeyType.RSA),
    "two kinds of keys": two_kinds,
    "a chain": chain,
    "one file": one_file,
    "encrypted key": encrypted_key,
    "DH parameters": dh_parameters,
    "ciphers of TLS 1.2": lambda files: {**files.issue("old"), "ssl_ciphers": "ECDHE-ECDSA-CHACHA20-POLY1305"},
    "only TLS 1.3": lambda files: {**files.issue("new"), "ssl_ciphers": "TLS_AES_256_GCM_SHA384"},
    "low memory": lambda files: {**files.issue("low"), "ssl_prefer_low_memory_usage": 1},
    "no handshake time-out": lambda files: {**files.issue("patient"), "handshake_timeout": 0},
    "required certificates": lambda files: {**files.issue("mutual"), "ca_file_name": files.ca_file},
    "optional certificates": lambda files: {
        **files.issue("maybe"),
        "ca_file_name": files.ca_file,
        "client_certificate": "optional",
    },
}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("talk", [with_httpx, with_curl, with_websockets, with_s_client])
def test_clients(serve: Any, files: Files, option: str, talk: Callable[[int, Files, dict[str, str]], bytes]) -> None:
    server = serve(build, options=AppOptions(**OPTIONS[option](files)))
    identity = files.issue("client", "client.test")
    required = option == "required certificates"
    assert talk(server.port, files, identity) == b"hello"
    if not required:
        assert talk(server.port, files, {}) == b"hello"
        assert server.app.get_failed_handshakes() == 0
        return
    with contextlib.suppress(httpx.HTTPError, subprocess.CalledProcessError, OSError, websockets.WebSocketException):
        assert talk(server.port, files, {}) != b"hello"
    assert server.app.get_failed_handshakes() == 1


@pytest.mark.parametrize("http", ["1", "2"])
@pytest.mark.parametrize("has_certificate", [True, False])
def test_what_handlers_know_of_a_handshake(serve: Callable[..., Any], files: Files, http: str, has_certificate: bool) -> None:
    async def later(res: Response, _req: Request) -> None:
        before = res.get_handshake_facts()
        await asyncio.sleep(0)
        assert res.get_handshake_facts() == before
        facts.append(before)
        res.end("hello")
        assert res.get_handshake_facts() is None

    facts: list[Any] = []
    identity = files.issue("alice", "alice@example.org", common_name="alice") if has_certificate else {}
    options = files.options(ca_file_name=files.ca_file, client_certificate="optional")
    server = serve(lambda app: app.get("/", later), options=options, http=http)
    with httpx.Client(verify=files.client(**identity), http2=http == "2", http1=http == "1") as client:
        assert client.get(f"https://localhost:{server.port}/").text == "hello"
    (found,) = facts
    assert (found.version, found.version_number) == ("TLSv1.3", 0x0304)
    assert found.cipher_suite in (0x1301, 0x1302, 0x1303)
    assert found.server_certificate == ssl.PEM_cert_to_DER_cert((files.directory / "server.pem").read_text())
    if has_certificate:
        assert "CN=alice" in found.client_name.split(",")
        assert found.client_certificates[0] == ssl.PEM_cert_to_DER_cert((files.directory / "alice.pem").read_text())
    else:
        assert (found.client_name, found.client_certificates) == (None, ())


def test_without_tls_there_is_no_handshake(serve: Callable[..., Any], files: Files) -> None:
    server = serve(lambda app: app.get("/", lambda res, _req: res.end(str(res.get_handshake_facts()))), options=None)
    assert httpx.get(f"http://localhost:{server.port}/").text == "None"
