"""Requests, responses and websockets that serve one client after the other: who can reach one sees no other client's."""

from __future__ import annotations

import sys
import weakref
from typing import Any, Callable

import httpx
import pytest
from capabilities import lack
from waiting import wait_until
from websockets.sync.client import connect
from wsgi_server import served

from socketify import App, OpCode, Request, Response, WebSocket


@pytest.fixture(params=["native", "python"], autouse=True)
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both who call handlers: the native side, where it reads members of objects, and Python."""
    if request.param == "python":
        lack(monkeypatch, members=False)


def answers(serve: Callable[..., Any], handler: Callable[[Response, Request], Any], paths: list[str]) -> list[str]:
    server = serve(lambda app: app.get("/*", handler))
    with httpx.Client(base_url=server.url) as client:
        return [client.get(path).text for path in paths]


@pytest.mark.skipif(not hasattr(sys, "getrefcount"), reason="needs reference counts")
@pytest.mark.parametrize("what", ["request", "response"])
def test_a_weak_key_is_gone_with_its_request(serve: Any, what: str) -> None:
    users: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()

    def handler(res: Response, req: Request) -> None:
        key = req if what == "request" else res
        before = users.get(key, "nobody")
        users[key] = req.get_url()
        res.end(before)

    assert answers(serve, handler, ["/a", "/b", "/c"]) == ["nobody"] * 3
    # The last one may be answered before its handler has returned.
    wait_until(lambda: not users)


@pytest.mark.skipif(not hasattr(sys, "getrefcount"), reason="needs reference counts")
def test_a_finalizer_is_called_when_its_request_is_over(serve: Any) -> None:
    over: list[str] = []

    def handler(res: Response, req: Request) -> None:
        weakref.finalize(req, over.append, f"req {req.get_url()}")
        weakref.finalize(res, over.append, f"res {req.get_url()}")
        res.end(" ".join(sorted(over)))

    assert answers(serve, handler, ["/a", "/b"]) == ["", "req /a res /a"]


def test_what_a_handler_sets_is_gone_with_the_request(serve: Any) -> None:
    def handler(res: Response, req: Request) -> None:
        was = f"{res.aborted} {type(res).__name__} {type(req).__name__} {req.get_yield()}"
        res.end(was)
        if req.get_url() == "/set":
            res.aborted = True
            res.__class__ = type("Other", (type(res),), {"__slots__": ()})
            req.__class__ = type("Another", (type(req),), {"__slots__": ()})

    as_new = "False Response Request False"
    assert answers(serve, handler, ["/a", "/set", "/b", "/set", "/set"]) == [as_new] * 5


def test_who_says_that_the_client_left_is_believed(serve: Any) -> None:
    late: list[bool] = []

    def handler(res: Response, _req: Request) -> None:
        res.end("fine")
        res.aborted = True
        late.append(res.write("nothing") is res)

    assert answers(serve, handler, ["/a", "/b"]) == ["fine"] * 2
    wait_until(lambda: late == [True] * 2)


def test_a_weak_key_is_gone_with_its_websocket(serve: Any) -> None:
    users: weakref.WeakKeyDictionary[WebSocket, str] = weakref.WeakKeyDictionary()

    def on_message(ws: WebSocket, message: str, _opcode: OpCode) -> None:
        ws.send(f"{users.get(ws, 'nobody')} {type(ws).__name__}", OpCode.TEXT)
        users[ws] = message
        ws.__class__ = type("Other", (type(ws),), {"__slots__": ()})

    def build(app: App) -> None:
        app.ws("/", {"message": on_message})

    server = serve(build)
    for name in "abc":
        with connect(server.ws_url, compression=None) as client:
            client.send(name)
            assert client.recv(timeout=10) == "nobody WebSocket"


def test_a_weak_key_is_gone_with_its_start_response() -> None:
    users: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        before = users.get(start_response, "nobody")
        users[start_response] = environ["PATH_INFO"]
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        before += users.get(write, "")
        users[write] = "write"
        return [before.encode()]

    with served(application) as server, httpx.Client(base_url=server.url) as client:
        assert [client.get(path).text for path in ("/a", "/b", "/c")] == ["nobody"] * 3
