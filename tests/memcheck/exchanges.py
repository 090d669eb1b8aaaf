"""Forty kinds of exchange and more, in one process, for valgrind: servers in threads, and a client of raw bytes.

    python tests/memcheck/exchanges.py

The answers are checked, too: a run that says nothing about memory has also served everybody.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
import struct
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from tls_files import Files

from socketify import ASGI, WSGI, App, AppListenOptions, CompressOptions, Limits, OpCode, sendfile

BIG = os.urandom(1024) * 2048
PATIENCE = 120
done: list[str] = []


def receive(connection: socket.socket) -> bytes:
    parts = []
    with contextlib.suppress(OSError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


class Client:
    """Connects to one server; ``tls`` wraps the connection."""

    def __init__(self, port: int, tls: Any = None) -> None:
        self.port = port
        self.tls = tls

    @contextlib.contextmanager
    def connection(self) -> Iterator[Any]:
        plain = socket.create_connection(("127.0.0.1", self.port))
        plain.settimeout(PATIENCE)
        with self.tls.wrap_socket(plain, server_hostname="localhost") if self.tls else plain as connection:
            yield connection

    def ask(self, kind: str, *pieces: bytes, expect: bytes = b"HTTP/1.1 200 OK\r\n") -> bytes:
        """Send the pieces, each in a packet of its own, and read until the server closes."""
        answer = b""
        with self.connection() as connection:
            for piece in pieces:
                with contextlib.suppress(OSError):
                    connection.sendall(piece)
                    if b"Upgrade: websocket" in piece:
                        answer = connection.recv(65536)
            answer += receive(connection)
        assert expect in answer, (kind, answer[:300])
        done.append(kind)
        return answer

    def leave(self, kind: str, request: bytes, frames: bytes = b"", *, read: int = 0) -> None:
        """Send, read so many bytes, and leave with a reset."""
        with self.connection() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(request)
            if frames:
                connection.recv(65536)
                connection.sendall(frames)
            if read:
                connection.recv(read)
        done.append(kind)


def head(method: str = "GET", target: str = "/", *fields: str, version: str = "1.1") -> bytes:
    return "\r\n".join((f"{method} {target} HTTP/{version}", "Host: a", "Connection: close", *fields, "", "")).encode()


def each_byte(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


# Frames of a client (RFC 6455 section 5.2); a mask of zeros leaves the payload as it is.
def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv1: bool = False) -> bytes:
    size = len(payload)
    length = (
        bytes([128 | size]) if size < 126 else struct.pack("!BH", 254, size) if size < 65536 else struct.pack("!BQ", 255, size)
    )
    return bytes([(128 if fin else 0) | (64 if rsv1 else 0) | opcode]) + length + bytes(4) + payload


def upgrade(path: str = "/ws", *fields: str) -> bytes:
    key = base64.b64encode(bytes(16)).decode()
    lines = [f"GET {path} HTTP/1.1", "Host: a", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    return "\r\n".join((*lines, f"Sec-WebSocket-Key: {key}", *fields, "", "")).encode()


CLOSE = frame(8, struct.pack("!H", 1000))


def fails(_res: Any, _req: Any) -> None:
    raise ValueError("on purpose")


async def fails_later(_res: Any, _req: Any) -> None:
    await asyncio.sleep(0)
    raise ValueError("on purpose")


def routes(app: App, directory: str) -> None:
    file = str(Path(directory, "file.txt"))

    def small(res: Any, req: Any) -> None:
        res.write_header("X-Kind", req.get_method()).end(f"{req.get_url()} {req.get_query('q')} {req.get_cookies()}")

    async def later(res: Any, req: Any) -> None:
        req.preserve()
        await asyncio.sleep(0)
        res.end(f"{req.get_headers()} {req.get_parameters()} {req.get_queries()}")

    async def body(res: Any, _req: Any) -> None:
        res.end(str(len((await res.get_data()).getvalue())))

    async def form(res: Any, _req: Any) -> None:
        res.end(str(await res.get_form_urlencoded()))

    async def stream(res: Any, _req: Any) -> None:
        for _ in range(3):
            res.write("piece")
            await asyncio.sleep(0)
        res.end()

    async def big(res: Any, _req: Any) -> None:
        await res.send_chunk(BIG, len(BIG))

    async def waits(res: Any, _req: Any) -> None:
        gone = asyncio.get_running_loop().create_future()
        res.on_aborted(lambda _res: gone.done() or gone.set_result(None))
        await gone

    app.get("/", small).any("/any", small).get("/users/:id", later).post("/body", body).post("/form", form)
    app.get("/stream", stream).get("/big", big).get("/at-once", lambda res, _req: res.end(BIG)).get("/waits", waits)
    app.post("/early", lambda res, _req: res.end("early")).get("/fails", fails).get("/fails-later", fails_later)
    app.get("/cork", lambda res, _req: res.cork(lambda res: res.write_status(200).write_header("A", "b").end("corked")))
    app.get("/send", lambda res, _req: res.send({"json": 1}, headers=[("A", "b")]))
    app.get("/yield", lambda _res, req: req.set_yield(1)).get("/*", lambda res, _req: res.end("wildcard"))
    app.get("/file", lambda res, req: sendfile(res, req, file)).static("/static", directory)
    app.get("/cut", lambda res, _req: res.write("part").close()).get("/redirect", lambda res, _req: res.redirect("/"))
    app.get("/allowed", lambda res, req: res.end(str(req.allowed_methods())))
    app.get("/address", lambda res, _req: res.end(f"{res.get_remote_address()} {res.get_proxied_remote_address()}"))
    app.domain("*.example.org").get("/", lambda res, _req: res.end("of the domain"))
    app.on_error(lambda _error, res, _req: res is None or res.write_status(500).end("failed"))
    websocket_routes(app)


def websocket_routes(app: App) -> None:
    def message(ws: Any, content: Any, opcode: Any) -> None:
        if content == "end":
            ws.end(1000, "as asked")
        elif content == "topic":
            ws.subscribe("topic")
            app.publish("topic", "published", OpCode.TEXT)
        elif content == "parts":
            ws.send_fragment("first ", OpCode.TEXT, fin=False) if hasattr(ws, "send_fragment") else ws.send(
                "parts", OpCode.TEXT
            )
        else:
            ws.send(content, opcode, True)

    behavior = {"message": message, "open": lambda ws: ws.send("open", OpCode.TEXT), "max_payload_length": 1024 * 1024}
    app.ws("/ws", behavior)
    app.ws("/deflate", {**behavior, "compression": CompressOptions.SHARED_COMPRESSOR})
    app.ws("/refused", {**behavior, "upgrade": lambda res, _req, _context: res.write_status(403).end("no")})


def ask_http(client: Client) -> None:
    ask = client.ask
    ask("GET", head())
    ask("HEAD", head("HEAD"))
    ask("query and cookies", head("GET", "/?q=%20x&q=y", "Cookie: a=b; c=d"))
    ask("kept connection", head().replace(b"Connection: close\r\n", b"") * 3 + head())
    ask("HTTP/1.0", head(version="1.0"))
    ask("parameters, after a wait", head("GET", "/users/7?x=1", "X-Long: " + "v" * 3000))
    ask("absolute form", head("GET", "http://b.example.org/?q"), expect=b"of the domain")
    ask("byte by byte", *each_byte(head("GET", "/users/1")))
    ask("body", head("POST", "/body", "Content-Length: 5") + b"hello", expect=b"\r\n\r\n5")
    ask(
        "body in pieces",
        head("POST", "/body", f"Content-Length: {len(BIG)}"),
        BIG[:7],
        BIG[7:],
        expect=b"\r\n\r\n%d" % len(BIG),
    )
    chunks = b"3;a=b\r\nabc\r\n" * 20 + b"0\r\nTrailer: 1\r\n\r\n"
    ask("chunks", head("POST", "/body", "Transfer-Encoding: chunked") + chunks, expect=b"\r\n\r\n60")
    ask("chunks byte by byte", head("POST", "/body", "Transfer-Encoding: chunked"), *each_byte(chunks), expect=b"\r\n\r\n60")
    ask("100 (Continue)", head("POST", "/body", "Expect: 100-continue", "Content-Length: 3"), b"abc")
    ask("form", head("POST", "/form", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 3") + b"a=b")
    ask("answer before the body", head("POST", "/early", "Content-Length: 100000"))
    for kind in ("stream", "big", "at-once", "cork", "send", "yield", "file", "static/file.txt", "allowed", "address", "any"):
        ask(kind, head("GET", "/" + kind))
    ask("range", head("GET", "/file", "Range: bytes=1-3"), expect=b"206 Partial")
    ask("conditional", head("GET", "/file", "If-None-Match: *"), expect=b"304 Not Modified")
    ask("redirect", head("GET", "/redirect"), expect=b" 302 ")
    ask("error", head("GET", "/fails"), expect=b"500 Internal")
    ask("error after a wait", head("GET", "/fails-later"), expect=b"500 Internal")
    ask("404", head("DELETE", "/nowhere"), expect=b" 405 ")
    ask("cut by the handler", head("GET", "/cut"), expect=b"part")
    for status, request in (
        (b"400", b"GET / HTTP/1.1\r\n\r\n"),
        (b"414", head("GET", "/" + "a" * 9000)),
        (b"431", head("GET", "/", "X: " + "a" * 20000)),
        (b"413", head("POST", "/body", f"Content-Length: {10**9}")),
        (b"501", head("POST", "/body", "Transfer-Encoding: gzip")),
        (b"505", head(version="2.0")),
        (b"417", head("GET", "/", "Expect: wonders")),
        (b"408", b"GET / HT"),
    ):
        ask(status.decode(), request, expect=b"HTTP/1.1 " + status)
    client.leave("left while it waits", head("GET", "/waits"))
    client.leave("left in a body", head("POST", "/body", "Content-Length: 50") + b"abc")
    client.leave("left in a download", head("GET", "/at-once"), read=100)
    client.leave("left before a word", b"")


def ask_websockets(client: Client, path: str = "/ws") -> None:
    def ask(kind: str, *frames: bytes, expect: bytes) -> None:
        client.ask(kind, upgrade(path), *frames, expect=expect)

    ask("websocket text", frame(1, b"hello") + CLOSE, expect=b"\x81\x05hello")
    ask("websocket binary", frame(2, BIG[:70000]), CLOSE, expect=BIG[:70000])
    ask("fragments", frame(1, b"a", fin=False), frame(9, b"ping"), frame(0, b"b") + CLOSE, expect=b"\x81\x02ab")
    ask("frames byte by byte", *each_byte(frame(1, b"slow") + CLOSE), expect=b"\x81\x04slow")
    ask("topic", frame(1, b"topic"), frame(1, b"x") + CLOSE, expect=b"open")
    ask("end by the server", frame(1, b"end"), expect=b"as asked")
    ask("no UTF-8", frame(1, b"\xff"), expect=b"open")
    ask("too large", frame(2, b"")[:1] + b"\xff" + struct.pack("!Q", 2**40), expect=b"open")
    ask("reserved bits", b"\xff\xff", expect=b"open")
    ask("not masked", b"\x81\x01a", expect=b"open")
    client.leave("websocket left", upgrade(path), frame(1, b"hello"), read=1)
    client.ask("websocket deflated", upgrade("/deflate", "Sec-WebSocket-Extensions: permessage-deflate"), CLOSE, expect=b"101 ")
    client.ask("upgrade refused", upgrade("/refused"), b"", expect=b" 403 ")
    client.ask("no upgrade", head("GET", "/deflate"), expect=b"wildcard")


def ask_through_proxies(client: Client) -> None:
    signature = b"\r\n\r\n\0\r\nQUIT\n"
    v4 = signature + b"\x21\x11" + struct.pack("!H4s4sHH", 12, b"\x01\x02\x03\x04", b"\x05\x06\x07\x08", 9, 10)
    v6 = signature + b"\x21\x21" + struct.pack("!H16s16sHH", 36, b"\x20" * 16, b"\x05" * 16, 9, 10)
    client.ask("PROXY, IPv4", v4 + head("GET", "/address"), expect=b"1.2.3.4")
    client.ask("PROXY, IPv6", v6, head("GET", "/address"), expect=b"2020:")
    client.ask("PROXY of the proxy itself", signature + b"\x20\x00\0\0" + head("GET", "/address"))
    client.ask("PROXY byte by byte", *each_byte(v4 + head("GET", "/address")), expect=b"1.2.3.4")
    client.ask("PROXY with more", v4[:14] + b"\0\x0f" + v4[16:] + b"\x04\0\0", head("GET", "/address"), expect=b"1.2.3.4")
    client.ask("PROXY without addresses", v4[:14] + b"\0\0" + bytes(20), expect=b"400")
    client.ask("no PROXY", signature[:11] + b"x" * 60, expect=b"400")
    client.ask("forwarded", head("GET", "/address", "X-Forwarded-For: 9.9.9.9, 127.0.0.1", "X-Forwarded-Proto: https"))


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "open"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({**event, "type": "websocket.send"})
        return
    if scope["type"] != "http":
        return
    length = 0
    while (event := await receive()).get("more_body"):
        length += len(event["body"])
    if scope["path"] == "/fails":
        raise ValueError("on purpose")
    body = BIG if scope["path"] == "/big" else b"%d" % (length + len(event.get("body", b"")))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body[:2], "more_body": True})
    await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": body[2:]})


def wsgi(environ: Any, start_response: Any) -> Any:
    if environ["PATH_INFO"] == "/fails":
        raise ValueError("on purpose")
    length = len(environ["wsgi.input"].read())
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/writes":
        write(b"one")
        write(BIG)
    return [BIG[:3], BIG[3:]] if environ["PATH_INFO"] == "/big" else (b"%d" % each for each in (length, 1))


def ssgi(req: Any, res: Any) -> None:
    res.end(req.get_url())


def ask_interface(client: Client, name: str) -> None:
    client.ask(f"{name} GET", head())
    client.ask(f"{name} kept connection", head().replace(b"Connection: close\r\n", b"") * 3 + head())
    if name != "SSGI":
        client.ask(f"{name} body", head("POST", "/", "Content-Length: 5"), b"hello")
        client.ask(f"{name} body with its head", head("POST", "/", "Content-Length: 5") + b"hello")
        client.ask(f"{name} chunks", head("POST", "/", "Transfer-Encoding: chunked"), b"3\r\nabc\r\n", b"0\r\n\r\n")
        client.ask(f"{name} large", head("GET", "/big"), expect=BIG)
        client.ask(f"{name} error", head("GET", "/fails"), expect=b"500")
        client.leave(f"{name} left", head("GET", "/big"), read=100)
    if name == "WSGI":
        client.ask("WSGI writes", head("GET", "/writes"), expect=b"\r\none\r\n")
        client.leave("WSGI left writing", head("GET", "/writes"), read=100)
    if name == "ASGI":
        # On a busy machine the close overtakes the application's answers.
        client.ask("ASGI websocket", upgrade("/"), frame(1, b"hello"), frame(2, b"hello") + CLOSE, expect=b"\x81\x04open")


@contextlib.contextmanager
def serving(build: Callable[[App], None], **options: Any) -> Iterator[int]:
    """An App in a thread of its own."""
    ready = threading.Event()
    made: list[Any] = []

    def main() -> None:
        app = App(**options)
        build(app)
        app.listen(0, lambda config: made.append(config.port))
        made.append(app)
        app.on_start(ready.set)
        asyncio.run(app.serve())

    thread = threading.Thread(target=main, daemon=True)
    thread.start()
    assert ready.wait(PATIENCE)
    try:
        yield made[0]
    finally:
        made[1].close()
        thread.join()


@contextlib.contextmanager
def interface(kind: Any, application: Any, **options: Any) -> Iterator[int]:
    ports: list[int] = []
    server = kind(application, **options)
    server.listen(AppListenOptions(host="127.0.0.1"), lambda config: ports.append(config.port))
    server.run(block=False)
    try:
        yield ports[0]
    finally:
        # Its thread would keep the process.
        server.close()


def main() -> None:
    limits = Limits(header_timeout=2, max_body_size=10**8)
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "file.txt").write_text("content of a file")
        with serving(lambda app: routes(app, directory), limits=limits) as port:
            ask_http(Client(port))
            ask_websockets(Client(port))
        with serving(lambda app: routes(app, directory), accept_proxy_protocol="optional", trusted_proxies="*") as port:
            ask_through_proxies(Client(port))
        files = Files(Path(directory))
        with serving(lambda app: routes(app, directory), options=files.options()) as port:
            client = Client(port, files.client())
            client.ask("TLS", head())
            client.ask("TLS, large", head("GET", "/big"), expect=BIG)
            client.ask("TLS, body", head("POST", "/body", "Content-Length: 5"), b"hello", expect=b"\r\n\r\n5")
            client.ask("TLS websocket", upgrade(), frame(1, b"hello") + CLOSE, expect=b"\x81\x05hello")
            Client(port).ask("no TLS", head(), expect=b"speaks HTTPS")
    for kind, application, options in (
        (ASGI, asgi, {}),
        (WSGI, wsgi, {}),
        (WSGI, wsgi, {"threads": 2}),
    ):
        with interface(kind, application, **options) as port:
            ask_interface(Client(port), kind.__name__)
    print(f"{len(done)} kinds of exchange")


main()
