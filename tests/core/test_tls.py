"""HTTPS and wss: handshakes, data, limits, and the end of connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets.asyncio.client
from app_servers import read_all
from certificates import KeyType
from tls_files import Files, Raw, plain

from socketify import App, AppListenOptions, AppOptions, Limits, Request, Response


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def client(files: Files) -> Iterator[httpx.Client]:
    with httpx.Client(verify=files.client()) as made:
        yield made


BIG = bytes(range(256)) * 40_000


async def _echo(res: Response, _req: Request) -> None:
    body = await res.get_data()
    if body is not None:
        res.end(body.getvalue())


def _cut(res: Response, _req: Request) -> None:
    res.write("begun")
    res.close()


def _routes(app: App) -> None:
    app.get("/", lambda res, _req: res.end("hello"))
    app.get("/big", lambda res, _req: res.end(BIG))
    app.get("/last", lambda res, _req: res.end(BIG, end_connection=True))
    app.get("/cut", _cut)
    app.post("/echo", _echo)
    app.ws("/ws", {"message": lambda ws, message, opcode: ws.send(message, opcode), "max_backpressure": 0})


@pytest.fixture
def server(serve: Any, files: Files) -> Any:
    return serve(_routes, options=files.options())


def wrapped(server: Any, context: ssl.SSLContext, **choices: Any) -> ssl.SSLSocket:
    return context.wrap_socket(plain(server), server_hostname="localhost", **choices)


def test_requests_and_large_bodies(server: Any, client: httpx.Client) -> None:
    assert client.get(server.url + "/").text == "hello"
    assert client.get(server.url + "/big").content == BIG
    assert client.post(server.url + "/echo", content=BIG).content == BIG


def test_curl(server: Any, files: Files) -> None:
    for version in ("--tlsv1.3", "--tls-max 1.2"):
        command = ["curl", "-sS", *version.split(), "--cacert", files.ca_file, f"https://localhost:{server.port}/"]
        assert subprocess.run(command, capture_output=True, check=True, timeout=20).stdout == b"hello"


@pytest.mark.parametrize("key_type", list(KeyType))
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions_and_kinds_of_keys(serve: Any, files: Files, version: ssl.TLSVersion, key_type: KeyType) -> None:
    server = serve(_routes, options=AppOptions(**files.issue("kind", key_type=key_type)))
    context = files.client()
    context.minimum_version = context.maximum_version = version
    with wrapped(server, context) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.recv(1000).endswith(b"hello")
        assert connection.version() == version.name.replace("TLSv1_", "TLSv1.")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_versions_are_refused(server: Any, files: Files) -> None:
    context = files.client()
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        wrapped(server, context)


def test_alpn(server: Any, files: Files) -> None:
    context = files.client()
    context.set_alpn_protocols(["x" * 255, "h2", "http/1.1"])
    with wrapped(server, context) as connection:
        assert connection.selected_alpn_protocol() == "h2"
    context.set_alpn_protocols(["http/1.1"])
    with wrapped(server, context) as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"
    context.set_alpn_protocols(["h3"])
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        wrapped(server, context)


def test_sessions_are_resumed(server: Any, files: Files) -> None:
    context = files.client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with wrapped(server, context) as first:
        session = first.session
    with wrapped(server, context, session=session) as second:
        assert second.session_reused
        second.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert second.recv(1000).endswith(b"hello")


def test_websockets(server: Any, files: Files) -> None:
    async def main() -> None:
        address = f"wss://localhost:{server.port}/ws"
        async with websockets.asyncio.client.connect(address, ssl=files.client(), max_size=None, compression=None) as ws:
            for message in ("text", b"x", bytes(16 * 1024), bytes(16 * 1024 - 3), BIG):
                sending = asyncio.create_task(ws.send(message))
                assert await asyncio.wait_for(ws.recv(), 20) == message
                await sending

    asyncio.run(main())


def test_many_at_once(server: Any, files: Files) -> None:
    def fetch(_number: int) -> bytes:
        return httpx.get(server.url + "/big", verify=context, timeout=60).content

    context = files.client()
    with ThreadPoolExecutor(8) as pool:
        assert all(body == BIG for body in pool.map(fetch, range(24)))


def test_a_request_byte_by_byte_and_pipelined(server: Any, files: Files) -> None:
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    with wrapped(server, files.client()) as connection:
        for byte in request:
            connection.sendall(bytes([byte]))
        assert connection.recv(1000).endswith(b"hello")
        connection.sendall(request * 50 + b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert read_to_the_end(connection).count(b"hello") == 51


def read_to_the_end(connection: ssl.SSLSocket) -> bytes:
    """Raises ssl.SSLEOFError when the end is not announced by close_notify."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def strict(files: Files) -> ssl.SSLContext:
    context = files.client()
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF if hasattr(ssl, "OP_IGNORE_UNEXPECTED_EOF") else ~0
    return context


def test_a_slow_reader_gets_everything_before_the_close(server: Any, files: Files) -> None:
    with wrapped(server, strict(files), suppress_ragged_eofs=False) as connection:
        connection.sendall(b"GET /last HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.5)
        assert read_to_the_end(connection).endswith(BIG)


def test_a_cut_can_be_told_from_an_end(server: Any, files: Files) -> None:
    with wrapped(server, strict(files), suppress_ragged_eofs=False) as connection:
        connection.sendall(b"GET /cut HTTP/1.1\r\nHost: a\r\n\r\n")
        # CPython 3.9 has the first one's base alone.
        with pytest.raises((ssl.SSLEOFError, ConnectionResetError) if sys.version_info >= (3, 10) else ssl.SSLError):
            read_to_the_end(connection)


def test_an_idle_connection_is_closed_with_close_notify(serve: Any, files: Files) -> None:
    server = serve(_routes, options=files.options(), limits=Limits(keep_alive_timeout=1))
    with wrapped(server, strict(files), suppress_ragged_eofs=False) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert read_to_the_end(connection).endswith(b"hello")


def test_the_clients_goodbye_is_answered(server: Any, files: Files) -> None:
    with wrapped(server, files.client()) as connection:
        assert isinstance(connection.unwrap(), socket.socket)


def exchange(server: Any, data: bytes) -> bytes:
    with plain(server) as connection:
        connection.sendall(data)
        return read_all(connection)


def test_plain_http_is_told_and_closed(server: Any) -> None:
    answer = exchange(server, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b"This port speaks HTTPS: use https://\n")
    assert server.app.get_failed_handshakes() == 1


@pytest.mark.parametrize(
    "junk", [b"\0" * 100, b"\x16\x03\x01\xff\xff" + b"x" * 70_000, b"SSH-2.0-x\r\n", bytes(range(256)) * 300]
)
def test_junk_is_closed(server: Any, client: httpx.Client, junk: bytes) -> None:
    exchange(server, junk)
    assert client.get(server.url + "/").text == "hello"


def test_a_handshake_that_never_ends_is_cut(serve: Any, files: Files) -> None:
    server = serve(_routes, options=files.options(handshake_timeout=1))
    with plain(server) as silent, plain(server) as slow:
        begin = time.monotonic()
        slow.sendall(b"\x16\x03\x01")
        assert silent.recv(10) == b""
        assert slow.recv(10) == b""
        assert 0.9 < time.monotonic() - begin < 4


def test_an_app_stops_while_handshakes_wait(serve: Any, files: Files) -> None:
    server = serve(_routes, options=files.options())
    with plain(server) as silent:
        time.sleep(0.1)
        begin = time.monotonic()
        server.app.close()
        assert silent.recv(10) == b""
        assert time.monotonic() - begin < 3


def test_unix_sockets_speak_tls_too(files: Files, tmp_path: Path) -> None:
    path = str(tmp_path / "s")

    async def main() -> str:
        app = App(files.options())
        _routes(app)
        app.listen(AppListenOptions(domain=path))
        serving = asyncio.create_task(app.serve())
        transport = httpx.AsyncHTTPTransport(uds=path, verify=files.client())
        async with httpx.AsyncClient(transport=transport) as made:
            answer = await made.get("https://localhost/")
        app.close()
        await serving
        return answer.text

    assert asyncio.run(main()) == "hello"


def test_small_memory_serves_the_same(serve: Any, files: Files, client: httpx.Client) -> None:
    server = serve(_routes, options=files.options(ssl_prefer_low_memory_usage=1))
    for _ in range(3):
        assert client.post(server.url + "/echo", content=BIG).content == BIG


def test_renegotiation_is_refused(server: Any, files: Files) -> None:
    command = ["openssl", "s_client", "-connect", f"localhost:{server.port}", "-tls1_2", "-CAfile", files.ca_file]
    done = subprocess.run(command, input=b"R\n", capture_output=True, timeout=20, check=False)
    assert b"no renegotiation" in done.stdout + done.stderr


def test_no_tail_is_forgotten(serve: Any, files: Files, tmp_path: Path) -> None:
    """Where the kernel takes all but a part of the last record, nothing waits but that part."""
    path = str(tmp_path / "s")

    def build(app: App) -> None:
        app.get("/:size", lambda res, req: res.end(b"x" * int(req.get_parameter(0))))
        # Its small buffer is often full.
        app.listen(AppListenOptions(domain=path))

    serve(build, options=files.options())
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(3)
    connection.connect(path)
    with files.client().wrap_socket(connection, server_hostname="localhost") as shaken:
        for size in range(400_000, 800_000, 4_000):
            shaken.sendall(f"GET /{size} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            head = b""
            while b"\r\n\r\n" not in head:
                head += shaken.recv(1000)
            left = size - len(head.partition(b"\r\n\r\n")[2])
            while left > 0:
                left -= len(shaken.recv(65536))


@pytest.mark.parametrize("position", [0, 1, 3, 4, 5, 20, -1])
def test_a_changed_record_ends_the_connection(server: Any, files: Files, client: httpx.Client, position: int) -> None:
    def change(data: bytearray) -> None:
        data[position] ^= 0x55

    with Raw(server, files.client()) as raw:
        raw.tls.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + b"x" * 20_000)
        raw.send(change)
        raw.connection.shutdown(socket.SHUT_WR)
        assert b"HTTP/1.1 200" not in read_all(raw.connection)
    assert client.get(server.url + "/").text == "hello"


def test_a_client_that_said_goodbye_gets_its_answer(server: Any, files: Files) -> None:
    """RFC 8446 section 6.1: close_notify ends one direction."""
    with Raw(server, files.client()) as raw:
        raw.tls.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with contextlib.suppress(ssl.SSLWantReadError):
            raw.tls.unwrap()
        raw.send()
        raw.incoming.write(read_all(raw.connection))
        assert raw.tls.read(1000).endswith(b"hello")
        with pytest.raises(ssl.SSLZeroReturnError):
            raw.tls.read(1000)


def test_a_client_that_leaves_without_goodbye_aborts(serve: Any, files: Files) -> None:
    closed: list[int] = []

    def build(app: App) -> None:
        _routes(app)
        app.ws("/told", {"close": lambda _ws, code, _message: closed.append(code)})

    server = serve(build, options=files.options())
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    with Raw(server, files.client()) as raw:
        raw.tls.write(b"GET /told HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + key + b"\r\n")
        raw.send()
        assert raw.connection.recv(65536)
        raw.connection.shutdown(socket.SHUT_WR)
        read_all(raw.connection)
    deadline = time.monotonic() + 5
    while not closed:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert closed == [1006]
