"""Stores that take their time, or fail: answers wait for what they depend on."""

from __future__ import annotations

import asyncio
import threading
import weakref
from contextlib import suppress
from typing import Any, Callable, Optional

import httpx
import pytest
from capabilities import counts_references
from websocket_crowd import until

from socketify import App, MiddlewareRouter
from socketify.sessions import MemoryStore, Sessions
from socketify.testing import AsyncTestClient, TestClient

HTTPS = "https://testserver"


class SlowStore(MemoryStore):
    """Saves when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_save: Optional[asyncio.Event] = None
        self.fails = False
        #: Contents that were to be saved so far.
        self.waiting = 0

    async def save(self, key: str, content: bytes, seconds: int) -> None:
        self.waiting += 1
        if self.may_save is not None:
            await self.may_save.wait()
        if self.fails:
            message = "the store is away"
            raise ConnectionError(message)
        await super().save(key, content, seconds)


def slow(app: App, store: SlowStore) -> None:
    routes = MiddlewareRouter(app, Sessions(store=store))

    def count(res: Any, req: Any) -> None:
        req.session["visits"] = req.session.get("visits", 0) + 1
        res.send({"visits": req.session["visits"]})

    def short(res: Any, req: Any) -> None:
        req.session["short"] = True
        res.end("short")

    async def later(res: Any, req: Any) -> None:
        await asyncio.sleep(0)
        req.session["later"] = True
        res.end("later")

    async def login(res: Any, req: Any) -> None:
        req.session["user"] = "Ann"
        req.session.regenerate()
        await req.session.save()
        res.end("in")

    def stream(res: Any, req: Any) -> None:
        req.session["streamed"] = True
        res.write("a piece")
        res.end()

    def elsewhere(answer: Callable[[Any], object]) -> Callable[[Any, Any], None]:
        def unless_it_failed(res: Any) -> None:
            with suppress(RuntimeError):
                answer(res)

        def handler(res: Any, req: Any) -> None:
            req.session["elsewhere"] = True
            threading.Thread(target=unless_it_failed, args=(res,)).start()

        return handler

    routes.get("/count", count).get("/short", short).get("/later", later).get("/login", login).get("/stream", stream)
    routes.get("/thread/end", elsewhere(lambda res: res.end("of a thread")))
    routes.get("/thread/send", elsewhere(lambda res: res.send("of a thread")))
    routes.get("/all", lambda res, req: res.send(dict(req.session)))
    routes.get("/untouched", lambda res, req: res.end("untouched"))


#: Answers that are sent as a whole.
WHOLE = ("/count", "/short", "/later", "/thread/end", "/thread/send")


def test_the_answer_waits_for_what_is_saved() -> None:
    async def main() -> None:
        store = SlowStore()
        store.may_save = asyncio.Event()
        async with AsyncTestClient(lambda app: slow(app, store), HTTPS) as client:
            asked = [asyncio.ensure_future(client.get(path)) for path in WHOLE]
            # What is streamed begins at once, and so does what has nothing to save.
            assert (await client.get("/stream")).text == "a piece"
            await until(lambda: store.waiting > len(WHOLE))
            assert (await client.get("/untouched", headers={"Cookie": "session=none"})).text == "untouched"
            assert not any(each.done() for each in asked)
            store.may_save.set()
            assert [(await each).status_code for each in asked] == [200] * len(WHOLE)
            assert (await client.get("/all")).json()

    asyncio.run(main())


def test_a_request_waits_for_what_the_one_before_saves() -> None:
    async def main() -> None:
        store = SlowStore()
        async with AsyncTestClient(lambda app: slow(app, store), HTTPS) as client:
            await client.get("/count")
            store.may_save = asyncio.Event()
            await client.get("/stream")
            asked = asyncio.ensure_future(client.get("/all"))
            await client.get("/untouched", headers={"Cookie": "session=none"})
            assert not asked.done()
            store.may_save.set()
            assert (await asked).json() == {"visits": 1, "streamed": True}

    asyncio.run(main())


def test_an_answer_waits_for_two_stores() -> None:
    async def main() -> None:
        first, second = SlowStore(), SlowStore()
        first.may_save, second.may_save = asyncio.Event(), asyncio.Event()
        of_first, of_second = Sessions(store=first), Sessions(store=second, cookie="second")

        def write(_res: Any, req: Any) -> bool:
            req.session["seen"] = True
            return True

        def run(app: App) -> None:
            MiddlewareRouter(app, of_first, write, of_second, write).get("/", lambda res, req: res.end("both"))
            app.get("/other", lambda res, req: res.end("other"))

        async with AsyncTestClient(run, HTTPS) as client:
            asked = asyncio.ensure_future(client.get("/"))
            await until(lambda: first.waiting and second.waiting)
            first.may_save.set()
            assert (await client.get("/other")).text == "other"
            assert not asked.done()
            second.may_save.set()
            got = await asked
            assert (got.text, set(got.cookies)) == ("both", {"session", "second"})

    asyncio.run(main())


@counts_references
def test_nothing_is_left_of_a_client_that_leaves_meanwhile() -> None:
    async def main() -> None:
        store = SlowStore()
        store.may_save = asyncio.Event()
        left: list[weakref.ref[Any]] = []

        def follow(res: Any, _req: Any) -> bool:
            res.on_aborted(lambda res: left.append(weakref.ref(res)))
            return True

        def run(app: App) -> None:
            MiddlewareRouter(app, follow, Sessions(store=store)).get("/", lambda res, req: res.send(visit(req)))

        def visit(req: Any) -> int:
            req.session["visits"] = req.session.get("visits", 0) + 1
            return int(req.session["visits"])

        async with AsyncTestClient(run, HTTPS) as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.get("/", timeout=httpx.Timeout(10, read=0.05))
            await until(lambda: left)
            store.may_save.set()
            assert (await client.get("/")).json() == 1
            assert left[0]() is None

    asyncio.run(main())


@pytest.mark.parametrize("at_once", [True, False])
def test_what_cannot_be_saved_is_no_answer(at_once: bool) -> None:
    async def main() -> None:
        store = SlowStore()
        store.fails = True
        store.may_save = None if at_once else asyncio.Event()
        async with AsyncTestClient(lambda app: slow(app, store), HTTPS, raise_server_exceptions=False) as client:
            for path in WHOLE:
                asked = asyncio.ensure_future(client.get(path))
                await client.get("/untouched")
                if store.may_save is not None:
                    store.may_save.set()
                failed = await asked
                assert failed.status_code == 500
                # What another thread composes meanwhile may have it, which does no harm.
                assert "/thread/" in path or "set-cookie" not in failed.headers
            store.fails = False
            assert (await client.get("/count")).json()["visits"] == 1

    asyncio.run(main())


def test_a_store_that_fails() -> None:
    store = SlowStore()
    store.fails = True
    with TestClient(lambda app: slow(app, store), HTTPS) as client:
        with pytest.raises(ConnectionError):
            client.get("/login")
        store.fails = False
        assert client.get("/all").json() == {}


@pytest.mark.parametrize("end", ["/logout", "/login"])
def test_a_request_that_takes_longer_does_not_bring_back_what_was_ended(end: str) -> None:
    async def main() -> None:
        has_begun, may_end = asyncio.Event(), asyncio.Event()

        def run(app: App) -> None:
            slow(app, store)

            async def long(res: Any, req: Any) -> None:
                req.session["long"] = True
                has_begun.set()
                await may_end.wait()
                res.end("long")

            def logout(res: Any, req: Any) -> None:
                req.session.clear()
                res.end("out")

            MiddlewareRouter(app, Sessions(store=store)).get("/long", long).get("/logout", logout)

        store = SlowStore()
        async with AsyncTestClient(run, HTTPS) as client:
            await client.get("/count")
            before = {"Cookie": f"session={client.cookies['session']}"}
            client.cookies.clear()
            asked = asyncio.ensure_future(client.get("/long", headers=before))
            await has_begun.wait()
            assert (await client.get(end, headers=before)).status_code == 200
            client.cookies.clear()
            may_end.set()
            assert (await asked).text == "long"
            client.cookies.clear()
            assert (await client.get("/all", headers=before)).json() == {}

    asyncio.run(main())
