"""Programs written against the API pass mypy --strict."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio
from collections.abc import Iterator
from typing import Any, Optional, Union

from socketify import App, AppExtension, AppListenOptions, Limits, MiddlewareRouter, Request, Response, middleware, sendfile
from socketify import publish as publish_anywhere

app = App(request_response_factory_max_items=10, limits=Limits(max_body_size=1000))


def fields() -> Iterator[tuple[str, Union[str, bytes, int]]]:
    yield "X-A", 1


def home(res: Response, req: Request) -> None:
    name: Optional[str] = req.get_query("name")
    res.write_status(200).write_header("X", name or "").set_cookie("a", "b", {"path": "/"}).send({"a": 1}, headers=fields())


async def upload(res: Response, req: Request) -> None:
    form = await res.get_form(req)
    if form is not None:
        with form:
            res.send(form.get("a"), "text/plain", 201, [("X", "y"), (b"Z", b"z")])
    ok, done = await res.send_chunk(b"", 0)
    await sendfile(res, req, "/x")
    await asyncio.sleep(0)


@app.on_presence
def changed(topic: str, joined: list[object], left: list[object]) -> None:
    app.publish_here(topic, {"joined": joined})
    publish_anywhere(topic, "x", compress=True)


def extension(request: AppExtension, response: AppExtension, ws: AppExtension) -> None:
    request.property("cart", [])

    @response.method
    def ok(self: Response) -> Response:
        return self.end("ok")


def check(res: Response, req: Request, data: Any = None) -> bool:
    return True


@app.on_error
def report(error: BaseException, res: Optional[Response], req: Optional[Request]) -> None:
    if res is not None:
        res.send(str(error), status="500 Oh no")


@app.on_start
async def start() -> None:
    pass


router = app.router("/api", check)


@router.get("/:id")
async def show(res: Response, req: Request) -> None:
    res.on_aborted(lambda res: None).on_writable(lambda res, offset: None)
    res.on_data(lambda res, chunk, is_end: None)


app.register(extension).get("/", home).post("/", middleware(check, upload)).static("/s", ".")
MiddlewareRouter(app, check).get("/x", home)
app.domain("example.org").get("/", home)
app.listen(AppListenOptions(port=0, host="127.0.0.1"), lambda config: print(config.port))
app.run()
"""


def test_a_program_passes_strict_checks(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(tmp_path / "program.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    assert (done.stdout, done.returncode) == ("", 0)
