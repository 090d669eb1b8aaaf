"""Template engines behind res.render."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import httpx
import pytest

from socketify import Jinja2Template, MakoTemplate


@pytest.mark.parametrize(
    ("engine", "text"), [(Jinja2Template, "<p>{{ name }}</p>"), (MakoTemplate, "<p>${name}</p>")], ids=["jinja2", "mako"]
)
def test_rendering_escapes(serve: Callable[..., Any], tmp_path: Path, engine: Any, text: str) -> None:
    (tmp_path / "page.html").write_text(text)

    def build(app: Any) -> None:
        app.template(engine(tmp_path))
        app.get("/", lambda res, req: res.render("page.html", name=req.get_query("name")))
        app.get("/missing", lambda res, _req: res.render("missing.html"))

    url = serve(build).url
    got = httpx.get(url, params={"name": "<é>"})
    assert (got.text, got.headers["content-type"]) == ("<p>&lt;é&gt;</p>", "text/html; charset=utf-8")
    assert httpx.get(url + "/missing").status_code == 500
    with pytest.raises(FileNotFoundError, match="nowhere"):
        engine(tmp_path / "nowhere")
