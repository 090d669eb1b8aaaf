"""Handlers that keep responses and requests past their end never see or touch what belongs to others."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import Client, served

actions = st.lists(
    st.tuples(
        st.sampled_from(["answer", "keep", "late", "preserve", "async", "abort", "yield_kept"]),
        st.integers(0, 2**32),
        st.booleans(),
    ),
    min_size=1,
    max_size=25,
)


class Kept:
    """What handlers kept, with what each knew when it was kept."""

    def __init__(self) -> None:
        self.items: list[tuple[Any, Any, str, bool]] = []
        self.wrong: list[str] = []

    def check(self, seed: int) -> None:
        """Use what is kept as a wrong program would."""
        for res, req, identity, preserved in random.Random(seed).sample(self.items, len(self.items)):
            try:
                seen = req.get_header("x-id")
                if seen != identity or not preserved:
                    self.wrong.append(f"a kept request of {identity} gave {seen}")
            except RuntimeError:
                if preserved:
                    self.wrong.append(f"the preserved request of {identity} is gone")
            if not res.has_responded():
                self.wrong.append(f"the kept response of {identity} is alive")
            for call in (
                lambda res=res: res.end("stolen"),
                lambda res=res: res.write("stolen"),
                lambda res=res: res.send("stolen"),
            ):
                try:
                    call()
                except RuntimeError:
                    continue
                if not res.aborted:
                    self.wrong.append(f"a late call on {identity} said nothing")


@pytest.fixture(scope="module", params=[0, 8], ids=["pools off", "pools on"])
def setup(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Kept]]:
    kept = Kept()

    def identity(req: Any) -> str:
        return str(req.get_header("x-id"))

    def keep(res: Any, req: Any) -> None:
        kept.items.append((res, req, identity(req), False))
        res.end(identity(req))

    def preserve(res: Any, req: Any) -> None:
        kept.items.append((res, req.preserve(), identity(req), True))
        res.end(identity(req))

    def late(res: Any, req: Any) -> None:
        kept.check(int(req.get_query("seed")))
        res.end(identity(req))

    async def slow(res: Any, req: Any) -> None:
        await asyncio.sleep(0.001)
        name = identity(req)
        kept.items.append((res, req, name, True))
        res.end(name)

    async def abandoned(res: Any, req: Any) -> None:
        name = identity(req)
        await asyncio.sleep(0.05)
        if not res.aborted:
            res.end(name)

    def build(app: Any) -> None:
        app.get("/answer", lambda res, req: res.end(identity(req)))
        app.get("/keep", keep).get("/preserve", preserve).get("/late", late).get("/async", slow).get("/abort", abandoned)
        app.get("/yield_kept", lambda _res, req: req.set_yield(1)).any("/yield_kept", keep)

    with served(build, request_response_factory_max_items=request.param) as server:
        yield server, kept


@given(plan=actions)
def test_nobody_sees_what_belongs_to_others(setup: Any, plan: Any) -> None:
    server, kept = setup
    kept.items.clear()
    kept.wrong.clear()
    client = Client(server)
    for number, (action, seed, fresh) in enumerate(plan):
        if fresh or not client.reusable:
            client.__exit__()
            client = Client(server)
        name = f"{number}-{seed}"
        headers = [("X-Id", name)]
        if action == "abort":
            with server.connect() as connection:
                connection.sendall(f"GET /abort HTTP/1.1\r\nHost: a\r\nX-Id: {name}\r\n\r\n".encode())
                time.sleep(0.001)
            continue
        got = client.request(f"/{action}?seed={seed}", headers=headers)
        assert got is not None
        assert (got.status, got.body.decode()) == (200, name)
    client.__exit__()
    assert not kept.wrong, kept.wrong
