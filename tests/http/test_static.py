"""Static files and sendfile over real sockets: conditions, ranges, variants, and what must not be served."""

from __future__ import annotations

import contextlib
import gzip
import os
import random
import resource
import socket
import time
from pathlib import Path
from typing import Any, Callable

import httpx
import pytest
from app_servers import read_all
from waiting import wait_until

from socketify import App, Request, Response, sendfile

BIG = 3_000_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "public"
    (root / "sub").mkdir(parents=True)
    (root / "hello.txt").write_text("Hello, World!")
    (root / "empty.bin").write_bytes(b"")
    (root / "é x.css").write_text("a{}")
    (root / "app.js").write_text("plain" * 100)
    (root / "app.js.gz").write_bytes(gzip.compress(b"plain" * 100))
    (root / "app.js.br").write_bytes(b"not really brotli")
    (root / "big.bin").write_bytes(bytes(range(250)) * (BIG // 250))
    (root / "sub" / "index.html").write_text("<p>sub")
    (root / "index.html").write_text("<p>root")
    (root / ".env").write_text("secret")
    (tmp_path / "secret.txt").write_text("secret")
    (root / "leaves").symlink_to(tmp_path / "secret.txt")
    (root / "stays").symlink_to(root / "hello.txt")
    return root


@pytest.fixture
def url(serve: Callable[..., Any], root: Path) -> str:
    return str(serve(lambda app: app.static("/files", root)).url) + "/files"


def test_a_file_and_its_fields(url: str, root: Path) -> None:
    got = httpx.get(url + "/hello.txt")
    assert (got.status_code, got.text, got.headers["content-type"]) == (200, "Hello, World!", "text/plain; charset=utf-8")
    assert got.headers["accept-ranges"] == "bytes"
    assert got.headers["etag"].startswith('"')
    assert got.headers["last-modified"].endswith("GMT")
    head = httpx.head(url + "/hello.txt")
    assert (head.headers["content-length"], head.content, head.headers["etag"]) == ("13", b"", got.headers["etag"])
    assert httpx.get(url + "/%C3%A9%20x.css").headers["content-type"].startswith("text/css")
    assert httpx.get(url + "/empty.bin").content == b""
    assert httpx.get(url + "/stays").text == "Hello, World!"
    assert httpx.get(url + "/big.bin").content == (root / "big.bin").read_bytes()
    assert httpx.head(url + "/big.bin").headers["content-length"] == str(BIG)
    assert httpx.post(url + "/hello.txt").status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/missing",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/sub/../../secret.txt",
        "/sub/..",
        "/sub",
        "/sub/",
        "/",
        "/.env",
        "/%2eenv",
        "/leaves",
        "/hello.txt%00",
        "/hello.txt/",
        "//hello.txt",
        "/sub%5c..%5c..%5csecret.txt",
        "/%ff%fe",
        "//etc/passwd",
        "/%2fetc/passwd",
    ],
)
def test_what_is_not_served(serve: Callable[..., Any], root: Path, path: str) -> None:
    server = serve(lambda app: app.static("/files", root))
    answer = server.exchange(b"GET /files" + path.encode() + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 404 "), answer
    assert b"secret" not in answer


def test_conditions(url: str) -> None:
    first = httpx.get(url + "/hello.txt").headers

    def status(**fields: str) -> int:
        return httpx.get(url + "/hello.txt", headers={k.replace("_", "-"): v for k, v in fields.items()}).status_code

    assert status(if_none_match=first["etag"]) == 304
    assert status(if_none_match="W/" + first["etag"]) == 304
    assert status(if_none_match='"x", ' + first["etag"]) == 304
    assert status(if_none_match="*") == 304
    assert status(if_none_match='"x"') == 200
    assert status(if_modified_since=first["last-modified"]) == 304
    assert status(if_modified_since="Thu, 01 Jan 1970 00:00:00 GMT") == 200
    for date in ("nonsense", f"Thu, {'9' * 30} Jan 1970 00:00:00 GMT", f"Thu, 01 Jan 1970 00:00:00 +{'9' * 30}"):
        assert status(if_modified_since=date, if_range=date, range="bytes=0-1") == 200
    assert status(if_none_match='"x"', if_modified_since=first["last-modified"]) == 200
    assert status(if_match='"x"') == 412
    assert status(if_match=first["etag"]) == 200
    assert status(if_match="W/" + first["etag"]) == 412
    assert status(if_unmodified_since="Thu, 01 Jan 1970 00:00:00 GMT") == 412
    got = httpx.get(url + "/hello.txt", headers={"if-none-match": "*"})
    assert (got.headers["etag"], got.content) == (first["etag"], b"")
    assert "content-length" not in got.headers


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("bytes=0-4", 206, b"Hello"),
        ("bytes=7-", 206, b"World!"),
        ("bytes=-6", 206, b"World!"),
        ("bytes=-100", 206, b"Hello, World!"),
        ("bytes=0-1000", 206, b"Hello, World!"),
        ("bytes=12-12", 206, b"!"),
        ("bytes=13-", 416, b""),
        ("bytes=-0", 416, b""),
        ("bytes=5-4", 200, b"Hello, World!"),
        ("bytes=0-1,3-4", 200, b"Hello, World!"),
        ("lines=0-1", 200, b"Hello, World!"),
        ("bytes=x", 200, b"Hello, World!"),
        (f"bytes=7-{'9' * 5000}", 206, b"World!"),
        (f"bytes=-{'9' * 5000}", 206, b"Hello, World!"),
        (f"bytes={'0' * 5000}-4", 206, b"Hello"),
        (f"bytes={'9' * 5000}-", 416, b""),
    ],
)
def test_ranges(url: str, asked: str, status: int, body: bytes) -> None:
    got = httpx.get(url + "/hello.txt", headers={"range": asked})
    assert (got.status_code, got.content) == (status, body)
    if status == 206:
        first = b"Hello, World!".index(body)
        assert got.headers["content-range"] == f"bytes {first}-{first + len(body) - 1}/13"
    if status == 416:
        assert got.headers["content-range"] == "bytes */13"


def test_ranges_of_a_large_file_and_if_range(url: str, root: Path) -> None:
    whole = (root / "big.bin").read_bytes()
    got = httpx.get(url + "/big.bin", headers={"range": "bytes=1000000-2500000"})
    assert (got.status_code, got.content) == (206, whole[1000000:2500001])
    etag, modified = got.headers["etag"], got.headers["last-modified"]
    for value, status in ((etag, 206), ('"x"', 200), (modified, 206), ("Thu, 01 Jan 1970 00:00:00 GMT", 200)):
        assert httpx.get(url + "/big.bin", headers={"range": "bytes=0-1", "if-range": value}).status_code == status


def test_precompressed_variants(url: str) -> None:
    def get(accept: str) -> tuple[str, str, str]:
        with httpx.stream("GET", url + "/app.js", headers={"accept-encoding": accept}) as got:
            raw = b"".join(got.iter_raw())
            assert len(raw) == int(got.headers["content-length"])
            return got.headers.get("content-encoding", ""), got.headers["vary"], got.headers["content-type"].split(";")[0]

    kind = get("identity")[2]
    assert get("gzip")[:2] == ("gzip", "Accept-Encoding")
    assert get("br, gzip")[0] == "br"
    assert get("br;q=0, gzip;q=0.5")[0] == "gzip"
    assert get("identity")[0] == ""
    assert get("gzip;q=0")[0] == ""
    assert get("gzip")[2] == kind
    assert "javascript" in kind


def test_index_files(serve: Callable[..., Any], root: Path) -> None:
    url = serve(lambda app: app.static("/", root, index="index.html", cache_control="max-age=60")).url
    assert httpx.get(url + "/").text == "<p>root"
    assert httpx.get(url + "/sub/").text == "<p>sub"
    got = httpx.get(url + "/sub")
    assert (got.status_code, got.headers["location"]) == (301, "/sub/")
    assert httpx.get(url + "/hello.txt").headers["cache-control"] == "max-age=60"
    with pytest.raises(FileNotFoundError, match="nowhere"):
        App().static("/", root / "nowhere")


def test_sendfile(serve: Callable[..., Any], root: Path) -> None:
    async def handler(res: Response, req: Request) -> None:
        name = req.get_parameter(0)
        assert name is not None
        await sendfile(res, req, root / name, content_type="a/b")

    url = serve(lambda app: app.get("/:name", handler)).url
    got = httpx.get(url + "/hello.txt")
    assert (got.text, got.headers["content-type"]) == ("Hello, World!", "a/b")
    assert httpx.get(url + "/hello.txt", headers={"range": "bytes=0-0"}).text == "H"
    assert httpx.get(url + "/missing").status_code == 404
    assert httpx.get(url + "/sub").status_code == 404
    os.mkfifo(root / "fifo")
    assert httpx.get(url + "/fifo").status_code == 404


def test_a_large_file_takes_constant_memory(serve: Callable[..., Any], root: Path) -> None:
    size = 400 * 1024 * 1024
    with (root / "huge").open("wb") as file:
        file.truncate(size)
    server = serve(lambda app: app.static("/", root))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    received = 0
    buffer = bytearray(1 << 20)
    with server.connect() as connection:
        connection.sendall(b"GET /huge HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        while count := connection.recv_into(buffer):
            received += count
    assert size < received < size + 1000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


def test_a_client_that_leaves_in_the_middle(serve: Callable[..., Any], root: Path) -> None:
    with (root / "huge").open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    server = serve(lambda app: app.static("/", root))
    for _ in range(5):
        with server.connect() as connection:
            connection.sendall(b"GET /huge HTTP/1.1\r\nHost: a\r\n\r\n")
            connection.recv(1000)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert httpx.get(server.url + "/hello.txt").text == "Hello, World!"


def descriptors_of(path: Path) -> int:
    """Count how often this process, the server's, has a file open."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            count += os.readlink(link) == str(path)  # noqa: PTH115
    return count


@pytest.fixture
def huge(root: Path) -> Path:
    path = root.resolve() / "huge"
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    return path


def read_head(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(100)
    return data


def test_an_aborted_download_leaves_no_descriptor(serve: Callable[..., Any], root: Path, huge: Path) -> None:
    server = serve(lambda app: app.static("/", root))
    for _ in range(3):
        with server.connect() as connection:
            connection.sendall(b"GET /huge HTTP/1.1\r\nHost: a\r\n\r\n")
            assert read_head(connection).startswith(b"HTTP/1.1 200 ")
            assert descriptors_of(huge) == 1
        wait_until(lambda: descriptors_of(huge) == 0)
    for headers in ({}, {"range": "bytes=0-9"}, {"range": "bytes=9-1000000"}, {"if-none-match": "*"}, {"if-match": '"x"'}):
        for method, name in (("GET", "big.bin"), ("GET", "app.js"), ("HEAD", "app.js")):
            with httpx.stream(method, f"{server.url}/{name}", headers=headers) as got:
                assert got.status_code in (200, 206, 304, 412)
                list(got.iter_raw())
    for name in ("big.bin", "app.js", "app.js.gz", "app.js.br"):
        wait_until(lambda name=name: descriptors_of(root.resolve() / name) == 0)  # type: ignore[misc]


def test_a_file_that_becomes_shorter_cuts_the_connection(serve: Callable[..., Any], root: Path, huge: Path) -> None:
    server = serve(lambda app: app.static("/", root))
    with server.connect() as connection:
        connection.sendall(b"GET /huge HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"Content-Length: 104857600\r\n" in read_head(connection)
        with huge.open("r+b") as file:
            file.truncate(1000)
        assert len(read_all(connection)) < 100 * 1024 * 1024
    wait_until(lambda: descriptors_of(huge) == 0)
    assert httpx.get(server.url + "/huge").content == bytes(1000)


def test_a_slow_client_gets_everything_while_others_are_served(serve: Callable[..., Any], root: Path) -> None:
    whole = random.Random(1).randbytes(20_000_000)
    (root / "random").write_bytes(whole)
    server = serve(lambda app: app.static("/", root))
    asked = b"GET /random HTTP/1.1\r\nHost: a\r\n\r\nGET /hello.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with server.connect() as connection:
        connection.sendall(asked)
        head = read_head(connection)
        for _ in range(3):
            assert httpx.get(server.url + "/hello.txt").text == "Hello, World!"
            time.sleep(0.05)
        answer = head + read_all(connection)
    first, _, rest = answer.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200 ")
    assert rest[: len(whole)] == whole
    assert rest[len(whole) :].startswith(b"HTTP/1.1 200 ")
    assert rest.endswith(b"Hello, World!")


@pytest.mark.parametrize("size", [1, 100_000, 128 * 1024, 128 * 1024 + 1, 300_000])
def test_files_of_all_sizes_and_of_changing_ones(serve: Callable[..., Any], root: Path, size: int) -> None:
    server = serve(lambda app: app.static("/", root))
    path = root / "changes"
    with httpx.Client() as client:
        for turn in range(3):
            content = random.Random(turn).randbytes(size + turn)
            path.write_bytes(content)
            for _ in range(3):
                assert client.get(server.url + "/changes").content == content
            assert client.head(server.url + "/changes").headers["content-length"] == str(len(content))
        path.unlink()
        assert client.get(server.url + "/changes").status_code == 404


def test_what_was_served_once_is_checked_again(serve: Callable[..., Any], root: Path, tmp_path: Path) -> None:
    """What is remembered of a name does not outlive a change of it, or of a directory above it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "page.txt").write_text("secret")
    (root / "other.html").write_text("other")
    (root / "sub" / "page.txt").write_text("page")
    server = serve(lambda app: app.static("/", root))

    def get() -> tuple[int, str]:
        got = httpx.get(server.url + "/sub/page.txt")
        return got.status_code, got.text

    page = root / "sub" / "page.txt"
    for _ in range(3):
        assert get() == (200, "page")
    page.unlink()
    page.symlink_to(outside / "page.txt")
    assert get() == (404, "Not Found")
    page.unlink()
    page.symlink_to(root / "other.html")
    for _ in range(2):
        assert get() == (200, "other")
    page.unlink()
    page.mkdir()
    assert get() == (404, "Not Found")
    page.rmdir()
    page.write_text("again")
    for _ in range(2):
        assert get() == (200, "again")
    (root / "sub").rename(tmp_path / "moved")
    (root / "sub").symlink_to(outside)
    assert get() == (404, "Not Found")


def test_a_variant_that_leaves_the_directory_is_not_served(url: str, root: Path, tmp_path: Path) -> None:
    (root / "app.js.br").unlink()
    (root / "app.js.br").symlink_to(tmp_path / "secret.txt")
    for _ in range(2):
        with httpx.stream("GET", url + "/app.js", headers={"accept-encoding": "br"}) as got:
            assert b"".join(got.iter_raw()) == b"plain" * 100
