"""The status page in a browser, while a server is used. With SOCKETIFY_PICTURES its pictures for docs/ are written there."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from browser import Browser
from cli_command import Command
from websockets.sync.client import connect

PROGRAM = """
import asyncio, random

async def order(res, req):
    await asyncio.sleep(random.uniform(0.002, 0.03))
    res.send(b"x" * random.randrange(4000))

def fail(res, req):
    res.write_status(503).end("not today")

def run(app):
    app.get("/orders/:id", order)
    app.get("/stock", lambda res, req: res.end("7"))
    app.get("/payment", fail)
    app.ws("/chat", {"message": lambda ws, message, opcode: ws.send(message, opcode)})
"""

#: Of a bigger test only where pictures are made.
PICTURES = os.environ.get("SOCKETIFY_PICTURES")
SECONDS = 20 if PICTURES else 0


class Visitors:
    """Threads that use the server until they are stopped."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=each) for each in (self._ask, self._ask, self._ask, self._chat)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(20)

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url) as client:
            number = 0
            while not self._stopping.is_set():
                number += 1
                client.get("/payment" if number % 31 == 0 else "/stock" if number % 3 else f"/orders/{number}")
                if number % 47 == 0:
                    client.get("/nowhere")
                time.sleep(0.002)

    def _chat(self) -> None:
        with connect(self._url.replace("http", "ws", 1) + "/chat") as websocket:
            while not self._stopping.is_set():
                websocket.send("hello")
                websocket.recv(timeout=10)
                time.sleep(0.01)


@pytest.fixture
def metrics_url(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "program.py").write_text(PROGRAM)
    command = Command(
        tmp_path, "program:run", "--port", "0", "--workers", "2", "--metrics", "127.0.0.1:0", "--interface", "socketify"
    )
    visitors = Visitors(command.url)
    yield "http://" + command.wait_for(r"metrics on ([\d.:]+)") + "/"
    visitors.stop()
    assert command.stop() == 0


def look(browser: Browser, url: str, width: int, height: int, scheme: str) -> Any:
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.call("Page.navigate", url=url)
    browser.wait_for("typeof events !== 'undefined' && events.length >= 3")
    time.sleep(SECONDS)
    facts = browser.evaluate(
        """({
            state: document.getElementById("state").textContent,
            legends: [...document.querySelectorAll(".legend")].map((each) => each.innerText),
            routes: document.getElementById("routes").innerText,
            processes: document.getElementById("workers").rows.length - 1,
            background: getComputedStyle(document.body).backgroundColor,
            color: getComputedStyle(document.body).color,
            wide: document.scrollingElement.scrollWidth - innerWidth,
            drawn: PLOTS.map((plot) => new Set(new Uint32Array(plot.canvas.getContext("2d")
                .getImageData(0, 0, plot.canvas.width, plot.canvas.height).data.buffer)).size),
        })"""
    )
    if PICTURES:
        Path(PICTURES, f"status-{scheme}.png").write_bytes(browser.picture())
    return facts


def brightness(color: str) -> float:
    return sum(int(each) for each in color[len("rgb(") : -1].split(",")) / 3


def test_it_shows_what_happens_on_a_desk_and_on_a_phone(tmp_path: Path, metrics_url: str) -> None:
    with Browser(tmp_path) as browser:
        desk = look(browser, metrics_url, 1200, 1000, "light")
        phone = look(browser, metrics_url, 360, 800, "dark")
        for facts in (desk, phone):
            assert facts["state"] == "ready"
            assert facts["processes"] == 3
            assert "/orders/:id" in facts["routes"]
            assert "/payment" in facts["routes"]
            requests, errors, latency = facts["legends"][:3]
            assert requests.startswith("2xx ")
            assert "2xx 0" not in requests
            assert "5xx" in errors
            assert " ms" in latency or " µs" in latency
            # More than a background and a frame in each.
            assert min(facts["drawn"][:5]) > 3
            assert facts["wide"] <= 0
        assert brightness(desk["background"]) > 200 > 100 > brightness(desk["color"])
        assert brightness(phone["background"]) < 50 < 200 < brightness(phone["color"])
        asked = {parameters["request"]["url"] for method, parameters in browser.events if method == "Network.requestWillBeSent"}
        assert asked - {"data:,"} == {metrics_url, metrics_url + "events"}
        wrong = [each for each in browser.events if each[0] in ("Runtime.exceptionThrown", "Log.entryAdded")]
        assert not wrong


def test_nothing_else_may_be_loaded_into_it(metrics_url: str) -> None:
    answer = httpx.get(metrics_url)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; ")
    with httpx.stream("GET", metrics_url + "events") as events:
        assert events.headers["content-type"] == "text/event-stream"
        assert next(events.iter_lines()).startswith('data: {"time":')
