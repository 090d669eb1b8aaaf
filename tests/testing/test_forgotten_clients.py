"""Clients of tests that nobody closes."""

from __future__ import annotations

import gc
import sys
import threading
from typing import Any

import httpx
import pytest
from capabilities import counts_references

from socketify import App, Request, Response
from socketify.testing import TestClient


def routes(app: App) -> None:
    def collect(res: Response, _req: Request) -> None:
        gc.collect()
        res.end("collected")

    app.get("/", lambda res, _req: res.end("Hello, World!")).get("/collect", collect)


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "socketify-test"]


def test_the_application_stops() -> None:
    client = TestClient(routes)
    assert client.get("/").text == "Hello, World!"
    serving = threads()
    del client
    gc.collect()
    assert not [each for each in serving if each.is_alive()]


@counts_references
def test_the_application_collects_its_client(monkeypatch: pytest.MonkeyPatch) -> None:
    ignored: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)

    def served() -> int:
        client = TestClient(routes)
        vars(client)["itself"] = client
        return client.port

    gc.disable()
    try:
        port = served()
        serving = threads()
        assert httpx.get(f"http://127.0.0.1:{port}/collect").text == "collected"
    finally:
        gc.enable()
    for each in serving:
        each.join(10)
    assert (ignored, [each for each in serving if each.is_alive()]) == ([], [])
