"""Forms: urlencoded and multipart, files to disk, limits, and what clients get wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import httpx
import pytest

from socketify import App, Request, Response


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
