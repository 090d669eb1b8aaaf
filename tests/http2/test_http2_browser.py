"""Chromium: a page with many images and a websocket is served on one connection of HTTP/2."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from app_servers import TLS, ASGIServer
from browser import start_chromium
from tls_files import Files

pytestmark = pytest.mark.skipif(TLS is not None, reason="has a certificate of its own")

IMAGES = 200
#: Loads its images, speaks over a websocket, and reports what it saw.
PAGE = """<!doctype html><title>test</title><script>
const load = number => new Promise((resolve, reject) => {
  const image = new Image();
  image.onload = () => resolve(image.width);
  image.onerror = () => reject(new Error('image ' + number));
  image.src = '/image/' + number;
});
const talk = () => new Promise((resolve, reject) => {
  const websocket = new WebSocket('wss://' + location.host + '/websocket'), got = [];
  websocket.onopen = () => { websocket.send('hello'); websocket.send('x'.repeat(70000)); };
  websocket.onmessage = event => { got.push(event.data.length); if (got.length == 2) websocket.close(4000, 'bye'); };
  websocket.onclose = event => resolve([got, event.code, event.wasClean]);
  websocket.onerror = () => reject(new Error('websocket'));
});
(async () => {
  let report;
  try {
    performance.setResourceTimingBufferSize(1000);
    const widths = await Promise.all([...Array(IMAGES).keys()].map(load));
    const websocket = await talk();
    const posted = await (await fetch('/echo', {method: 'POST', body: 'y'.repeat(300000)})).text();
    const entries = performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'));
    report = {widths, websocket, posted: posted.length, protocols: entries.map(each => each.nextHopProtocol)};
  } catch (error) { report = {error: String(error)}; }
  await fetch('/report', {method: 'POST', body: JSON.stringify(report)});
})();
</script>""".replace("IMAGES", str(IMAGES))
IMAGE = b'<svg xmlns="http://www.w3.org/2000/svg" width="7" height="7"><!--' + b"x" * 2000 + b"--></svg>"


class Application:
    """Notes who asks, and by which version."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, str, int]] = set()
        self.report: Any = None
        self.reported = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        self.seen.add((scope["type"], scope["http_version"], scope["client"][1]))
        if scope["type"] == "websocket":
            await self._echo(receive, send)
        elif scope["path"].startswith("/image/"):
            await asyncio.sleep(0.01)
            await self._answer(send, b"image/svg+xml", IMAGE)
        elif scope["method"] == "POST":
            body = await self._body(receive)
            if scope["path"] == "/report":
                self.report = json.loads(body)
            await self._answer(send, b"text/plain", body)
            if scope["path"] == "/report":
                self.reported.set()
        else:
            await self._answer(send, b"text/html", PAGE.encode())

    async def _body(self, receive: Any) -> bytes:
        parts, more = [], True
        while more:
            message = await receive()
            parts.append(message["body"])
            more = message["more_body"]
        return b"".join(parts)

    async def _answer(self, send: Any, kind: bytes, body: bytes) -> None:
        headers = [(b"content-type", kind), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _echo(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({**message, "type": "websocket.send"})


def test_a_page_and_its_websocket_share_a_connection(tmp_path: Path) -> None:
    application = Application()
    server = ASGIServer(application, options=Files(tmp_path).options())
    output = tmp_path / "output"
    try:
        arguments = ("--ignore-certificate-errors", f"https://localhost:{server.port}/")
        with start_chromium(tmp_path, output, *arguments) as process:
            found = application.reported.wait(60)
            process.terminate()
            process.wait(20)
        assert found, (application.seen, output.read_text()[-2000:])
    finally:
        server.server.close()
    report = application.report
    assert "error" not in report, report
    assert report["widths"] == [7] * IMAGES
    assert report["websocket"] == [[5, 70_000], 4000, True]
    assert report["posted"] == 300_000
    assert len(report["protocols"]) >= IMAGES + 2
    assert set(report["protocols"]) == {"h2"}
    # One connection: the socket of the client is the same everywhere.
    ports = {port for _, _, port in application.seen}
    assert application.seen == {(kind, "2", port) for kind in ("http", "websocket") for port in ports}
    assert len(ports) == 1
