"""Every public method of requests, responses and websockets, called with all its arguments by name."""

from __future__ import annotations

import inspect
from typing import Any, Callable

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from socketify import App, HTTPError, OpCode, Request, Response, SendStatus, WebSocket

CALLED: set[tuple[type, str]] = set()
KINDS = (Request, Response, WebSocket)


def named(target: Any, method: str, *values: Any) -> Any:
    """Call a method with the values as keywords, under the names that its signature gives them."""
    kind = next(each for each in KINDS if isinstance(target, each))
    function = getattr(target, method)
    names = [name for name, each in inspect.signature(function).parameters.items() if each.kind is not each.VAR_KEYWORD]
    CALLED.add((kind, method))
    return function(**dict(zip(names, values)))


async def stream_form(res: Response, req: Request) -> None:
    with pytest.raises(HTTPError):  # it is urlencoded
        named(res, "stream_form", req, 1, 1)
    res.end("no parts")


async def sse(res: Response, _req: Request) -> None:
    async with named(res, "sse", 15.0, 100, 65536) as events:
        await events.send("data")


async def send_chunk(res: Response, _req: Request) -> None:
    assert await named(res, "send_chunk", b"chunk", 5) == (True, True)


async def get_text(res: Response, _req: Request) -> None:
    res.end(await named(res, "get_text", "latin-1"))


async def get_form_urlencoded(res: Response, _req: Request) -> None:
    res.end(await named(res, "get_form_urlencoded", "utf-8"))


async def get_form(res: Response, req: Request) -> None:
    form = await named(res, "get_form", req, 1, 1)
    res.end(form.get("a"))


async def run_async(res: Response, _req: Request) -> None:
    async def answer() -> None:
        res.end("run")

    named(res, "run_async", answer())


def set_yield(_res: Response, req: Request) -> None:
    named(req, "set_yield", 1)


def on_writable(res: Response, _req: Request) -> None:
    named(res, "on_writable", lambda _res, _offset: None)
    res.end("0")


def cork(res: Response, _req: Request) -> None:
    named(res, "cork", lambda corked: corked.end("corked"))


def on_data(res: Response, _req: Request) -> None:
    named(res, "on_data", lambda _res, chunk, is_end: res.end(chunk) if is_end else None)


def for_each_header(res: Response, req: Request) -> None:
    seen: dict[str, str] = {}
    named(req, "for_each_header", seen.__setitem__)
    res.end(seen["x-a"])


def questions(res: Response, req: Request) -> None:
    res.end(
        [
            named(req, "get_header", "x-a"),
            named(req, "get_query", "q"),
            named(req, "get_query_list", "q"),
            named(req, "get_parameter", 0),
            named(req, "get_cookie", "c"),
        ]
    )


def head(res: Response, _req: Request) -> None:
    named(res, "write_status", 201)
    named(res, "write_header", "X-A", "a")
    named(res, "set_cookie", "c", "v", {"path": "/"})
    named(res, "on_aborted", lambda _res: None)
    named(res, "write_offset", 0)
    named(res, "end", b"head", True)


def written(res: Response, _req: Request) -> None:
    named(res, "write", b"writ")
    named(res, "end", b"ten", False)


def mixed(res: Response, _req: Request) -> None:
    # As programs write it that name what they like and give the rest by position.
    getattr(res, "end")(b"mixed", end_connection=True)  # noqa: B009


HANDLERS: dict[str, tuple[Callable[..., Any], str]] = {
    "end": (lambda res, _req: named(res, "end", "end", False), "end"),
    "cork_end": (lambda res, _req: named(res, "cork_end", b"cork_end", True), "cork_end"),
    "end_without_body": (lambda res, _req: named(res, "end_without_body", True), ""),
    "send": (lambda res, _req: named(res, "send", "send", "text/a", 200, {"X-A": "b"}, False), "send"),
    "cork_send": (lambda res, _req: named(res, "cork_send", b"cork", b"text/a", "200 OK", [("X-A", "b")], True), "cork"),
    "redirect": (lambda res, _req: named(res, "redirect", "/end", 307), "end"),
    "render": (lambda res, _req: (CALLED.add((Response, "render")), res.render("page", who="you"))[1], "page you"),
    "try_end": (lambda res, _req: named(res, "try_end", b"try_end", 7, False), "try_end"),
    "send_chunk": (send_chunk, "chunk"),
    "sse": (sse, "retry: 100\n\ndata: data\n\n"),
    "get_text": (get_text, "a=%C3%A9"),
    "get_form_urlencoded": (get_form_urlencoded, '{"a": "\\u00e9"}'),
    "get_form": (get_form, "é"),
    "stream_form": (stream_form, "no parts"),
    "run_async": (run_async, "run"),
    "on_writable": (on_writable, "0"),
    "cork": (cork, "corked"),
    "on_data": (on_data, "a=%C3%A9"),
    "set_yield": (set_yield, "yielded"),
    "for_each_header": (for_each_header, "b"),
    "head": (head, "head"),
    "written": (written, "written"),
    "mixed": (mixed, "mixed"),
}


class Templates:
    def render(self, name: str, **kwargs: Any) -> str:
        return f"{name} {kwargs['who']}"


def build(app: App) -> None:
    app.template(Templates())
    for name, (handler, _) in HANDLERS.items():
        app.any(f"/{name}", handler)
    app.any("/set_yield", lambda res, _req: res.end("yielded"))
    app.get("/questions/:name", questions)


def test_requests_and_responses(serve: Any) -> None:
    server = serve(build)
    form = {"content": b"a=%C3%A9", "headers": {"content-type": "application/x-www-form-urlencoded", "x-a": "b"}}
    with httpx.Client(base_url=server.url, follow_redirects=True) as client:
        for _ in range(2):
            for name, (_, expected) in HANDLERS.items():
                assert client.post(f"/{name}", **form).text == expected, name
            asked = client.get("/questions/n?q=1", headers={"x-a": "b", "cookie": "c=v"})
            assert asked.json() == ["b", "1", ["1"], "n", "v"]
        answer = client.post("/head")
        assert (answer.status_code, answer.headers["x-a"]) == (201, "a")


def in_upgrade(res: Response, req: Request, context: Any) -> None:
    key = req.get_header("sec-websocket-key")
    named(res, "upgrade", key, None, None, context, "data")


def on_message(ws: WebSocket, message: Any, _opcode: OpCode) -> None:
    if message == "end":
        named(ws, "end", 4001, "over")
        return
    if message == "cork_end":
        named(ws, "cork_end", 4002, b"over")
        return
    assert named(ws, "send", "send", OpCode.TEXT, False, True) is SendStatus.SUCCESS
    assert ws.send(b"mixed", opcode=OpCode.BINARY) is SendStatus.SUCCESS
    named(ws, "cork_send", "cork_send", OpCode.TEXT, False, True)
    named(ws, "send_first_fragment", "frag", OpCode.TEXT, False)
    named(ws, "send_fragment", "men", False)
    named(ws, "send_last_fragment", "ts", False)
    named(ws, "cork", lambda corked: corked.send(ws.get_user_data(), OpCode.TEXT))
    topics: list[str] = []
    assert named(ws, "subscribe", "a") is True
    assert named(ws, "is_subscribed", "a") is True
    named(ws, "for_each_topic", topics.append)
    named(ws, "publish", "a", "published", OpCode.TEXT, False, False)
    named(ws, "publish", "a", "for others", OpCode.TEXT, False, True)
    assert named(ws, "unsubscribe", "a") is True
    named(ws, "send", str(topics), OpCode.TEXT, False, True)


def close_code(client: ClientConnection) -> int:
    try:
        while True:
            client.recv(timeout=10)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd is not None else 1006


def test_websockets(serve: Any) -> None:
    server = serve(lambda app: app.ws("/", {"upgrade": in_upgrade, "message": on_message}))
    for message, code in (("end", 4001), ("cork_end", 4002)):
        with connect(server.ws_url, compression=None) as client:
            client.send("go")
            wanted = ["send", b"mixed", "cork_send", "fragments", "data", "published", "['a']"]
            assert [client.recv(timeout=10) for _ in wanted] == wanted
            client.send(message)
            assert close_code(client) == code


def test_no_public_method_was_left_out() -> None:
    if not CALLED:
        pytest.skip("the other tests of this file did not run")
    expected = set()
    for kind in KINDS:
        for name, member in inspect.getmembers(kind, callable):
            if not name.startswith("_") and len(inspect.signature(member).parameters) > 1:
                expected.add((kind, name))
    assert not expected - CALLED
