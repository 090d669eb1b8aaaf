"""The access log's formats and places, and what requests are called in it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import httpx
import pytest
from app_servers import TLS, connected, read_all
from waiting import wait_until

from socketify import ASGI, WSGI, App, AppListenOptions, HTTPError, Request, Response

AUTHORIZATION = "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="


def request(target: str = "/a?b=c", *fields: str, method: str = "GET") -> bytes:
    lines = "".join(f"{each}\r\n" for each in fields)
    return f"{method} {target} HTTP/1.1\r\nHost: shop.example:80\r\n{lines}Connection: close\r\n\r\n".encode("latin-1")


def hello(res: Response, _req: Request) -> None:
    res.write_header("X-Kind", "kind of").end("hello")


def lines_of(path: Path, count: int = 1) -> list[str]:
    """What the file has, once it has so many lines."""
    deadline = time.monotonic() + 10
    while True:
        lines = path.read_text().splitlines()
        if len(lines) >= count or time.monotonic() > deadline:
            return lines
        time.sleep(0.01)


@pytest.fixture
def line(serve: Any, tmp_path: Path) -> Callable[..., str]:
    """Serve, send bytes, and give the line about it."""

    def ask(format_text: str, data: bytes, **options: Any) -> str:
        path = tmp_path / f"log{len(list(tmp_path.iterdir()))}"
        server = serve(lambda app: app.any("/*", hello), access_log=format_text, access_log_file=path, **options)
        server.exchange(data)
        (logged,) = lines_of(path)
        return logged

    return ask


SCHEME = "http" if TLS is None else "https"


@pytest.mark.parametrize(
    ("atom", "seen"),
    [
        ("%(h)s", "127.0.0.1"),
        ("%(l)s", "-"),
        ("%(u)s", "Aladdin"),
        ("%(t)s", r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"),
        ("%(r)s", r"GET /a\?b=c HTTP/1\.1"),
        ("%(m)s", "GET"),
        ("%(U)s", "/a"),
        ("%(q)s", "b=c"),
        ("%(H)s", r"HTTP/1\.1"),
        ("%(s)s", "200"),
        ("%(B)s", "5"),
        ("%(b)s", "5"),
        ("%(f)s", "-"),
        ("%(a)s", r"Fire\\\"fox\\xe9"),
        ("%(T)s", "0"),
        ("%(M)s", r"\d+"),
        ("%(D)s", r"\d+"),
        ("%(L)s", r"0\.\d{6}"),
        ("%(p)s", f"<{os.getpid()}>"),
        ("%({User-Agent}i)s", r"Fire\\\"fox\\xe9"),
        ("%({x-kind}o)s", "kind of"),
        ("%({X-None}o)s %({none}i)s", "- -"),
        ("%({HOME}e)s", re.escape(os.environ.get("HOME", "-"))),
        ("%({%Y}t)s", r"\d{4}"),
        ("100%% %(s)s", "100% 200"),
        ("%(scheme)s %(host)s %(worker)s", f"{SCHEME} shop.example -"),
        ("%h %l %u", "127.0.0.1 - Aladdin"),
        ('"%r" %>s %b', r'"GET /a\?b=c HTTP/1\.1" 200 5'),
        ("%a %A %p", r"127\.0\.0\.1 127\.0\.0\.1 \d+"),
        ("%{User-Agent}i|%{X-Kind}o", r"Fire\\\"fox\\xe9\|kind of"),
        ("%U%q %m %H %v %P", rf"/a\?b=c GET HTTP/1\.1 shop\.example {os.getpid()}"),
        ("%{%H:%M}t %D", r"\d\d:\d\d \d+"),
    ],
)
def test_atoms(line: Any, atom: str, seen: str) -> None:
    assert re.fullmatch(seen, line(atom, request("/a?b=c", AUTHORIZATION, 'User-Agent: Fire"fox\xe9')))


def test_formats_with_names(line: Any) -> None:
    begin = r'127\.0\.0\.1 - - \[[^]]+\] "GET /a\?b=c HTTP/1\.1" 200 5'
    assert re.fullmatch(begin, line("common", request()))
    fields = ("User-Agent: curl/8", "Referer: http://a/")
    assert re.fullmatch(begin + ' "http://a/" "curl/8"', line("combined", request("/a?b=c", *fields)))
    assert re.fullmatch(begin + ' "-" "-"', line(None, request()))


def test_json_with_chosen_fields(line: Any) -> None:
    names = "time,client,method,path,query,host,user,agent={user-agent}i,{X-Kind}o,none={none}i,request_id,pid,worker,bytes"
    logged = json.loads(line(f"json:{names}", request("/a?b=%22", 'User-Agent: "\xe9\\')))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d", logged.pop("time"))
    assert logged == {
        "client": "127.0.0.1",
        "method": "GET",
        "path": "/a",
        "query": "b=%22",
        "host": "shop.example",
        "user": None,
        "agent": '"\xe9\\',
        "x-kind": "kind of",
        "none": None,
        "request_id": None,
        "pid": os.getpid(),
        "worker": None,
        "bytes": 5,
    }


@pytest.mark.parametrize(
    ("format_text", "said"),
    [
        ("%(z)s", "there is no atom '%\\(z\\)s'"),
        ("%(h)", "'%\\(h\\)' is no atom"),
        ("%({a}x)s", "there is no atom"),
        ("%({a b}i)s", "there is no atom"),
        ("%z", "there is no atom '%z'"),
        ("%(h)s\n", "cannot have a line break"),
        ("json:time,nothing", "there is no field 'nothing'"),
        ("json:", "there is no field ''"),
        ("plain", "not 'plain'"),
    ],
)
def test_wrong_formats(format_text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        App(access_log=format_text)


def test_wrong_places(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="access_log_file"):
        App(access_log_file=tmp_path / "none" / "log")
    with pytest.raises(IsADirectoryError):
        App(access_log_file=tmp_path)
    with pytest.raises(TypeError, match=r"access_log_file must be a path, '-' or a logging.Logger, not 5"):
        App(access_log_file=5)  # type: ignore[arg-type]


def test_through_logging(serve: Any) -> None:
    records: list[logging.LogRecord] = []
    there = threading.Event()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)
            there.set()

    logger = logging.getLogger("test.access")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(Handler())
    server = serve(lambda app: app.any("/*", hello), access_log="%(m)s %(U)s %(s)s", access_log_file=logger)
    server.exchange(request("/%d"))
    assert there.wait(10)
    assert [record.getMessage() for record in records] == ["GET /%d 200"]
    assert records[0].levelno == logging.INFO


def test_an_idle_log_has_no_thread(serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socketify.system.line_writer._IDLE_SECONDS", 0.05)
    before = set(threading.enumerate())
    server = serve(lambda app: app.any("/*", hello), access_log="%(U)s", access_log_file=tmp_path / "log")
    for number in range(3):
        server.exchange(request(f"/{number}"))
        assert lines_of(tmp_path / "log", number + 1) == [f"/{each}" for each in range(number + 1)]
        wait_until(lambda: not any(each.name == "socketify access log" for each in set(threading.enumerate()) - before))


# ---- rotation


PROGRAM = """
import sys
from socketify import App
app = App(access_log="%(U)s", access_log_file=sys.argv[1])
app.get("/*", lambda res, req: res.end("hello"))
app.listen(0, lambda config: print(config.port, flush=True))
app.run()
"""


def test_a_file_is_opened_anew_on_sigusr1(tmp_path: Path, run_program: Any) -> None:
    log, old = tmp_path / "log", tmp_path / "log.1"
    process = run_program(PROGRAM, str(log))
    port = int(process.stdout.readline())

    def ask(target: str) -> None:
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(request(target))
            read_all(connection)

    ask("/1")
    assert lines_of(log) == ["/1"]
    log.rename(old)
    ask("/2")
    assert lines_of(old, 2) == ["/1", "/2"]
    process.send_signal(signal.SIGUSR1)
    deadline = time.monotonic() + 10
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    ask("/3")
    assert lines_of(log) == ["/3"]
    assert lines_of(old, 2) == ["/1", "/2"]
    process.terminate()
    assert process.wait(20) == -signal.SIGTERM


# ---- what requests are called


def echo_id(res: Response, req: Request) -> None:
    res.end(f"{req.get_header('x-request-id')}")


@pytest.mark.parametrize(
    ("sent", "taken"),
    [(None, False), ("abc-1_2.3", True), ("a" * 128, True), ("a" * 129, False), ('a"b', False), ("", False), ("a b", False)],
)
def test_a_request_has_a_name(serve: Any, tmp_path: Path, sent: Any, taken: bool) -> None:
    log = tmp_path / "log"
    options = {"request_id": True, "access_log": "%(request_id)s %L".replace(" %L", ""), "access_log_file": log}
    server = serve(lambda app: app.any("/*", echo_id), **options)
    answer = server.exchange(request("/", *(() if sent is None else (f"X-Request-ID: {sent}",)))).decode()
    head, _, body = answer.partition("\r\n\r\n")
    assert f"\r\nx-request-id: {body}" in head
    assert (body == sent) is taken
    if not taken:
        assert re.fullmatch("[0-9a-f]{32}", body)
    assert lines_of(log) == [body]


def test_each_request_of_a_connection_has_its_own_name(serve: Any) -> None:
    server = serve(lambda app: app.any("/*", echo_id), request_id="X-Trace")
    answers = server.exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3 + request()).decode()
    names = re.findall(r"\r\nx-trace: ([0-9a-f]{32})\r\n", answers)
    assert len(set(names)) == 4


def test_handlers_ask_for_it_by_what_it_is(serve: Any) -> None:
    async def later(res: Response, req: Request) -> None:
        await asyncio.sleep(0)
        res.send(req.get_request_id())

    def build(app: App) -> None:
        app.get("/", lambda res, req: res.send([req.get_request_id()])).get("/later", later)

    named, unnamed = serve(build, request_id="X-Trace"), serve(build)
    assert httpx.get(named.url, headers={"X-Trace": "mine"}).json() == ["mine"]
    assert httpx.get(named.url + "/later", headers={"X-Trace": "mine"}).text == "mine"
    assert httpx.get(unnamed.url, headers={"X-Trace": "mine"}).json() == [None]


def test_the_applications_find_it(serve_asgi: Any) -> None:
    async def asgi(scope: dict[str, Any], _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": dict(scope["headers"])[b"x-request-id"]})

    def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [environ["HTTP_X_REQUEST_ID"].encode()]

    ports = [serve_asgi(asgi, lifespan="off", request_id=True).port]
    server = WSGI(wsgi, request_id=True, options=None if TLS is None else TLS.options())
    server.listen(AppListenOptions(host="127.0.0.1"), lambda config: ports.append(config.port))
    server.run(block=False)
    try:
        for port in ports:
            with connected(port) as connection:
                names = []
                for _ in range(4):
                    connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    answer = connection.recv(10_000).decode()
                    names.append(answer.rpartition("\r\n")[2])
                    assert f"x-request-id: {names[-1]}\r\n" in answer
            assert len(set(names)) == 4
    finally:
        server.close()
    assert ASGI is not None


def test_an_error_in_the_log_names_its_request(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    def fails(_res: Response, req: Request) -> None:
        if req.get_query("why"):
            raise HTTPError(403, "not yours")
        raise ValueError("wrong")

    server = serve(lambda app: app.get("/", fails), request_id=True)
    with caplog.at_level(logging.INFO, "socketify"):
        server.exchange(request("/", "X-Request-ID: one"))
        server.exchange(request("/?why=1", "X-Request-ID: two"))
    assert "a handler failed, request one" in caplog.text
    ids = [record.request_id for record in caplog.records]  # type: ignore[attr-defined]
    assert ids[-2:] == ["one", "two"]


# ---- fields of every response


@pytest.fixture
def answers(serve: Any) -> Iterator[Callable[[bytes], bytes]]:
    def own(res: Response, _req: Request) -> None:
        res.write_header("x-FRAME-options", "SAMEORIGIN").end("")

    def fails(_res: Response, _req: Request) -> None:
        raise ValueError("wrong")

    def build(app: App) -> None:
        app.get("/", hello)
        app.get("/own", own)
        app.get("/fails", fails)
        app.ws("/ws", {"message": lambda ws, message, opcode: None})

    server = serve(build, response_headers=[("X-Frame-Options", "DENY"), ("X-B", "1"), ("X-B", "2")])
    return server.exchange


def test_fields_of_every_response(answers: Any) -> None:
    upgrade = ("Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    websocket = request("/ws", *upgrade).replace(b"Connection: close", b"Connection: upgrade")
    for data, status in (
        (request("/"), b"200"),
        (request("/none"), b"404"),
        (request("/fails"), b"500"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
    ):
        answer = answers(data)
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert b"\r\nX-Frame-Options: DENY\r\nX-B: 1\r\nX-B: 2\r\n" in answer, answer
    own = answers(request("/own"))
    assert b"x-FRAME-options: SAMEORIGIN\r\n" in own
    assert b"DENY" not in own
    assert b"X-B: 1\r\nX-B: 2\r\n" in own
    assert websocket


@pytest.mark.parametrize(
    ("headers", "error", "said"),
    [
        ([("Content-Length", "5")], ValueError, "the server decides about 'Content-Length' itself"),
        ([("a b", "5")], ValueError, "not a token"),
        ([("a", "5\r\nb: c")], ValueError, "control characters"),
        ("a:b", TypeError, "iterable of name and value pairs"),
        ([("a",)], TypeError, "pairs of name and value"),
    ],
)
def test_wrong_fields(headers: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        App(response_headers=headers)
