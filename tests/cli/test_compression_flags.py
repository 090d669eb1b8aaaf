"""The flags about compression of responses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from socketify import ResponseCompression
from socketify.cli.arguments import parse_arguments
from socketify.cli.compression import compression_of

SHOP = """
async def asgi(scope, receive, send):
    if scope["type"] == "http":
        fields = [[b"content-type", scope["query_string"]]]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": b"text" * 300})

def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", environ["QUERY_STRING"])])
    return [b"text" * 300]

async def ssgi(type, server_address, remote_address, method, path, query_string, get_header, res):
    res.send_headers([("Content-Type", query_string)]).send(b"text" * 300)

def run(app):
    app.get("/", lambda res, req: res.send(b"text" * 300, req.get_full_url().partition("?")[2]))

def made():
    from socketify import App
    return App()
"""


@pytest.mark.parametrize("name", ["asgi", "wsgi", "ssgi", "run"])
def test_every_interface_compresses(command: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "shop.py").write_text(SHOP)
    running = command(f"shop:{name}", "--port", "0", "--compress", "--compress-types", "application/*,text/a")
    fields = {"accept-encoding": "gzip"}
    for query, coding in (("application/x", "gzip"), ("text/a", "gzip"), ("text/b", None)):
        got = httpx.get(f"{running.url}/?{query}", headers=fields)
        assert (got.headers.get("content-encoding"), got.text) == (coding, "text" * 300)
    assert running.stop() == 0


def test_what_the_flags_say() -> None:
    assert compression_of(parse_arguments(["app:asgi"], {})) is False
    assert compression_of(parse_arguments(["app:asgi", "--compress"], {})) == ResponseCompression()
    assert compression_of(parse_arguments(["app:asgi"], {"SOCKETIFY_COMPRESS": "yes"})) == ResponseCompression()
    flags = "--compress-codings br,gzip --compress-types text/* --compress-minimum-size 5 --compress-zstd-level 1"
    flags += " --compress-br-level 2 --compress-gzip-level 3"
    given = compression_of(parse_arguments(["app:asgi", "--compress", *flags.split()], {}))
    assert given == ResponseCompression(("br", "gzip"), ("text/*",), 5, 1, 2, 3)


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ("--compress maybe", "must be True or False"),
        ("--compress --compress-codings gzip,lzma", "codings must be some of zstd, br, gzip"),
        ("--compress --compress-types text", "media_types must be such as"),
        ("--compress --compress-minimum-size few", "must be an int, not 'few'"),
        ("--compress --compress-gzip-level 10", "gzip_level must be from 1 to 9"),
        ("--compress-br-level 5", "--compress-br-level needs --compress"),
    ],
)
def test_wrong_flags(capsys: pytest.CaptureFixture[str], flags: str, text: str) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse_arguments(["app:asgi", *flags.split()], {})
    assert exit_.value.code == 2
    assert text in capsys.readouterr().err


def test_an_app_has_its_own(command: Any, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SHOP)
    running = command("shop:made", "--factory", "--port", "0", "--compress")
    running.process.wait(20)
    running.wait_for("--compress cannot change it")
