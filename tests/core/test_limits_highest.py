"""Every limit at its highest value: what it admits is served whole by every interface; nothing higher can be asked for."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from app_servers import read_all
from wsgi_server import served

from socketify import App, Limits
from socketify.core.limits import _RANGES

MEBIBYTE = 1024 * 1024
HIGHEST = {name: highest for name, (_, highest) in _RANGES.items()}


def head(*, target_bytes: int, field_bytes: int, fields: int) -> bytes:
    """A request of exactly these sizes."""
    target = b"/" + b"a" * (target_bytes - 1)
    lines = [b"Host: a\r\n", b"Connection: close\r\n", *(b"X%d: 1\r\n" % i for i in range(fields - 3))]
    begin = b"X-Last: "
    rest = field_bytes - sum(map(len, lines)) - len(begin) - 2
    return b"GET " + target + b" HTTP/1.1\r\n" + b"".join(lines) + begin + b"v" * rest + b"\r\n\r\n"


LARGEST = head(target_bytes=MEBIBYTE, field_bytes=MEBIBYTE, fields=128)
LAST_FIELD = LARGEST.rpartition(b": ")[2].strip().decode()


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
def test_nothing_higher_can_be_asked_for(name: str) -> None:
    Limits(**{name: HIGHEST[name]})
    with pytest.raises(ValueError, match=rf"{name} must be from \d+ to {HIGHEST[name]}"):
        Limits(**{name: HIGHEST[name] + 1})


@pytest.mark.parametrize("pattern", ["/:whole", "/*"])
def test_the_largest_head(serve: Any, pattern: str) -> None:
    async def handler(res: Any, req: Any) -> None:
        assert req.get_parameter(0) is None or len(req.get_parameter(0)) == MEBIBYTE - 1
        assert len(req.get_header("x-last")) == len(LAST_FIELD)
        req.preserve()
        res.end({"target": len(req.get_full_url()), "fields": len(req.get_headers()), "last": len(req.get_headers()["x-last"])})

    server = serve(lambda app: app.get(pattern, handler), limits=Limits(**HIGHEST))
    answer = server.exchange(LARGEST)
    assert answer.endswith(b'{"target": %d, "fields": 128, "last": %d}' % (MEBIBYTE, len(LAST_FIELD)))


def test_the_largest_authority(serve: Any) -> None:
    """It is told twice: in the target, and as Host."""
    host = "h" * (MEBIBYTE - len("http:///a"))

    async def handler(res: Any, req: Any) -> None:
        req.preserve()
        res.end(str(req.get_header("host") == host and len(req.get_header("x-last")) == len(LAST_FIELD)))

    server = serve(lambda app: app.get("/a", handler).domain("a.b").get("/a", handler), limits=Limits(**HIGHEST))
    _, _, lines = LARGEST.partition(b"\r\n")
    assert server.exchange(b"GET http://" + host.encode() + b"/a HTTP/1.1\r\n" + lines).endswith(b"True")


def test_the_largest_head_of_asgi(serve_asgi: Any) -> None:
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b"%d %d %d" % (len(scope["raw_path"]), len(scope["headers"]), len(dict(scope["headers"])[b"x-last"]))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    server = serve_asgi(app, limits=Limits(**HIGHEST))
    assert server.exchange(LARGEST).endswith(b"\r\n\r\n%d 128 %d" % (MEBIBYTE, len(LAST_FIELD)))


def test_the_largest_head_of_wsgi() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"%d %d" % (len(environ["PATH_INFO"]), len(environ["HTTP_X_LAST"]))]

    with served(app, limits=Limits(**HIGHEST)) as server:
        assert server.raw(LARGEST).endswith(b"\r\n\r\n%d %d" % (MEBIBYTE, len(LAST_FIELD)))


@pytest.mark.parametrize(
    ("larger", "status"),
    [
        (head(target_bytes=MEBIBYTE + 1, field_bytes=1000, fields=4), b"414"),
        (head(target_bytes=10, field_bytes=MEBIBYTE + 1, fields=4), b"431"),
        (head(target_bytes=10, field_bytes=10_000, fields=129), b"431"),
    ],
)
def test_what_is_larger_is_refused(serve: Any, larger: bytes, status: bytes) -> None:
    server = serve(lambda app: app.any("/*", lambda res, _req: res.end("ok")), limits=Limits(**HIGHEST))
    with server.connect() as connection:
        connection.sendall(larger)
        assert connection.recv(12) == b"HTTP/1.1 " + status


def test_bodies_and_what_surrounds_their_chunks(serve: Any) -> None:
    async def take(res: Any, _req: Any) -> None:
        res.end(str(len((await res.get_data()).getvalue())))

    def build(app: App) -> None:
        app.post("/", take)

    server = serve(build, limits=Limits(**{**HIGHEST, "body_timeout": 1}))
    begin = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    assert server.exchange(begin + b"Content-Length: 100000\r\n\r\n" + b"x" * 100000).endswith(b"\r\n\r\n100000")
    chunk = b"Transfer-Encoding: chunked\r\n\r\n3;" + b"e" * MEBIBYTE + b"\r\nabc\r\n0\r\nT: " + b"t" * MEBIBYTE + b"\r\n\r\n"
    assert server.exchange(begin + chunk).endswith(b"\r\n\r\n3")
    for length in (10**18 - 1, 10**18):
        with server.connect() as connection:
            connection.sendall(begin + b"Content-Length: %d\r\n\r\nabc" % length)
            # It never comes: the first waits for it.
            assert read_all(connection)[9:12] == (b"408" if length < 10**18 else b"413")


@pytest.mark.parametrize("dots", [253, 254, 16000])
def test_a_host_of_dots_is_looked_up_no_deeper_than_names_go(serve: Any, dots: int) -> None:
    def build(app: App) -> None:
        app.get("/", lambda res, _req: res.end("app"))
        app.domain("*.example.org").get("/", lambda res, _req: res.end("wildcard"))
        app.domain("example.org").get("/", lambda res, _req: res.end("name"))

    server = serve(build)

    def ask(host: bytes) -> bytes:
        answer: bytes = server.exchange(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")
        return answer.rpartition(b"\r\n")[2]

    assert ask(b"." * dots) == b"app"
    assert ask(b"." * (253 - len("example.org")) + b"example.org") == b"wildcard"
    assert ask(b"." * (254 - len("example.org")) + b"example.org") == b"app"
    assert ask(b"a.b.EXAMPLE.org.:80") == b"wildcard"
    assert ask(b"example.org") == b"name"
    assert ask(b".example.org") == b"wildcard"


def test_a_field_with_a_long_name(serve: Any) -> None:
    name = "x-" + "n" * 5000

    def handler(res: Any, req: Any) -> None:
        res.end(f"{req.get_header(name)} {req.get_header(name.upper())} {req.get_header(name + 'n')}")

    server = serve(lambda app: app.get("/", handler))
    request = f"GET / HTTP/1.1\r\nHost: a\r\n{name}: value\r\nConnection: close\r\n\r\n"
    assert server.exchange(request.encode()).endswith(b"value value None")
