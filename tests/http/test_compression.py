"""Responses of an App that compresses: what is, in which coding, and what the fields say."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any, Callable, Optional

import httpx
import pytest
from app_servers import TLS, http_1_only, read_all
from content_codings import CODINGS, decoded, decoder
from waiting import wait_until

from socketify import App, Request, Response, ResponseCompression, sendfile

TEXT = "A line of text, as it is found in many places.\n" * 100
LARGE = "".join(f"{number} of many lines\n" for number in range(100_000)).encode()


def raw(url: str, accepts: Optional[str] = "gzip", method: str = "GET", **fields: str) -> tuple[httpx.Response, bytes]:
    """Return a response and its content as it was sent."""
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    with httpx.Client() as client:
        request = client.build_request(method, url, headers=headers)
        del request.headers["accept-encoding"]
        if accepts is not None:
            request.headers["accept-encoding"] = accepts
        response = client.send(request, stream=True)
        return response, b"".join(response.iter_raw())


def content(url: str, accepts: Optional[str] = "gzip", **fields: str) -> tuple[Optional[str], bytes]:
    """Return the coding and the decoded content."""
    response, sent = raw(url, accepts, **fields)
    coding = response.headers.get("content-encoding")
    return coding, decoded(coding, sent)


def answer(**options: Any) -> Callable[[App], Any]:
    return lambda app: app.get("/", lambda res, _req: res.send(TEXT, **options))


@pytest.fixture
def compressing(serve: Callable[..., Any]) -> Callable[..., str]:
    """Serve an app that compresses; return its URL."""
    return lambda build, compress=True: str(serve(build, compress_responses=compress).url)


@pytest.mark.parametrize("coding", CODINGS)
def test_every_coding(compressing: Callable[..., str], coding: str) -> None:
    url = compressing(answer())
    response, sent = raw(url, coding)
    assert (response.status_code, response.headers["content-encoding"]) == (200, coding)
    assert decoded(coding, sent) == TEXT.encode()
    assert int(response.headers["content-length"]) == len(sent) < len(TEXT) / 10
    assert response.headers["vary"] == "Accept-Encoding"


def test_real_clients_decode_it(serve: Callable[..., Any]) -> None:
    server = serve(answer(), compress_responses=True)
    for coding in ("gzip", "br"):
        got = httpx.get(server.url, headers={"accept-encoding": coding})
        assert (got.text, got.headers["content-encoding"]) == (TEXT, coding)


@pytest.mark.skipif(shutil.which("curl") is None or TLS is not None, reason="curl asks in clear")
@pytest.mark.parametrize("version", ["--http1.0", "--http1.1", "--http2-prior-knowledge"])
def test_curl_decodes_it(serve: Callable[..., Any], version: str) -> None:
    server = serve(answer(), compress_responses=True)
    line = ["curl", "-s", "-i", "--compressed", version, f"http://127.0.0.1:{server.own_port}/"]
    printed = subprocess.run(line, capture_output=True, timeout=20, check=True).stdout.decode()
    assert printed.endswith(TEXT)
    assert "content-encoding: " in printed.lower()


def test_without_compression_nothing_changes(serve: Callable[..., Any]) -> None:
    for options in ({}, {"compress_responses": False}):
        response, sent = raw(serve(answer(), **options).url)
        assert sent == TEXT.encode()
        assert not {"vary", "content-encoding"} & set(response.headers)


def test_a_client_that_accepts_nothing_gets_it_as_it_is(compressing: Callable[..., str]) -> None:
    url = compressing(answer(headers=[("ETag", '"a"')]))
    for accepts in (None, "", "deflate", "gzip;q=0, *;q=0", "identity"):
        response, sent = raw(url, accepts)
        assert sent == TEXT.encode()
        assert (response.headers["vary"], response.headers["etag"]) == ("Accept-Encoding", '"a"')


def test_several_fields_of_what_is_accepted_are_one(serve: Callable[..., Any]) -> None:
    server = serve(answer(), compress_responses=True)
    got = server.exchange(
        b"GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: br;q=0.5\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
    )
    assert b"content-encoding: gzip\r\n" in got.lower()


def test_what_is_too_small_or_of_another_type_stays_as_it_is(compressing: Callable[..., str]) -> None:
    def build(app: App) -> None:
        app.get("/small", lambda res, _req: res.send("x" * 1023))
        app.get("/enough", lambda res, _req: res.send("x" * 1024))
        app.get("/image", lambda res, _req: res.send(b"x" * 9999, "image/png"))
        app.get("/nothing", lambda res, _req: res.send(b"x" * 9999, None))
        app.get("/json", lambda res, _req: res.end({"x": "x" * 9999}))
        app.get("/own", lambda res, _req: res.send(b"x" * 9999, "application/vnd.example+json; charset=utf-8"))

    url = compressing(build)
    assert [content(url + path)[0] for path in ("/small", "/image", "/nothing")] == [None] * 3
    assert [content(url + path)[0] for path in ("/enough", "/json", "/own")] == ["gzip"] * 3
    assert "vary" not in raw(url + "/small")[0].headers
    # It is coded where the client takes nothing else.
    for path in ("/small", "/image"):
        assert content(url + path, "gzip, identity;q=0")[0] == "gzip"
        assert content(url + path, "gzip, *;q=0")[0] == "gzip"


def test_options_say_what_and_how(compressing: Callable[..., str]) -> None:
    def build(app: App) -> None:
        app.get("/a", lambda res, _req: res.send("x" * 10, "application/a"))
        app.get("/b", lambda res, _req: res.send("x" * 9, "application/a"))
        app.get("/c", lambda res, _req: res.send("x" * 10, "text/plain"))

    url = compressing(build, ResponseCompression("gzip, br", ["application/a"], minimum_size=10))
    assert content(url + "/a", "br, gzip") == ("gzip", b"x" * 10)
    assert [content(url + path, "br, gzip")[0] for path in ("/b", "/c")] == [None, None]


def test_levels(compressing: Callable[..., str]) -> None:
    sizes = {}
    for level in (1, 9):
        levels = {"zstd_level": level, "br_level": level, "gzip_level": level}
        url = compressing(lambda app: app.get("/", lambda res, _req: res.send(LARGE[:50_000])), ResponseCompression(**levels))
        sizes[level] = [len(raw(url, coding)[1]) for coding in CODINGS]
    assert all(best != fast for best, fast in zip(sizes[9], sizes[1]))


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"codings": "lzma"}, ValueError, "codings"),
        ({"codings": []}, ValueError, "codings"),
        ({"codings": [1]}, TypeError, "codings"),
        ({"media_types": "text"}, ValueError, "media_types"),
        ({"media_types": ["text/plain; charset=utf-8"]}, ValueError, "media_types"),
        ({"minimum_size": -1}, ValueError, "minimum_size"),
        ({"minimum_size": "1"}, TypeError, "minimum_size"),
        ({"gzip_level": 0}, ValueError, "gzip_level must be from 1 to 9"),
        ({"br_level": 12}, ValueError, "br_level"),
        ({"zstd_level": True}, TypeError, "zstd_level"),
    ],
)
def test_wrong_options(options: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        ResponseCompression(**options)
    with pytest.raises(TypeError, match="compress_responses must be True, False or a ResponseCompression"):
        App(compress_responses="gzip")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "field",
    [("Content-Encoding", "br"), ("Cache-Control", "no-transform"), ("Content-Digest", "sha-256=:AA==:")],
    ids=lambda pair: pair[0],
)
def test_what_must_not_be_changed_is_not(compressing: Callable[..., str], field: tuple[str, str]) -> None:
    response, sent = raw(compressing(answer(headers=[field])))
    assert sent == TEXT.encode()
    assert response.headers[field[0]] == field[1]


def test_what_holds_a_secret_is_not_compressed(compressing: Callable[..., str]) -> None:
    def secret(res: Response, req: Request) -> None:
        assert res.compress is True
        res.compress = False
        assert res.compress is False
        if req.get_query("way") == "send":
            res.send(TEXT)
        else:
            res.write_header("Content-Type", "text/plain").end(TEXT)

    def identity(res: Response, _req: Request) -> None:
        res.send(TEXT, headers={"Content-Encoding": "identity"})

    def build(app: App) -> None:
        app.get("/secret", secret).get("/identity", identity).get("/", lambda res, _req: res.send(TEXT))

    url = compressing(build)
    for target in ("/secret?way=send", "/secret?way=end", "/identity"):
        response, sent = raw(url + target)
        assert sent == TEXT.encode()
        assert not {"content-encoding", "vary"} & set(response.headers)
        # That was about one response.
        assert content(url) == ("gzip", TEXT.encode())


def test_the_attribute_is_checked(serve: Callable[..., Any]) -> None:
    raised = []

    def handler(res: Response, _req: Request) -> None:
        with pytest.raises(TypeError, match="compress must be True or False"):
            res.compress = 1  # type: ignore[assignment]
        res.write(TEXT)
        with pytest.raises(RuntimeError, match="compress: the head of the response was sent already"):
            res.compress = False
        res.end()
        with pytest.raises(RuntimeError, match="compress: the response has ended already"):
            res.compress = False
        raised.append(True)

    for options in ({}, {"compress_responses": True}):
        assert httpx.get(serve(lambda app: app.get("/", handler), **options).url).text == TEXT
    # The handler goes on after its answer.
    wait_until(lambda: raised == [True, True])


def test_vary_is_added_once(compressing: Callable[..., str]) -> None:
    def vary(app: App) -> None:
        for number, value in enumerate(("Origin", "origin, accept-encoding", "*")):
            app.get(f"/{number}", lambda res, _req, value=value: res.send(TEXT, headers={"Vary": value}))

    url = compressing(vary)
    for accepts in ("gzip", "identity"):
        got = [raw(f"{url}/{number}", accepts)[0].headers.get_list("vary", split_commas=True) for number in range(3)]
        assert got == [["Origin", "Accept-Encoding"], ["origin", "accept-encoding"], ["*"]]


def test_a_head_request_gets_the_fields_of_a_get(compressing: Callable[..., str]) -> None:
    def build(app: App) -> None:
        answer(headers=[("ETag", '"a"')])(app)
        app.head("/length", lambda res, _req: res.write_header("Content-Type", "text/plain").end_without_body())

    url = compressing(build)
    got, _ = raw(url)
    head, sent = raw(url, method="HEAD")
    assert sent == b""
    for name in ("content-encoding", "vary", "etag", "content-type"):
        assert head.headers[name] == got.headers[name]
    # How long it would be is only known once it is coded.
    assert head.headers.get("content-length") in (None, got.headers["content-length"])
    assert raw(url, None, "HEAD")[0].headers["content-length"] == str(len(TEXT))
    assert raw(url + "/length", method="HEAD")[0].status_code == 200


@pytest.mark.parametrize("status", [204, 205, 304])
def test_what_has_no_content(compressing: Callable[..., str], status: int) -> None:
    response, sent = raw(compressing(answer(status=status)))
    assert (response.status_code, sent) == (status, b"")
    assert "content-encoding" not in response.headers


def test_errors_are_compressed_like_others(compressing: Callable[..., str]) -> None:
    url = compressing(answer(status=404))
    response, sent = raw(url)
    assert (response.status_code, decoded("gzip", sent)) == (404, TEXT.encode())


# ---- pieces


@pytest.mark.parametrize("coding", CODINGS)
def test_every_event_of_a_stream_arrives_at_once(serve: Callable[..., Any], coding: str) -> None:
    """The next one is only written when the client has read the one before."""
    waiting: list[Response] = []

    def begin(res: Response, _req: Request) -> None:
        res.write_header("Content-Type", "text/event-stream").write("data: begin\n\n")
        res.on_aborted(lambda _res: None)
        waiting.append(res)

    def go_on(res: Response, req: Request) -> None:
        waiting[-1].write(f"data: {req.get_query('text')}\n\n")
        res.end("written")

    def build(app: App) -> None:
        app.get("/events", begin).get("/write", go_on).get("/end", lambda res, _req: (waiting[-1].end(), res.end("ended")))

    server = serve(build, compress_responses=True)
    decode = decoder(coding)
    with (
        httpx.Client() as client,
        httpx.stream("GET", server.url + "/events", headers={"accept-encoding": coding}, timeout=10) as events,
    ):
        assert events.headers["content-encoding"] == coding
        pieces = events.iter_raw()

        def read(text: bytes) -> None:
            got = b""
            while got != text:
                assert text.startswith(got)
                got += decode(next(pieces))

        read(b"data: begin\n\n")
        for number in range(20):
            client.get(server.url + "/write", params={"text": str(number)})
            read(b"data: %d\n\n" % number)
        client.get(server.url + "/end")
        assert decode(b"".join(pieces)) == b""


def ways(app: App) -> None:
    """Send what is large in all ways."""

    def write(res: Response, _req: Request) -> None:
        res.write_header("Content-Type", "text/plain").write("first ").write(LARGE).write(" middle ").write(LARGE)
        res.end(" last")

    def write_and_end(res: Response, _req: Request) -> None:
        res.write_header("Content-Type", "text/plain").write(LARGE).end(LARGE)

    async def chunks(res: Response, _req: Request) -> None:
        res.write_header("Content-Type", "text/plain")
        for begin in range(0, len(LARGE), 300_000):
            await res.send_chunk(LARGE[begin : begin + 300_000], len(LARGE))

    def tried(res: Response, _req: Request) -> None:
        res.write_header("Content-Type", "text/plain")

        def go_on(res: Response, offset: int) -> None:
            res.try_end(LARGE[offset:], len(LARGE))

        res.on_writable(go_on)
        res.try_end(LARGE, len(LARGE))

    async def drained(res: Response, _req: Request) -> None:
        res.write_header("Content-Type", "text/plain")
        for begin in range(0, len(LARGE), 300_000):
            await res.write(LARGE[begin : begin + 300_000]).drain()
        res.end()

    app.get("/send", lambda res, _req: res.send(LARGE)).get("/end", lambda res, _req: res.end(LARGE))
    app.get("/typed", lambda res, _req: res.write_header("Content-Type", "text/plain").end(LARGE))
    app.get("/write", write).get("/write_and_end", write_and_end)
    app.get("/chunks", chunks).get("/tried", tried).get("/drained", drained)


EXPECTED = {
    "/send": LARGE,
    "/typed": LARGE,
    "/write": b"first " + LARGE + b" middle " + LARGE + b" last",
    "/write_and_end": LARGE * 2,
    "/chunks": LARGE,
    "/tried": LARGE,
    "/drained": LARGE,
}


@pytest.mark.parametrize("coding", CODINGS)
def test_large_content_in_every_way(compressing: Callable[..., str], coding: str) -> None:
    url = compressing(ways)
    for path, text in EXPECTED.items():
        assert content(url + path, coding) == (coding, text), path
    # Without a type it is not known what it is.
    assert content(url + "/end") == (None, LARGE)


@http_1_only("it is about the connection")
def test_old_clients_and_connections_that_go_on(serve: Callable[..., Any]) -> None:
    server = serve(ways, compress_responses=True)
    for path in ("/send", "/write", "/chunks"):
        head, _, sent = server.exchange(f"GET {path} HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n".encode()).partition(b"\r\n\r\n")
        assert b"transfer-encoding" not in head.lower()
        assert decoded("gzip", sent) == EXPECTED[path]
    # Pipelined: the next response waits for the last piece of the one before.
    requests = "".join(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n" for path in EXPECTED)
    last = "GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with server.connect() as connection:
        connection.sendall((requests + last).encode())
        everything = read_all(connection)
    assert everything.count(b"content-encoding: gzip") + everything.count(b"Content-Encoding: gzip") == len(EXPECTED)
    assert everything.count(b"HTTP/1.1 200 OK\r\n") == len(EXPECTED)
    assert everything.count(b"HTTP/1.1 404 Not Found\r\n") == 1


def test_a_body_that_ends_short_is_cut(serve: Callable[..., Any]) -> None:
    raised = []

    def short(res: Response, _req: Request) -> None:
        res.write_header("Content-Type", "text/plain")
        res.try_end(b"x" * 2000, 5000)
        with pytest.raises(RuntimeError, match="shorter than the length"):
            res.end(b"x")
        raised.append(True)

    def beyond(res: Response, _req: Request) -> None:
        res.write_header("Content-Type", "text/plain")
        with pytest.raises(ValueError, match="beyond"):
            res.try_end(b"x" * 5001, 5000)
        res.try_end(b"x" * 5000, 5000)

    server = serve(lambda app: app.get("/short", short).get("/beyond", beyond), compress_responses=True)
    with pytest.raises(httpx.HTTPError):
        httpx.get(server.url + "/short")
    wait_until(lambda: raised == [True])
    assert content(server.url + "/beyond") == ("gzip", b"x" * 5000)


# ---- files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "page.html").write_text(TEXT)
    (tmp_path / "large.txt").write_bytes(LARGE)
    (tmp_path / "picture.png").write_bytes(LARGE[:5000])
    (tmp_path / "ready.js").write_text(TEXT)
    (tmp_path / "ready.js.zst").write_bytes(b"ready")
    return tmp_path


def test_files(compressing: Callable[..., str], root: Path) -> None:
    async def by_name(res: Response, req: Request) -> None:
        await sendfile(res, req, root / "large.txt")

    url = compressing(lambda app: app.static("/files", root).get("/by_name", by_name))
    for path, text in (("/files/page.html", TEXT.encode()), ("/files/large.txt", LARGE), ("/by_name", LARGE)):
        response, sent = raw(url + path)
        assert (response.headers["content-encoding"], decoded("gzip", sent)) == ("gzip", text)
        assert response.headers["etag"].startswith('W/"')
        assert "accept-ranges" not in response.headers
        plain, sent = raw(url + path, None)
        assert (sent, plain.headers["accept-ranges"]) == (text, "bytes")
        assert "W/" + plain.headers["etag"] == response.headers["etag"]
        head, _ = raw(url + path, method="HEAD")
        assert (head.headers["content-encoding"], head.headers["etag"]) == ("gzip", response.headers["etag"])
        assert "content-length" not in head.headers
        for tag in (response.headers["etag"], plain.headers["etag"]):
            unchanged, sent = raw(url + path, if_none_match=tag)
            assert (unchanged.status_code, sent, unchanged.headers["etag"]) == (304, b"", tag)
            assert unchanged.headers["vary"] == "Accept-Encoding"
        # A part is one of the content as it is.
        part, sent = raw(url + path, range="bytes=10-19")
        assert (part.status_code, sent) == (206, text[10:20])
        assert part.headers["etag"] == plain.headers["etag"]
        # Whoever has it coded cannot go on with parts of it.
        assert raw(url + path, range="bytes=10-19", if_range=response.headers["etag"])[0].status_code == 200
    assert content(url + "/files/picture.png") == (None, LARGE[:5000])
    assert "etag" in raw(url + "/files/picture.png")[0].headers


def test_files_that_are_compressed_already(compressing: Callable[..., str], root: Path) -> None:
    url = compressing(lambda app: app.static("/files", root))
    response, sent = raw(url + "/files/ready.js", "zstd, gzip")
    assert (response.headers["content-encoding"], sent) == ("zstd", b"ready")
    assert response.headers.get_list("vary", split_commas=True) == ["Accept-Encoding"]
    response, sent = raw(url + "/files/ready.js", "gzip")
    assert (response.headers["content-encoding"], decoded("gzip", sent)) == ("gzip", TEXT.encode())
    assert response.headers.get_list("vary", split_commas=True) == ["Accept-Encoding"]
