"""Clients that people have, over HTTP/2 to a server: curl, nghttp, h2load, Node's http2 and httpx. Over TLS, and in clear."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any, Callable, NamedTuple

import httpx
import pytest
from app_servers import TLS
from tls_files import Files

from socketify import App, Request, Response

BODY = bytes(range(256)) * 1000
LARGE = 3_000_000

pytestmark = pytest.mark.skipif(TLS is not None, reason="has certificates of its own")


def routes(app: App) -> None:
    app.get("/", lambda res, _req: res.write_header("x-name", "value").end("hello"))
    app.get("/large", lambda res, _req: res.end(b"x" * LARGE))
    app.post("/refuses", lambda res, _req: res.write_status(403).end("no"))
    app.post("/echo", echo)
    app.put("/echo", echo)
    app.get("/streams", streams)


async def echo(res: Response, _req: Request) -> None:
    res.end((await res.get_data()).getvalue())


def streams(res: Response, _req: Request) -> None:
    for number in range(10):
        res.write(f"{number}\n" * 1000)
    res.end("end")


class Place(NamedTuple):
    url: str
    ca_file: str

    @property
    def is_secure(self) -> bool:
        return self.url.startswith("https")


@pytest.fixture(params=["clear", "tls"])
def place(request: Any, serve: Callable[..., Any], tmp_path: Path) -> Place:
    files = Files(tmp_path)
    server = serve(routes, **({"options": files.options()} if request.param == "tls" else {}))
    return Place(server.url, files.ca_file)


def ended(*command: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    # What is loaded into this process for its checks is not for others.
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    process = subprocess.run(command, input=given, capture_output=True, timeout=60, check=False, env=environment)
    assert process.returncode == 0, process.stderr
    return process


def run(*command: str) -> bytes:
    return ended(*command).stdout


def curl(place: Place, path: str, *arguments: str, given: bytes = b"") -> tuple[bytes, str]:
    """The body, and the version and status."""
    how = ("--http2", "--cacert", place.ca_file) if place.is_secure else ("--http2-prior-knowledge",)
    written = ("--write-out", "%{stderr}%{http_version} %{http_code}")
    process = ended("curl", "--silent", "--show-error", *how, *written, *arguments, place.url + path, given=given)
    return process.stdout, process.stderr.decode()


def test_curl(place: Place) -> None:
    assert curl(place, "/") == (b"hello", "2 200")
    assert curl(place, "/large") == (b"x" * LARGE, "2 200")
    assert curl(place, "/streams")[1] == "2 200"
    assert curl(place, "/", "--head")[0].startswith(b"HTTP/2 200")
    assert curl(place, "/echo", "--data-binary", "@-", given=BODY) == (BODY, "2 200")
    assert curl(place, "/echo", "--upload-file", "-", given=BODY) == (BODY, "2 200")


def test_curl_waits_for_100_before_it_uploads(place: Place) -> None:
    expects = ("--header", "Expect: 100-continue", "--expect100-timeout", "30", "--data-binary", "@-")
    assert curl(place, "/echo", *expects, given=BODY) == (BODY, "2 200")


def test_an_answer_may_come_before_the_upload_has_ended(place: Place, tmp_path: Path) -> None:
    """The rest is not wanted then (RFC 9113 section 8.1). Debian's curl loses such answers, whatever the server."""
    (tmp_path / "body").write_bytes(BODY * 10)
    assert run("nghttp", "--no-verify-peer", "--data", str(tmp_path / "body"), place.url + "/refuses") == b"no"
    expects = ("--expect-continue", "--data", str(tmp_path / "body"))
    assert run("nghttp", "--no-verify-peer", *expects, place.url + "/refuses") == b"no"


def test_nghttp(place: Place, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(BODY)
    said = run("nghttp", "--null-out", "--verbose", *[place.url + "/large"] * 3, place.url + "/streams").decode()
    assert said.count("; END_STREAM") == 4
    assert "recv RST_STREAM" not in said
    assert "recv GOAWAY" not in said
    for more in ((), ("--padding=100",), ("--no-content-length",), ("--window-bits=10",), ("--header-table-size=0",)):
        assert run("nghttp", "--no-verify-peer", "--data", str(tmp_path / "body"), *more, place.url + "/echo") == BODY
    said = run("nghttp", "--verbose", "--data", str(tmp_path / "body"), "--trailer", "x-sum: 1", place.url + "/echo")
    assert b"recv RST_STREAM" not in said


def test_h2load(place: Place, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"y" * 100)
    said = run("h2load", "-n", "1000", "-c", "4", "-m", "30", place.url).decode()
    assert "1000 succeeded, 0 failed, 0 errored" in said
    said = run("h2load", "-n", "1000", "-c", "4", "-m", "30", "-d", str(tmp_path / "body"), place.url + "/echo").decode()
    assert "1000 succeeded, 0 failed, 0 errored" in said
    said = run("h2load", "-n", "20", "-c", "2", "-m", "5", "-w", "14", "-W", "16", place.url + "/large").decode()
    assert "20 succeeded, 0 failed, 0 errored" in said


#: Requests at once, some with bodies, some that are given up; then what each became.
NODE = """
const http2 = require('http2'), fs = require('fs'), [url, ca] = process.argv.slice(1);
const session = http2.connect(url, {ca: fs.readFileSync(ca)});
const ask = (fields, body, stops) => new Promise((resolve, reject) => {
  const stream = session.request(fields);
  let head, size = 0;
  stream.on('response', got => { head = got; if (stops) stream.close(http2.constants.NGHTTP2_CANCEL); });
  stream.on('data', piece => size += piece.length);
  stream.on('error', reject);
  stream.on('close', () => resolve([head[':status'], size, stream.rstCode, head['x-name'] || '']));
  if (body) { stream.write(body.slice(0, 1000)); setImmediate(() => stream.end(body.slice(1000))); } else stream.end();
});
session.on('error', error => { throw error; });
session.on('goaway', code => { throw new Error('goaway ' + code); });
const all = [];
for (let index = 0; index < 20; ++index) {
  all.push(ask({':path': '/'}));
  all.push(ask({':path': '/echo', ':method': 'POST'}, Buffer.alloc(70000, 'z')));
  all.push(ask({':path': '/echo', ':method': 'POST', 'content-length': 5000}, Buffer.alloc(5000, 'z')));
}
all.push(ask({':path': '/large'}), ask({':path': '/large'}, null, true));
Promise.all(all).then(answers => {
  session.ping((error, _took, payload) => {
    console.log(JSON.stringify([answers, error, session.remoteSettings.enableConnectProtocol]));
    session.close();
  });
});
"""


def test_node(place: Place) -> None:
    answers, error, connects = json.loads(run("node", "-e", NODE, place.url.replace("127.0.0.1", "localhost"), place.ca_file))
    assert error is None
    assert connects
    assert answers[:-1] == [[200, 5, 0, "value"], [200, 70_000, 0, ""], [200, 5000, 0, ""]] * 20 + [[200, LARGE, 0, ""]]
    assert (answers[-1][0], answers[-1][2]) == (200, 8)


def test_httpx(place: Place) -> None:
    context = ssl.create_default_context(cafile=place.ca_file)
    with httpx.Client(http1=place.is_secure, http2=True, verify=context) as client:
        answer = client.get(place.url)
        assert (answer.http_version, answer.text, answer.headers["x-name"]) == ("HTTP/2", "hello", "value")
        assert len(client.get(place.url + "/large").content) == LARGE
        assert client.post(place.url + "/echo", content=BODY).content == BODY
        assert client.post(place.url + "/echo", content=iter([BODY, BODY])).content == BODY * 2
        with client.stream("GET", place.url + "/streams") as answer:
            assert sum(map(len, answer.iter_bytes())) == 20_003
