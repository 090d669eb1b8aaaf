"""Sessions in signed cookies, and in stores."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from http.cookies import SimpleCookie
from types import SimpleNamespace
from typing import Any, Callable, Optional

import httpx
import pytest

from socketify import App, MiddlewareRouter
from socketify.sessions import MemoryStore, Sessions
from socketify.testing import TestClient

SECRET, OTHER = "a" * 32, "b" * 40
HTTPS = "https://testserver"


def build(app: App, sessions: Sessions) -> None:
    routes = MiddlewareRouter(app, sessions)

    def count(res: Any, req: Any) -> None:
        req.session["visits"] = req.session.get("visits", 0) + 1
        res.send({"visits": req.session["visits"], "new": req.session.is_new})

    def nested(res: Any, req: Any) -> None:
        req.session.setdefault("list", []).append(1)
        res.send(req.session["list"])

    def fail(_res: Any, req: Any) -> None:
        req.session["failed"] = True
        message = "of the handler"
        raise LookupError(message)

    async def later(res: Any, req: Any) -> None:
        await asyncio.sleep(0)
        req.session["later"] = 1
        res.write("pieces")
        res.end()

    async def login(res: Any, req: Any) -> None:
        req.session["user"] = req.get_query("user")
        req.session.regenerate()
        await req.session.save()
        res.end("in")

    def logout(res: Any, req: Any) -> None:
        req.session.clear()
        res.end("out")

    def big(res: Any, req: Any) -> None:
        req.session["big"] = os.urandom(4000).hex()
        res.end("big")

    def wrong(res: Any, req: Any) -> None:
        req.session["wrong"] = object()
        res.end("wrong")

    def no_name(res: Any, req: Any) -> None:
        req.session[7] = "wrong"
        res.end("wrong")

    routes.get("/count", count).get("/nested", nested).get("/fail", fail).get("/later", later).get("/login", login)
    routes.get("/logout", logout).get("/big", big).get("/wrong", wrong).get("/no-name", no_name)
    routes.get("/all", lambda res, req: res.send(dict(req.session)))
    routes.get("/untouched", lambda res, req: res.end("untouched"))
    routes.get("/varies", lambda res, req: res.write_header("Vary", "Cookie").send(dict(req.session)))


KINDS: dict[str, Callable[..., Sessions]] = {
    "cookie": lambda **options: Sessions(SECRET, **options),
    "store": lambda **options: Sessions(store=MemoryStore(), **options),
}


@pytest.fixture(params=KINDS)
def new(request: pytest.FixtureRequest) -> Callable[..., Sessions]:
    return KINDS[request.param]


def client_of(sessions: Sessions, **options: Any) -> TestClient:
    return TestClient(lambda app: build(app, sessions), HTTPS, **options)


def cookie_of(response: httpx.Response) -> Optional[Any]:
    fields = response.headers.get_list("set-cookie")
    assert len(fields) <= 1
    return SimpleCookie(fields[0])["session"] if fields else None


def test_what_is_kept(new: Callable[..., Sessions]) -> None:
    with client_of(new()) as client:
        assert client.get("/count").json() == {"visits": 1, "new": True}
        assert client.get("/count").json() == {"visits": 2, "new": False}
        assert client.get("/nested").json() == [1]
        assert client.get("/nested").json() == [1, 1]
        assert client.get("/later").text == "pieces"
        assert client.get("/all").json() == {"visits": 2, "list": [1, 1], "later": 1}
        client.cookies.clear()
        assert client.get("/all").json() == {}


def test_the_cookie(new: Callable[..., Sessions]) -> None:
    with client_of(new(max_age=1000, path="/", domain="testserver.local", same_site="strict")) as client:
        cookie = cookie_of(client.get("/count"))
    assert cookie is not None
    assert (cookie["path"], cookie["domain"], cookie["max-age"]) == ("/", "testserver.local", "1000")
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == (True, True, "Strict")


def test_it_is_sent_when_it_changes(new: Callable[..., Sessions]) -> None:
    with client_of(new()) as client:
        untouched = client.get("/untouched")
        assert cookie_of(untouched) is None
        assert "vary" not in untouched.headers
        empty = client.get("/all")
        assert (cookie_of(empty), empty.headers["vary"]) == (None, "Cookie")
        assert client.get("/varies").headers.get_list("vary") == ["Cookie"]
        assert cookie_of(client.get("/count")) is not None
        assert cookie_of(client.get("/all")) is None
        assert cookie_of(client.get("/untouched")) is None


def test_errors_keep_it_too(new: Callable[..., Sessions]) -> None:
    with client_of(new(), raise_server_exceptions=False) as client:
        assert client.get("/fail").status_code == 500
        assert client.get("/all").json() == {"failed": True}


def test_logout(new: Callable[..., Sessions]) -> None:
    with client_of(new()) as client:
        client.get("/count")
        kept = client.cookies["session"]
        cookie = cookie_of(client.get("/logout"))
        assert cookie is not None
        assert cookie["max-age"] == "0"
        assert "session" not in client.cookies
        assert client.get("/all").json() == {}
        if len(kept) == 43:
            # What was on the server is gone, for who kept the cookie as well.
            assert client.get("/all", headers={"Cookie": f"session={kept}"}).json() == {}


def test_login_changes_the_cookie(new: Callable[..., Sessions]) -> None:
    with client_of(new()) as client:
        client.get("/count")
        before = client.cookies["session"]
        assert client.get("/login?user=Ann").text == "in"
        assert client.cookies["session"] != before
        assert client.get("/all").json() == {"visits": 1, "user": "Ann"}
        if len(before) == 43:
            assert client.get("/all", headers={"Cookie": f"session={before}"}).json() == {}


@pytest.mark.parametrize("value", ["", "x", "x" * 43, "é", "x" * 3000, "a.b.c", '"quoted"'])
def test_a_cookie_that_is_none_is_an_empty_session(new: Callable[..., Sessions], value: str) -> None:
    with client_of(new()) as client:
        got = client.get("/count", headers={"Cookie": f"session={value}".encode()})
        assert got.json() == {"visits": 1, "new": True}
        cookie = cookie_of(got)
        assert cookie is not None
        assert cookie.value != value


def test_a_changed_cookie_is_an_empty_session() -> None:
    with client_of(Sessions(SECRET)) as client:
        client.get("/count")
        content, rest = client.cookies["session"].split(".", 1)
        for changed in (f"{content[:-1]}A.{rest}", f"{content}.{rest[:-2]}AA"):
            assert client.get("/all", headers={"Cookie": f"session={changed}"}).json() == {}
    with client_of(Sessions(OTHER)) as client:
        assert client.get("/all", headers={"Cookie": f"session={content}.{rest}"}).json() == {}
    with client_of(Sessions(SECRET, cookie="other")) as client:
        assert client.get("/all", headers={"Cookie": f"other={content}.{rest}"}).json() == {}


def test_secrets_can_be_replaced() -> None:
    with client_of(Sessions(SECRET)) as client:
        client.get("/count")
        cookies = client.cookies
    with client_of(Sessions([OTHER, SECRET.encode()]), cookies=cookies) as client:
        assert client.get("/count").json() == {"visits": 2, "new": False}
        cookies = client.cookies
    with client_of(Sessions(OTHER), cookies=cookies) as client:
        assert client.get("/count").json() == {"visits": 3, "new": False}


def test_they_end(new: Callable[..., Sessions], monkeypatch: pytest.MonkeyPatch) -> None:
    passed = 0.0
    clock = SimpleNamespace(time=lambda: time.time() + passed, monotonic=lambda: time.monotonic() + passed)
    for module in (
        "socketify.sessions.memory_store",
        "socketify.sessions.stored_sessions",
        "socketify.sessions.cookie_sessions",
    ):
        monkeypatch.setattr(f"{module}.time", clock)
    monkeypatch.setattr("itsdangerous.timed.time", clock)
    with client_of(new(max_age=100)) as client:
        client.get("/count")
        first = client.cookies["session"]
        passed = 50
        assert client.get("/all").json() == {"visits": 1}
        passed = 120
        assert client.get("/all").json() == {"visits": 1}, "it was renewed when it was used"
        passed = 230
        cookies = {"Cookie": f"session={client.cookies.get('session') or first}"}
        assert client.get("/all", headers=cookies).json() == {}


def test_any_text(new: Callable[..., Sessions]) -> None:
    def run(app: App) -> None:
        async def keep(res: Any, req: Any) -> None:
            req.session["text"] = await res.get_json()
            res.end("kept")

        routes = MiddlewareRouter(app, new())
        routes.post("/keep", keep).get("/", lambda res, req: res.send(ascii(req.session["text"])))

    with TestClient(run, HTTPS) as client:
        for text in ("é", "\U0001f600", "\ud800", '";,\\', "\x00\n"):
            assert client.post("/keep", content=json.dumps(text)).text == "kept"
            assert client.get("/").text == ascii(text)


def test_what_cannot_be_kept(new: Callable[..., Sessions]) -> None:
    with client_of(new()) as client:
        with pytest.raises(TypeError, match="JSON"):
            client.get("/wrong")
        with pytest.raises(TypeError, match="names of a session"):
            client.get("/no-name")


def test_too_large_for_a_cookie() -> None:
    with client_of(Sessions(SECRET)) as client, pytest.raises(ValueError, match="in a store"):
        client.get("/big")
    with client_of(KINDS["store"]()) as client:
        client.get("/big")
        assert len(client.get("/all").json()["big"]) == 8000


def test_data_of_other_middlewares_is_passed_on() -> None:
    def run(app: App) -> None:
        routes = app.router("", lambda res, req: "Ann", Sessions(SECRET))
        routes.get("/")(lambda res, req, name: res.end(f"{name} {len(req.session)}"))

    with TestClient(run) as client:
        assert client.get("/").text == "Ann 0"


def test_typed() -> None:
    sessions = Sessions(SECRET)

    def run(app: App) -> None:
        MiddlewareRouter(app, sessions).get("/", lambda res, req: res.send(dict(sessions.of(req))))
        app.get("/without", lambda res, req: res.send(dict(sessions.of(req))))

    with TestClient(run) as client:
        assert client.get("/").json() == {}
        with pytest.raises(RuntimeError, match="among the middlewares"):
            client.get("/without")


def test_websockets() -> None:
    sessions = Sessions(store=MemoryStore())

    def run(app: App) -> None:
        build(app, sessions)

        def upgrade(res: Any, req: Any, context: Any) -> None:
            req.session["sockets"] = req.session.get("sockets", 0) + 1
            fields = (req.get_header(f"sec-websocket-{name}") for name in ("key", "protocol", "extensions"))
            res.upgrade(*fields, context, dict(req.session))

        app.router("", sessions).ws("/ws", {"upgrade": upgrade, "message": lambda ws, *_: ws.send(ws.get_user_data())})

    with TestClient(run, HTTPS) as client:
        client.get("/count")
        for number in (1, 2):
            with client.websocket_connect("/ws") as websocket:
                websocket.send("who?")
                assert websocket.receive_json() == {"visits": 1, "sockets": number}
        client.cookies.clear()
        with client.websocket_connect("/ws"):
            pass
        assert client.get("/all").json() == {"sockets": 1}


def test_memory_is_bounded() -> None:
    async def main() -> None:
        store = MemoryStore(max_sessions=2)
        for key in "ab":
            await store.save(key, key.encode(), 10)
        assert await store.load("a") == b"a"
        await store.save("c", b"c", 10)
        assert [await store.load(key) for key in "abc"] == [b"a", None, b"c"]
        await store.save("a", b"a", 0)
        assert await store.load("a") is None
        await store.delete("c")
        await store.delete("c")
        assert await store.load("c") is None

    asyncio.run(main())


def test_memory_of_several_threads() -> None:
    store = MemoryStore(max_sessions=1)
    failures: list[BaseException] = []

    async def use(name: str) -> None:
        for _ in range(20_000):
            await store.save(name, b"", 10)
            await store.load("a")
            await store.delete("b")

    def run(name: str) -> None:
        try:
            asyncio.run(use(name))
        except BaseException as error:
            failures.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=run, args=(name,)) for name in "aabb"]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    finally:
        sys.setswitchinterval(interval)
    assert failures == []


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, TypeError, "one of both"),
        ({"secret": SECRET, "store": MemoryStore()}, TypeError, "one of both"),
        ({"secret": "short"}, ValueError, "32 characters"),
        ({"secret": [SECRET, "short"]}, ValueError, "32 characters"),
        ({"secret": []}, ValueError, "32 characters"),
        ({"secret": 7}, TypeError, "secret must be str"),
        ({"store": MemoryStore}, TypeError, "as MemoryStore\\(\\) is"),
        ({"store": object()}, TypeError, "load, save, delete"),
        ({"secret": SECRET, "cookie": "__Host-a", "domain": "a.example"}, ValueError, "no domain"),
        ({"secret": SECRET, "cookie": "__Secure-a", "secure": False}, ValueError, "secure=True"),
        ({"secret": SECRET, "max_age": 0}, ValueError, "max_age"),
        ({"secret": SECRET, "max_age": "1"}, ValueError, "max_age"),
        ({"secret": SECRET, "cookie": "a b"}, ValueError, "cookie name"),
        ({"secret": SECRET, "path": "a"}, ValueError, "path"),
        ({"secret": SECRET, "same_site": "maybe"}, ValueError, "same_site"),
        ({"secret": SECRET, "same_site": "none", "secure": False}, ValueError, "secure"),
    ],
)
def test_mistakes(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Sessions(**arguments)
    with pytest.raises(ValueError, match="max_sessions"):
        MemoryStore(0)
