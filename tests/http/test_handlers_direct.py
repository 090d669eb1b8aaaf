"""Handlers that the native side calls by itself, with a response and a request that serve one request after the other."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import weakref
from typing import Any

import httpx
import pytest
from app_servers import HTTP_2
from late_event import LateEvent

from socketify import App, Request, Response
from socketify.native import capabilities


def test_nothing_of_a_request_is_seen_by_the_next_one(serve: Any) -> None:
    def handler(res: Response, req: Request) -> None:
        if req.get_query("first") is not None:
            req.preserve()
            res.set_cookie("name", "value", {})
            res.write_status(201).write_header("X-First", "1").end("first")
        else:
            res.end(req.get_full_url())

    server = serve(lambda app: app.get("/", handler))
    with httpx.Client(base_url=server.url) as client:
        for _ in range(3):
            first, second = client.get("/?first=1"), client.get("/?second=1")
            assert (first.status_code, first.text, first.headers["x-first"]) == (201, "first", "1")
            assert (second.status_code, second.text) == (200, "/?second=1")
            assert not {"x-first", "set-cookie"} & set(second.headers)


def test_what_a_handler_keeps_is_its_own(serve: Any) -> None:
    kept: list[tuple[Response, Request]] = []

    def handler(res: Response, req: Request) -> None:
        kept.append((res, req.preserve()))
        res.end("kept")

    server = serve(lambda app: app.get("/:name", handler))
    with httpx.Client(base_url=server.url) as client:
        assert [client.get(f"/{name}").text for name in "abc"] == ["kept"] * 3
    assert [req.get_parameter(0) for _, req in kept] == ["a", "b", "c"]
    assert len({id(res) for res, _ in kept}) == 3
    with pytest.raises(RuntimeError, match="ended"):
        kept[0][0].end("again")


def test_requests_meet_while_a_handler_waits(serve: Any) -> None:
    async def main(base: str, gate: LateEvent) -> None:
        async with httpx.AsyncClient(base_url=base) as client:
            waiting = [asyncio.create_task(client.get(f"/wait/{number}")) for number in range(5)]
            await asyncio.sleep(0.1)
            assert (await client.get("/now/x")).text == "x"
            await client.get("/open")
            assert [(await each).text for each in waiting] == [str(number) for number in range(5)]

    gate = LateEvent()

    async def wait(res: Response, req: Request) -> None:
        name = req.get_parameter(1)
        if req.get_parameter(0) == "wait":
            await gate.wait()
        assert req.get_parameter(1) == name
        res.end(name)

    def build(app: App) -> None:
        app.get("/open", lambda res, _req: (gate.set(), res.end(""))[1])
        app.get("/:kind/:name", wait)

    asyncio.run(main(serve(build).url, gate))


def test_an_error_leaves_nothing_behind(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    def handler(res: Response, req: Request) -> None:
        res.write_header("X-A", "a")
        if req.get_query("error") is not None:
            raise ValueError(req.get_query("error"))
        res.end("fine")

    server = serve(lambda app: app.get("/", handler))
    with httpx.Client(base_url=server.url) as client:
        for _ in range(3):
            failed = client.get("/?error=wrong")
            assert (failed.status_code, "x-a" in failed.headers) == (500, False)
            assert client.get("/").headers["x-a"] == "a"
    assert sum("ValueError: wrong" in (record.exc_text or str(record.exc_info)) for record in caplog.records) <= 3
    assert [record.exc_info[1].args for record in caplog.records if record.exc_info] == [("wrong",)] * 3


def test_a_handler_that_does_not_answer_gets_500(serve: Any) -> None:
    server = serve(lambda app: [app.get("/", lambda _res, _req: None), app.get("/fine", lambda res, _req: res.end("fine"))])
    with httpx.Client(base_url=server.url) as client:
        for _ in range(3):
            assert client.get("/").status_code == 500
            assert client.get("/fine").text == "fine"


def test_requests_are_passed_on(serve: Any) -> None:
    def first(res: Response, req: Request) -> None:
        if req.get_query("on") is None:
            res.end("first")
        else:
            req.set_yield(1)

    server = serve(lambda app: [app.get("/", first), app.get("/", lambda res, _req: res.end("second"))])
    with httpx.Client(base_url=server.url) as client:
        assert [client.get(path).text for path in ("/?on=1", "/", "/?on=1", "/")] == ["second", "first"] * 2


@pytest.mark.parametrize("result", [None, 1, "text", [1], object(), Ellipsis])
def test_what_a_handler_returns_means_nothing(serve: Any, result: Any) -> None:
    def handler(res: Response, _req: Request) -> Any:
        res.end("answer")
        return result

    server = serve(lambda app: app.get("/", handler))
    assert [httpx.get(server.url).text for _ in range(2)] == ["answer"] * 2


def test_end_in_every_form(serve: Any) -> None:
    forms = {
        "/none": lambda res: res.end(),
        "/text": lambda res: res.end("é"),
        "/bytes": lambda res: res.end(b"\xff"),
        "/keyword": lambda res: res.end(message="keyword"),
        "/view": lambda res: res.end(memoryview(b"view")),
        "/json": lambda res: res.end({"a": 1}),
        "/subclass": lambda res: res.end(type("Text", (str,), {})("subclass")),
        "/closes": lambda res: res.end("closes", True),
        "/closes_by_name": lambda res: res.end("closes", end_connection=True),
        "/class": lambda res: Response.end(res, "class"),
        "/head": lambda res: res.write_status(202).end("head"),
    }

    def route(app: App, path: str) -> None:
        app.get(path, lambda res, _req: None if forms[path](res) is res else 1 / 0)

    server = serve(lambda app: [route(app, path) for path in forms])
    answers = {path: httpx.get(server.url + path) for path in forms}
    assert [answers[path].content for path in ("/none", "/text", "/bytes")] == [b"", "é".encode(), b"\xff"]
    assert answers["/view"].text == "view"
    assert answers["/json"].json() == {"a": 1}
    for path in ("/keyword", "/subclass", "/class", "/head"):
        assert answers[path].text == path[1:]
    for path in ("/closes", "/closes_by_name"):
        assert (answers[path].text, answers[path].headers.get("connection")) == ("closes", None if HTTP_2 else "close")
    assert answers["/head"].status_code == 202


@pytest.mark.parametrize(
    ("arguments", "names", "error"),
    [
        (("\ud800",), {}, UnicodeEncodeError),
        (("text", False, 1), {}, TypeError),
        (("text",), {"unknown": 1}, TypeError),
        ((object(),), {}, TypeError),
    ],
)
def test_end_tells_what_is_wrong(serve: Any, arguments: Any, names: Any, error: type[Exception]) -> None:
    seen: list[BaseException] = []

    def handler(res: Response, _req: Request) -> None:
        with pytest.raises(error) as raised:
            res.end(*arguments, **names)
        seen.append(raised.value)
        res.end("fine")

    server = serve(lambda app: app.get("/", handler))
    assert httpx.get(server.url).text == "fine"
    assert len(seen) == 1


def test_end_looks_like_the_method_it_is() -> None:
    assert list(inspect.signature(Response.end).parameters) == ["self", "message", "end_connection"]
    assert "Send the response" in str(Response.end.__doc__)


@pytest.mark.skipif(not capabilities.members, reason="what Python calls by itself looks for attributes, and for no type")
def test_end_is_for_responses_only() -> None:
    with pytest.raises(TypeError):
        Response.end(object(), "text")  # type: ignore[arg-type]


def test_a_client_that_left_is_told_by_aborted(serve: Any) -> None:
    states: list[bool] = []

    async def handler(res: Response, _req: Request) -> None:
        await gone.wait()
        assert res.end("nobody") is res
        states.append(res.aborted)

    def build(app: App) -> None:
        app.get("/", lambda res, _req: (res.on_aborted(lambda _res: gone.set()), handler(res, _req))[1])
        app.get("/states", lambda res, _req: res.end(str(states)))

    gone = LateEvent()
    server = serve(build)
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(server.url, timeout=0.2)
    for _ in range(100):
        if httpx.get(f"{server.url}/states").text == "[True]":
            return
    pytest.fail("the handler did not see that its client left")


@pytest.mark.skipif(not hasattr(sys, "getrefcount"), reason="needs reference counts")
def test_nothing_is_kept_of_many_requests(serve: Any) -> None:
    def handler(res: Response, req: Request) -> Any:
        return res.end(req.get_url()) if req.get_query("x") else res.write_header("a", "b").end("1")

    async def waits(res: Response, _req: Request) -> None:
        await asyncio.sleep(0)
        res.end("waited")

    server = serve(lambda app: [app.get("/", handler), app.get("/waits", waits)])
    with httpx.Client(base_url=server.url) as client:

        def ask() -> None:
            for path in ("/", "/?x=1", "/waits"):
                assert client.get(path).status_code == 200

        ask()
        gc.collect()
        shared = (handler, None, True, False)
        before = [sys.getrefcount(each) for each in shared], sum(issubclass(type(each), Response) for each in gc.get_objects())
        for _ in range(100):
            ask()
        gc.collect()
        after = [sys.getrefcount(each) for each in shared], sum(issubclass(type(each), Response) for each in gc.get_objects())
    assert after[0][0] == before[0][0]
    assert all(late - early < 50 for early, late in zip(before[0], after[0]))
    assert after[1] <= before[1] + 2


def test_an_app_that_was_closed_goes_with_its_handlers() -> None:
    app = App()
    gone = weakref.ref(app)
    app.get("/", lambda res, _req: res.end(str(gone())))
    app.get("/own", app.trigger_error)
    app.close()
    del app
    gc.collect()
    assert gone() is None


@pytest.mark.skipif(not capabilities.members, reason="only where objects begin with their reference count")
def test_one_pair_serves_many_requests(serve: Any) -> None:
    made: set[int] = set()
    server = serve(lambda app: app.get("/", lambda res, _req: (made.add(id(res)), res.end(""))[1]))
    with httpx.Client(base_url=server.url) as client:
        for _ in range(10):
            client.get("/")
    assert len(made) == 1
