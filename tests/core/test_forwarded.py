"""What trusted proxies say of their clients: Forwarded (RFC 7239), X-Forwarded-Host, -Port and -Prefix, and hops by number."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from app_servers import TLS, connected, read_all

from socketify import ASGI, SSGI, WSGI, App, AppListenOptions, Request, Response

ALL = "forwarded,x-forwarded-for,x-forwarded-proto,x-forwarded-host,x-forwarded-port,x-forwarded-prefix"
OWN = "http" if TLS is None else "https"


def who(res: Response, req: Request) -> None:
    res.end(f"{req.get_scheme()} {res.get_remote_address()} {req.get_header('host')}")


def ask(port: int, *fields: str, path: str = "/", host: str = "in.example") -> str:
    lines = "".join(f"{each}\r\n" for each in fields)
    with connected(port) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{lines}Connection: close\r\n\r\n".encode())
        return read_all(connection).partition(b"\r\n\r\n")[2].decode()


@pytest.mark.parametrize(
    ("forwarded", "seen"),
    [
        ("for=8.8.8.8;proto=https;host=shop.example", "https 8.8.8.8 shop.example"),
        ('For="[2001:db8::1]:4711"; Proto=HTTPS', None),
        ('for="[2001:db8::1]:4711";proto=http', "http 2001:db8::1 in.example"),
        ('for="8.8.8.8:80";host="shop.example:8443"', "{own} 8.8.8.8 shop.example:8443"),
        # The last that is no trusted proxy, and what was asked of the one behind it.
        (
            "for=9.9.9.9;host=evil, for=8.8.8.8;host=shop.example;proto=https, for=10.0.0.1;proto=http",
            "https 8.8.8.8 shop.example",
        ),
        ("for=10.0.0.2;host=first.example, for=10.0.0.1", "{own} 10.0.0.2 first.example"),
        ("for=8.8.8.8, for=unknown;proto=https", "https 127.0.0.1 in.example"),
        ("for=8.8.8.8, for=_hidden", "{own} 127.0.0.1 in.example"),
        ("proto=https;host=shop.example", "https 127.0.0.1 shop.example"),
        (" , for=8.8.8.8 , ", "{own} 8.8.8.8 in.example"),
        # No such list, or no host: nothing is taken.
        ("for=8.8.8.8;proto", "{own} 127.0.0.1 in.example"),
        ('for="8.8.8.8', "{own} 127.0.0.1 in.example"),
        ("for=8.8.8.8 host=a", "{own} 127.0.0.1 in.example"),
        ('for=8.8.8.8;host="a/b"', "{own} 8.8.8.8 in.example"),
        ('for=8.8.8.8;host="a b";by=x', "{own} 8.8.8.8 in.example"),
    ],
)
def test_forwarded(serve: Any, forwarded: str, seen: Any) -> None:
    server = serve(lambda app: app.get("/", who), trusted_proxies="127.0.0.1, 10.0.0.0/8", forwarded_headers="Forwarded")
    # RFC 7239 section 4: spaces around a semicolon are not of the grammar, but harmless.
    expected = "https 2001:db8::1 in.example" if seen is None else seen.format(own=OWN)
    assert ask(server.port, f"Forwarded: {forwarded}") == expected
    parts = forwarded.split(",")
    assert ask(server.port, *(f"Forwarded: {part}" for part in parts)) == expected


def test_only_the_fields_that_are_named(serve: Any) -> None:
    fields = ("Forwarded: for=1.1.1.1;proto=https", "X-Forwarded-Host: evil", "X-Forwarded-Port: 1", "X-Forwarded-For: 8.8.8.8")
    server = serve(lambda app: app.get("/", who), trusted_proxies="127.0.0.1")
    assert ask(server.port, *fields) == f"{OWN} 8.8.8.8 in.example"
    server = serve(lambda app: app.get("/", who), trusted_proxies="10.0.0.1", forwarded_headers=ALL)
    assert ask(server.port, *fields) == f"{OWN} 127.0.0.1 in.example"


@pytest.mark.parametrize(
    ("hops", "chain", "client"),
    [
        (1, "9.9.9.9, 8.8.8.8", "8.8.8.8"),
        (2, "9.9.9.9, 8.8.8.8", "9.9.9.9"),
        (2, "7.7.7.7, 9.9.9.9, 8.8.8.8", "9.9.9.9"),
        (3, "9.9.9.9, 8.8.8.8", "9.9.9.9"),
        (2, "unknown, 8.8.8.8", "8.8.8.8"),
        (1, "", "127.0.0.1"),
    ],
)
@pytest.mark.parametrize("field", ["X-Forwarded-For", "Forwarded"])
def test_hops_by_number(serve: Any, hops: int, chain: str, client: str, field: str) -> None:
    server = serve(lambda app: app.get("/", who), trusted_proxies=hops, forwarded_headers=[field])
    value = chain if field != "Forwarded" else ", ".join(f"for={each}" for each in chain.split(", ") if each)
    assert ask(server.port, f"{field}: {value}") == f"{OWN} {client} in.example"


@pytest.mark.parametrize(
    ("fields", "host"),
    [
        (["X-Forwarded-Host: shop.example"], "shop.example"),
        (["X-Forwarded-Host: evil, shop.example:8443"], "shop.example:8443"),
        (["X-Forwarded-Host: shop.example", "X-Forwarded-Port: 8443"], "shop.example:8443"),
        (["X-Forwarded-Host: shop.example:1", "X-Forwarded-Port: 8443"], "shop.example:8443"),
        (["X-Forwarded-Host: shop.example", "X-Forwarded-Proto: https", "X-Forwarded-Port: 443"], "shop.example"),
        (["X-Forwarded-Host: shop.example", "X-Forwarded-Proto: http", "X-Forwarded-Port: 80"], "shop.example"),
        (["X-Forwarded-Port: 8443"], "in.example:8443"),
        (["X-Forwarded-Host: [::1]", "X-Forwarded-Port: 8443"], "[::1]:8443"),
        (["X-Forwarded-Host: a/b"], "in.example"),
        (["X-Forwarded-Host: u@a"], "in.example"),
        (["X-Forwarded-Host:"], "in.example"),
        (["X-Forwarded-Port: 0"], "in.example"),
        (["X-Forwarded-Port: 65536"], "in.example"),
        (["X-Forwarded-Port: x"], "in.example"),
    ],
)
def test_the_host_that_was_asked_for(serve: Any, fields: list[str], host: str) -> None:
    server = serve(lambda app: app.get("/", who), trusted_proxies=1, forwarded_headers=ALL)
    assert ask(server.port, *fields).split()[2] == host


def test_routes_of_a_host(serve: Any) -> None:
    def build(app: App) -> None:
        app.get("/", lambda res, req: res.end("any"))
        app.domain("shop.example").get("/", lambda res, req: res.end("shop"))

    server = serve(build, trusted_proxies=1, forwarded_headers=["x-forwarded-host"])
    assert ask(server.port) == "any"
    assert ask(server.port, "X-Forwarded-Host: Shop.Example:8443") == "shop"


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"trusted_proxies": 0}, ValueError, "a number from 1 to 100, not 0"),
        ({"trusted_proxies": True}, ValueError, "a number from 1 to 100, not True"),
        ({"forwarded_headers": "x-real-ip"}, ValueError, "forwarded_headers must be some of forwarded, .* not 'x-real-ip'"),
        ({"forwarded_headers": [5]}, ValueError, "not 5"),
        ({"forwarded_headers": []}, ValueError, "must name a field"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        App(**arguments)


# ---- the applications of the interfaces, and where they are mounted


async def asgi_app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    names = ("scheme", "client", "server", "root_path", "path")
    said = {name: scope[name] for name in names}
    said["client"] = scope["client"][0]
    said["host"] = dict(scope["headers"])[b"host"].decode()
    said["raw_path"] = scope["raw_path"].decode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})


def wsgi_app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    names = ("wsgi.url_scheme", "REMOTE_ADDR", "SERVER_NAME", "SERVER_PORT", "SCRIPT_NAME", "PATH_INFO", "HTTP_HOST")
    return [json.dumps([environ[name] for name in names]).encode()]


@pytest.fixture
def served() -> Iterator[Callable[..., int]]:
    servers: list[Any] = []

    def start(kind: Any, app: Any, **options: Any) -> int:
        server = kind(app, options=None if TLS is None else TLS.options(), **options)
        ports: list[int] = []
        server.listen(AppListenOptions(host="127.0.0.1"), lambda config: ports.append(config.port))
        server.run(block=False)
        servers.append(server)
        return ports[0]

    yield start
    for server in servers:
        server.close()


FIELDS = (
    "X-Forwarded-For: 8.8.8.8",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: shop.example",
    "X-Forwarded-Prefix: /api/",
)


def test_asgi_behind_a_proxy(served: Any) -> None:
    port = served(ASGI, asgi_app, lifespan="off", trusted_proxies=1, forwarded_headers=ALL, root_path="/static")
    said = json.loads(ask(port, *FIELDS, path="/users/%C3%A9"))
    assert said == {
        "scheme": "https",
        "client": "8.8.8.8",
        "server": ["shop.example", 443],
        "root_path": "/api",
        "path": "/api/users/é",
        "raw_path": "/api/users/%C3%A9",
        "host": "shop.example",
    }
    assert json.loads(ask(port))["root_path"] == "/static"


def test_wsgi_behind_a_proxy(served: Any) -> None:
    for threads in (1, 2):
        port = served(WSGI, wsgi_app, trusted_proxies=1, forwarded_headers=ALL, threads=threads)
        for _ in range(3):
            expected = ["https", "8.8.8.8", "shop.example", "443", "/api", "/users", "shop.example"]
            assert json.loads(ask(port, *FIELDS, path="/users")) == expected
            assert json.loads(ask(port, *FIELDS, path="/api/users")) == expected
            assert json.loads(ask(port, path="/users"))[4:] == ["", "/users", "in.example"]


def test_ssgi_behind_a_proxy(served: Any) -> None:
    def app(_kind: str, server: str, client: str, _method: str, _path: str, _query: str, header: Any, res: Any) -> None:
        res.send(f"{server} {client} {header('host')}")

    port = served(SSGI, app, trusted_proxies=1, forwarded_headers=ALL)
    assert ask(port, *FIELDS) == "shop.example:443 8.8.8.8:0 shop.example"


@pytest.mark.parametrize("prefix", ["api", "//evil", "/a b", "/a?b", "/%2e", "/", ""])
def test_what_is_no_prefix(served: Any, prefix: str) -> None:
    port = served(ASGI, asgi_app, lifespan="off", trusted_proxies=1, forwarded_headers="x-forwarded-prefix")
    said = json.loads(ask(port, f"X-Forwarded-Prefix: {prefix}", path="/users"))
    assert (said["root_path"], said["path"]) == ("", "/users")


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/users", "/api/users"),
        ("/api/users", "/api/users"),
        ("/api", "/api"),
        ("/%61pi/users", "/api/users"),
        ("/apis", "/api/apis"),
        ("/", "/api/"),
    ],
)
def test_a_root_path_is_not_doubled(served: Any, path: str, seen: str) -> None:
    said = json.loads(ask(served(ASGI, asgi_app, lifespan="off", root_path="/api"), path=path))
    assert (said["root_path"], said["path"]) == ("/api", seen)
