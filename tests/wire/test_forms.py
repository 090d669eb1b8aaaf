"""Forms: urlencoded and multipart, files to disk, limits, and what clients get wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

import httpx
import pytest

from socketify import App, Request, Response
from socketify.wire import form_parser


async def _form(res: Response, req: Request) -> None:
    form = await res.get_form(req, max_files=2, max_file_size=2_000_000)
    assert form is not None
    with form:
        res.send(
            {
                "fields": form.fields,
                "files": [[f.name, f.filename, f.content_type, f.size, len(f.file.read())] for f in form.files],
                "first": form.get("a"),
                "all": form.get_list("a"),
                "octets": [[name, value.hex()] for name, value in form.octets],
                "bytes": (form.get_bytes("o") or b"").hex(),
            }
        )


async def _urlencoded(res: Response, _req: Request) -> None:
    res.send(await res.get_form_urlencoded())


@pytest.fixture
def url(serve: Callable[..., Any]) -> str:
    return str(serve(lambda app: app.post("/", _form).post("/urlencoded", _urlencoded)).url)


def test_urlencoded(url: str) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    got = httpx.post(url, content="a=1&a=%C3%A9+x&b=", headers=headers).json()
    assert (got["fields"], got["all"]) == ([["a", "1"], ["a", "é x"], ["b", ""]], ["1", "é x"])
    assert httpx.post(url + "/urlencoded", content="a=1&a=2&b=+").json() == {"a": "1", "b": " "}
    assert httpx.post(url + "/urlencoded", content="a=%ff").status_code == 400
    assert httpx.post(url + "/urlencoded", content=b"a=\xff").status_code == 400
    assert httpx.post(url + "/urlencoded", content="&".join(["a=1"] * 2000)).status_code == 400


def test_multipart(url: str) -> None:
    files = {"f": ("é.txt", b"x" * 1_500_000, "text/x"), "g": ("empty", b"")}
    got = httpx.post(url, data={"a": ["1", "2"]}, files=files).json()
    assert (got["fields"], got["first"]) == ([["a", "1"], ["a", "2"]], "1")
    assert got["files"][0] == ["f", "é.txt", "text/x", 1_500_000, 1_500_000]
    assert got["files"][1][3:] == [0, 0]


def part(head: str, value: bytes) -> bytes:
    return b"--b\r\nContent-Disposition: form-data; name=" + head.encode() + b"\r\n\r\n" + value + b"\r\n"


def ask(url: str, *parts: bytes) -> httpx.Response:
    headers = {"content-type": "multipart/form-data; boundary=b"}
    return httpx.post(url, content=b"".join(parts) + b"--b--\r\n", headers=headers)


@pytest.mark.parametrize(
    ("charset", "value"),
    [
        ("iso-8859-1", b"caf\xe9"),
        ('"ISO-8859-1"', b"caf\xe9"),
        ("utf-16le", "café".encode("utf-16le")),
        ("UTF-8", "café".encode()),
    ],
)
def test_charset_of_a_part(url: str, charset: str, value: bytes) -> None:
    got = ask(url, part(f"a\r\nContent-Type: text/plain; charset={charset}", value)).json()
    assert got["fields"] == [["a", "café"]]


@pytest.mark.parametrize(
    ("charset", "value", "said"),
    [
        ("us-ascii", b"\xff", "field 'a' of the form is not us-ascii"),
        ("none", b"x", "field 'a' of the form has an unknown charset"),
        ("base64", b"eA==", "has an unknown charset"),
        ("punycode", b"x" * 1_000_000, "has an unknown charset"),
        ("unicode_escape", b"x", "has an unknown charset"),
        ("a\0b", b"x", ""),
    ],
)
def test_charset_that_is_none(url: str, charset: str, value: bytes, said: str) -> None:
    response = ask(url, part(f"a\r\nContent-Type: text/plain; charset={charset}", value))
    assert (response.status_code, said in response.text) == (400, True)


def test_field_that_is_no_text(url: str) -> None:
    kinds = ("application/octet-stream", "Application/Octet-Stream", "image/png")
    parts = [part(f"o\r\nContent-Type: {kind}", b"\xff\x00%d" % i) for i, kind in enumerate(kinds)]
    got = ask(url, part("a", b"text"), *parts, part("j\r\nContent-Type: application/json", b"{}")).json()
    assert got["octets"] == [["o", "ff0030"], ["o", "ff0031"], ["o", "ff0032"]]
    assert got["bytes"] == "ff0030"
    assert got["fields"] == [["a", "text"], ["j", "{}"]]


HIDING = """
import sys, multipart
assert not hasattr(multipart, "PushMultipartParser")
from socketify.wire.forms import FormReader
reader = FormReader("multipart/form-data; boundary=b", 1, None)
reader.feed(b'--b\\r\\nContent-Disposition: form-data; name=a\\r\\n\\r\\nx\\r\\n--b--\\r\\n')
print(reader.finish().fields, sys.modules["multipart"].__file__)
"""


def test_multipart_that_is_hidden_by_python_multipart(tmp_path: Path) -> None:
    """python-multipart 0.0.12 and before brings a folder of the same name, which is found first."""
    package = tmp_path / "multipart" / "__init__.py"
    package.parent.mkdir()
    package.write_text("from .multipart import parse_options_header\n")
    (tmp_path / "multipart" / "multipart.py").write_text("def parse_options_header(value): return value, {}\n")
    root = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join(filter(None, (str(tmp_path), root, os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", HIDING], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == f"[('a', 'x')] {package}\n", done.stderr


def test_multipart_that_is_not_there(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "multipart", ModuleType("multipart"))
    monkeypatch.setattr(form_parser, "_files", list)
    with pytest.raises(ImportError, match=r"pip install 'multipart>=1.2' 'python-multipart>=0.0.13'"):
        form_parser.load_parser()


def test_limits(url: str) -> None:
    assert httpx.post(url, files={"f": ("f", b"x" * 2_000_001)}).status_code == 413
    assert httpx.post(url, files=[("f", ("f", b"x"))] * 3).status_code == 413
    assert httpx.post(url, data={"a": "x" * 1_100_000}, files={"f": ("f", b"")}).status_code == 413
    assert httpx.post(url, data={"a": "x" * 1_100_000}).status_code == 413


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("text/plain", b"x", 415),
        (None, b"x", 415),
        ("multipart/form-data", b"x", 400),
        ("multipart/form-data; boundary=b", b"", 400),
        ("multipart/form-data; boundary=b", b"nonsense", 400),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\ncut', 400),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--b--\r\n',
            400,
        ),
    ],
)
def test_what_is_no_form(url: str, content_type: Any, body: bytes, status: int) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    assert httpx.post(url, content=body, headers=headers).status_code == status


def test_saving_a_file(serve: Callable[..., Any], tmp_path: Path) -> None:
    async def save(res: Response, req: Request) -> None:
        form = await res.get_form(req)
        assert form is not None
        with form:
            file = form.get_file("f")
            assert file is not None
            await file.save(str(tmp_path / "saved"))
        res.end("saved")

    def build(app: App) -> None:
        app.post("/", save)

    content = bytes(range(256)) * 4000
    assert httpx.post(serve(build).url, files={"f": ("../../evil", content)}).text == "saved"
    assert (tmp_path / "saved").read_bytes() == content
