"""Sessions in Redis: two processes' worth of applications that share them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from broker_servers import RedisServer

from socketify import App, MiddlewareRouter
from socketify.sessions import RedisStore, Sessions
from socketify.testing import TestClient

pytestmark = pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
HTTPS = "https://testserver"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as started:
        yield started


def client_of(store: RedisStore) -> TestClient:
    def run(app: App) -> None:
        app.on_shutdown(store.close)
        routes = MiddlewareRouter(app, Sessions(store=store, max_age=100))

        def count(res: Any, req: Any) -> None:
            req.session["visits"] = req.session.get("visits", 0) + 1
            res.send(req.session["visits"])

        def logout(res: Any, req: Any) -> None:
            req.session.clear()
            res.end()

        async def save(res: Any, req: Any) -> None:
            req.session["saved"] = True
            await req.session.save()
            res.end()

        routes.get("/count", count).get("/logout", logout).get("/save", save)

    return TestClient(run, HTTPS)


def test_it_is_shared_and_ends(server: RedisServer) -> None:
    first, second = RedisStore(server.url(""), "s:"), RedisStore(server.url(""), "s:")
    with client_of(first) as one, client_of(second) as two:
        assert one.get("/count").json() == 1
        two.cookies = one.cookies
        assert two.get("/count").json() == 2
        assert one.get("/count").json() == 3
        keys = server.cli("keys", "s:*").split()
        assert len(keys) == 1
        assert one.cookies["session"] not in keys[0]
        assert 90 < int(server.cli("ttl", keys[0])) <= 100
        one.get("/logout")
        assert server.cli("keys", "s:*").split() == []
    # Once more, in another loop.
    with client_of(first) as one:
        assert one.get("/count").json() == 1


def test_a_server_that_is_away() -> None:
    with RedisServer() as server, client_of(RedisStore(server.url(""), "s:")) as client:
        assert client.get("/save").status_code == 200
        server.kill()
        with pytest.raises(Exception, match="onnect"):
            client.get("/count")
        client.cookies.clear()
        with pytest.raises(Exception, match="onnect"):
            client.get("/save")
