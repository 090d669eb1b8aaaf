"""Routes that are asked for, added and taken away while a request is on its way through them."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from socketify import App, Request, Response


@pytest.mark.parametrize("pool_items", [0, 8])
def test_parameters_are_the_requests_own(serve: Any, pool_items: int) -> None:
    def first(_res: Response, req: Request) -> None:
        req.allowed_methods()
        assert req.get_parameter(0) == "value"
        req.set_yield(1)

    def last(res: Response, req: Request) -> None:
        before = req.get_parameter(0)
        req.allowed_methods()
        res.end(f"{before} {req.get_parameter(0)} {req.get_parameters()}")

    def build(app: App) -> None:
        app.get("/users/:id", first).get("/:table/:id", last).post("/:one/:two", last).any("/users/:id", first)
        app.domain("here.example").get("/:first/:second", lambda _res, req: (req.allowed_methods(), req.set_yield(1)))

    server = serve(build, request_response_factory_max_items=pool_items)
    with httpx.Client(base_url=server.url) as client:
        for host in ("a", "here.example"):
            assert client.get("/users/value", headers={"Host": host}).text == "users users ['users', 'value']"


def test_nothing_took_the_request(serve: Any) -> None:
    def passing(_res: Response, req: Request) -> None:
        req.allowed_methods()
        req.set_yield(1)

    server = serve(lambda app: app.get("/:a", passing).get("/*", passing).any("/:a", passing))
    assert httpx.get(server.url + "/x").status_code == 404
    assert httpx.head(server.url + "/x").status_code == 404


def test_routes_change_while_a_request_is_on_its_way(serve: Any) -> None:
    def build(app: App) -> None:
        def first(_res: Response, req: Request) -> None:
            app.remove_server_name("here.example")
            for number in range(100):
                app.get(f"/added/{number}", lambda res, _req: res.end("added"))
                app.domain(f"host{number}.example").get("/*", lambda res, _req: res.end("host"))
            app.get("/:one", lambda res, _req: res.end("too late"))
            req.allowed_methods()
            req.set_yield(1)

        domain = app.domain("here.example")
        domain.get("/:one", first).get("/:one", lambda _res, req: req.set_yield(1))
        app.get("/:one", lambda res, req: res.end(f"app {req.get_parameter(0)}"))

    server = serve(build)
    with httpx.Client(base_url=server.url) as client:
        assert client.get("/x", headers={"Host": "here.example"}).text == "app x"
        assert client.get("/added/99").text == "added"
        assert client.get("/", headers={"Host": "host99.example"}).text == "host"
        assert client.get("/x", headers={"Host": "here.example"}).text == "app x"


def test_an_upgrade_handler_asks_and_passes_on(serve: Any) -> None:
    def passing(_res: Response, req: Request, _context: Any) -> None:
        req.allowed_methods()
        assert req.get_parameter(0) == "x"
        req.set_yield(1)

    def build(app: App) -> None:
        app.ws("/:room", {"upgrade": passing, "message": lambda ws, message, opcode: ws.send("first")})
        app.ws("/*", {"message": lambda ws, message, opcode: ws.send(message, opcode)})

    server = serve(build)

    async def main() -> Any:
        async with connect(server.ws_url + "/x") as client:
            await client.send("hello")
            return await client.recv()

    assert asyncio.run(main()) == "hello"


def test_a_close_handler_adds_routes_while_the_app_stops(serve: Any) -> None:
    closed: list[int] = []

    def build(app: App) -> None:
        def close(_ws: Any, code: int, _reason: str) -> None:
            closed.append(code)
            for number in range(100):
                app.ws(f"/more/{len(closed)}/{number}", {"close": close})

        for number in range(3):
            app.ws(f"/{number}", {"close": close})

    server = serve(build, shutdown_timeout=0.3)

    async def main() -> None:
        clients = [await connect(f"{server.ws_url}/{number}") for number in range(3)]
        silent = [await connect(f"{server.ws_url}/{number}") for number in range(3)]
        for each in silent:
            each.transport.pause_reading()
        await asyncio.to_thread(server.stop)
        for each in clients:
            await each.wait_closed()
            assert each.close_code == 1001
        for each in silent:
            each.transport.abort()

    asyncio.run(main())
    assert closed == [1001] * 6
