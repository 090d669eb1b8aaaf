"""What an app sees of its clients and its responses: proxies, the access log, and bounds on requests."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any, Callable

import pytest
from app_servers import Server
from waiting import wait_until
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from socketify import App, Limits, Request, Response, WebSocket

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def who(res: Response, req: Request) -> None:
    res.end(f"{req.get_scheme()} {res.get_remote_address()}")


def ask(server: Server, *fields: str) -> str:
    lines = "".join(f"{each}\r\n" for each in fields)
    answer = server.exchange(f"GET / HTTP/1.1\r\nHost: a\r\n{lines}Connection: close\r\n\r\n".encode())
    return answer.partition(b"\r\n\r\n")[2].decode()


@pytest.fixture
def scheme(serve: Any) -> str:
    return "https" if serve(lambda app: app.get("/", who)).app.is_secure else "http"


# ---- proxies


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        (["8.8.8.8"], "8.8.8.8"),
        (["9.9.9.9, 8.8.8.8"], "8.8.8.8"),
        (["9.9.9.9", "8.8.8.8"], "8.8.8.8"),
        (["9.9.9.9, 8.8.8.8, 10.1.2.3"], "8.8.8.8"),
        (["10.9.9.9, 10.1.2.3"], "10.9.9.9"),
        (["8.8.8.8:1234"], "8.8.8.8"),
        (["[2001:db8::1]:80"], "2001:db8::1"),
        (["2001:db8::1"], "2001:db8::1"),
        (["::ffff:8.8.8.8"], "8.8.8.8"),
        (["8.8.8.8, unknown, 10.1.2.3"], "10.1.2.3"),
        (["8.8.8.8, 10.1.2.300"], "127.0.0.1"),
        (["nobody"], "127.0.0.1"),
        ([""], "127.0.0.1"),
        ([" , ,"], "127.0.0.1"),
        (["[::1"], "127.0.0.1"),
        (["1" * 100], "127.0.0.1"),
        ([], "127.0.0.1"),
    ],
)
def test_the_client_behind_trusted_proxies(serve: Any, scheme: str, chain: list[str], client: str) -> None:
    server = serve(lambda app: app.get("/", who), trusted_proxies="127.0.0.0/8, 10.0.0.0/8")
    assert ask(server, *(f"X-Forwarded-For: {each}" for each in chain)) == f"{scheme} {client}"


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("https", "https"),
        ("http", "http"),
        ("wss", "https"),
        ("http, https", "https"),
        ("HTTPS", "https"),
        ("Ws", "http"),
        ("https2", None),
        ("gopher", None),
        ("", None),
    ],
)
def test_the_scheme_behind_trusted_proxies(serve: Any, scheme: str, sent: str, seen: Any) -> None:
    server = serve(lambda app: app.get("/", who), trusted_proxies=["127.0.0.1"])
    assert ask(server, f"X-Forwarded-Proto: {sent}") == f"{seen or scheme} 127.0.0.1"


def test_nobody_else_is_believed(serve: Any, scheme: str) -> None:
    fields = ("X-Forwarded-For: 8.8.8.8", "X-Forwarded-Proto: https" if scheme == "http" else "X-Forwarded-Proto: http")
    for options in ({}, {"trusted_proxies": "10.0.0.0/8,::2"}, {"trusted_proxies": ""}):
        assert ask(serve(lambda app: app.get("/", who), **options), *fields) == f"{scheme} 127.0.0.1"
    other = "https" if scheme == "http" else "http"
    assert ask(serve(lambda app: app.get("/", who), trusted_proxies="*"), *fields) == f"{other} 8.8.8.8"


def test_each_request_has_its_own_client(serve: Any, scheme: str) -> None:
    async def later(res: Response, req: Request) -> None:
        await asyncio.sleep(0.01)
        who(res, req)

    server = serve(lambda app: app.get("/", later), trusted_proxies="*")
    first = GET[:-2] + b"X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n\r\n"
    second = GET[:-2] + b"X-Forwarded-For: 2.2.2.2\r\nX-Forwarded-Proto: http\r\n\r\n"
    answer = server.exchange(first + second + GET[:-2] + b"Connection: close\r\n\r\n").decode()
    bodies = [part.partition("\r\n\r\n")[2] for part in answer.split("HTTP/1.1 ")[1:]]
    assert bodies == ["https 1.1.1.1", "http 2.2.2.2", f"{scheme} 127.0.0.1"]


def test_a_websocket_has_the_client_of_its_request(serve: Any) -> None:
    def message(ws: WebSocket, _message: Any, _opcode: int) -> None:
        ws.send(ws.get_remote_address())

    server = serve(lambda app: app.ws("/", {"message": message}), trusted_proxies="127.0.0.1")
    with connect(server.ws_url, additional_headers={"X-Forwarded-For": "8.8.8.8"}) as client:
        client.send("who")
        assert client.recv(timeout=10) == b"8.8.8.8"


@pytest.mark.parametrize(
    ("proxies", "error", "said"),
    [
        ("10.0.0.0/8,here", ValueError, "'here' is no address or network"),
        ([5], TypeError, "must be addresses and networks as str, not 5"),
    ],
)
def test_wrong_proxies(proxies: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        App(trusted_proxies=proxies)


# ---- the access log

# It is a file, as what is printed while pytest empties its buffer is lost, and often so in free-threaded builds.


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def logged(serve: Any, log: Path) -> Callable[..., list[dict[str, Any]]]:
    """Serve, exchange bytes, and give what the log says of them."""

    def exchange(build: Callable[[App], Any], data: bytes, count: int, **options: Any) -> list[dict[str, Any]]:
        before = len(log.read_text().splitlines()) if log.exists() else 0
        serve(build, access_log="json", access_log_file=str(log), **options).exchange(data)
        wait_until(lambda: len(log.read_text().splitlines()) >= before + count)
        return [json.loads(line) for line in log.read_text().splitlines()[before:]]

    return exchange


async def streamed(res: Response, _req: Request) -> None:
    res.write("abc").write("defg")
    await asyncio.sleep(0.01)
    res.end("h")


async def in_pieces(res: Response, _req: Request) -> None:
    await res.send_chunk(b"x" * 3_000_000, 3_000_000)


def test_every_response_is_logged_with_its_bytes(logged: Any) -> None:
    def build(app: App) -> None:
        app.get("/", lambda res, req: res.end("hello"))
        app.post("/status", lambda res, req: res.send("created", status=201))
        app.get("/streamed", streamed)
        app.get("/pieces", in_pieces)
        app.get("/nothing", lambda res, req: res.write_status(204).end("ignored"))
        app.get("/last", lambda res, req: res.end(""))

    requests = b"".join(
        f"{line} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        for line in ("GET /?a=%20b", "HEAD /", "POST /status", "GET /streamed", "GET /pieces", "GET /nothing", "GET /lost")
    )
    entries = logged(build, requests + LAST, 8)
    assert [(each["method"], each["target"], each["status"], each["bytes"]) for each in entries] == [
        ("GET", "/?a=%20b", 200, 5),
        ("HEAD", "/", 200, 0),
        ("POST", "/status", 201, 7),
        ("GET", "/streamed", 200, 8),
        ("GET", "/pieces", 200, 3_000_000),
        ("GET", "/nothing", 204, 0),
        ("GET", "/lost", 404, 9),
        ("GET", "/last", 200, 0),
    ]
    assert all(each["client"] == "127.0.0.1" and each["version"] == "1.1" for each in entries)
    assert entries[3]["milliseconds"] > 0


def test_what_cannot_be_read_is_logged(logged: Any) -> None:
    def build(app: App) -> None:
        app.post("/", lambda res, req: res.on_data(lambda res, chunk, last: None))

    (entry,) = logged(build, b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 1)
    assert (entry["method"], entry["target"], entry["status"]) == ("", "", 400)
    (entry,) = logged(
        build,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcdefgh\r\n",
        1,
    )
    assert (entry["method"], entry["target"], entry["status"]) == ("POST", "/", 400)


def test_a_client_that_leaves_is_logged(serve: Any, log: Path) -> None:
    async def never(res: Response, _req: Request) -> None:
        await asyncio.sleep(0.2)

    server = serve(lambda app: app.get("/", never), access_log="common", access_log_file=str(log))
    with server.connect() as connection:
        connection.sendall(GET)
        time.sleep(0.05)
    wait_until(lambda: '"GET / HTTP/1.1" 499 0' in log.read_text())


def test_websockets_are_logged_when_they_open(serve: Any, log: Path) -> None:
    def build(app: App) -> None:
        app.ws("/", {"message": lambda ws, message, opcode: ws.send(message)})

    server = serve(build, access_log="common", access_log_file=str(log))
    with connect(server.ws_url) as client:
        client.send("x")
        client.recv(timeout=10)
        wait_until(lambda: '"GET / HTTP/1.1" 101 0' in log.read_text())


def test_a_target_cannot_forge_a_line(serve: Any, log: Path) -> None:
    server = serve(lambda app: app.get("/*", lambda res, req: res.end("")), access_log="common", access_log_file=str(log))
    server.exchange(b'GET /"\\ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    wait_until(lambda: '"GET /\\"\\\\ HTTP/1.1" 200 0\n' in log.read_text())


def test_a_wrong_format() -> None:
    with pytest.raises(ValueError, match=r"access_log must be None, one of common, combined, json, or a format .* not 'xml'"):
        App(access_log="xml")


# ---- bounds


def test_503_above_the_bound_on_requests(serve: Any) -> None:
    waiting: list[Response] = []

    def build(app: App) -> None:
        app.get("/wait", lambda res, req: waiting.append(res.grab_aborted_handler()))
        app.get("/", lambda res, req: res.end("ok"))
        app.get("/go", lambda res, req: res.end("go"))

    server = serve(build, limits=Limits(max_concurrent_requests=2))
    with server.connect() as first, server.connect() as second, server.connect() as third:
        first.sendall(GET.replace(b"/ ", b"/wait "))
        second.sendall(GET.replace(b"/ ", b"/wait "))
        while len(waiting) < 2:
            time.sleep(0.01)
        third.sendall(GET)
        answer = third.recv(4096)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1\r\n" in answer
        # The connection goes on, and so do requests when there is room again.
        first.close()
        answer = b"HTTP/1.1 503"
        while answer.startswith(b"HTTP/1.1 503"):
            third.sendall(GET)
            answer = third.recv(4096)
        assert answer.startswith(b"HTTP/1.1 200")


def test_websockets_count_among_requests(serve: Any) -> None:
    def build(app: App) -> None:
        app.ws("/", {"message": lambda ws, message, opcode: None})
        app.get("/", lambda res, req: res.end("ok"))

    server = serve(build, limits=Limits(max_concurrent_requests=1))
    with connect(server.ws_url):
        with pytest.raises(InvalidStatus, match="503"):
            connect(server.ws_url)
        assert b"HTTP/1.1 503" in server.exchange(LAST)
    answer = b"503"
    while b"503" in answer:
        answer = server.exchange(GET[:-2] + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")


def test_every_way_to_end_makes_room(serve: Any) -> None:
    async def waits(res: Response, _req: Request) -> None:
        await asyncio.sleep(0)
        res.end("later")

    def fails(_res: Response, _req: Request) -> None:
        raise ValueError

    def build(app: App) -> None:
        app.get("/", lambda res, req: res.end("ok"))
        app.get("/fails", fails)
        app.get("/cuts", lambda res, req: res.close())
        app.get("/waits", waits)
        app.get("/stream", lambda res, req: res.write("a").end("b"))
        app.post("/body", lambda res, req: res.on_data(lambda res, chunk, last: res.end("") if last else None))

    server = serve(build, limits=Limits(max_concurrent_requests=1, max_body_size=10))
    for path in (b"/", b"/fails", b"/cuts", b"/waits", b"/stream", b"/nowhere"):
        server.exchange(GET.replace(b"/ ", path + b" ")[:-2] + b"Connection: close\r\n\r\n")
        server.exchange(b"HEAD " + path + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    server.exchange(b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
    server.exchange(b"POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnot a chunk")
    server.exchange(b"GET / HTTP/1.1\r\n\r\n")
    assert server.exchange(GET + LAST.replace(b"/last", b"/")).count(b"HTTP/1.1 200") == 2


def test_an_app_closes_after_so_many_requests() -> None:
    app = App(lifespan=True).get("/", lambda res, req: res.end("ok")).close_after(2)
    ports: list[int] = []
    app.listen(0, lambda config: ports.append(config.port))

    async def client() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", ports[0])
        writer.write(GET + GET)
        answer = await reader.read()
        writer.close()
        return answer

    async def main() -> bytes:
        asking = asyncio.ensure_future(client())
        await asyncio.wait_for(app.serve(), 20)
        return await asking

    assert asyncio.run(main()).count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize("count", [0, -1, True, "3"])
def test_close_after_nothing(count: Any) -> None:
    app = App()
    with pytest.raises(ValueError, match="close_after takes an int of 1 or more"):
        app.close_after(count)
    app.close()
