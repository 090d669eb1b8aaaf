"""Programs written against the API pass mypy and pyright: one with all types, strictly, and the examples as they are."""

from __future__ import annotations

import importlib.util
import json
import shutil
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


ROOT = Path(__file__).parents[1]
#: Of any version; what has no types is a program's own matter.
LENIENT = ("--config-file", "", "--check-untyped-defs", "--ignore-missing-imports", "--python-version", "3.10")
STRICT = {"typeCheckingMode": "strict", "reportUnusedVariable": False, "extraPaths": [str(ROOT)]}

with_mypy = pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")
# Where there is no Node.js, it would download one.
with_pyright = pytest.mark.skipif(
    importlib.util.find_spec("pyright") is None or shutil.which("node") is None, reason="pyright or Node.js is not installed"
)


def said_by(*command: str) -> tuple[str, int]:
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False, cwd=ROOT)
    return done.stdout, done.returncode


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path / "program.py"


@with_mypy
def test_a_program_passes_strict_checks_of_mypy(program: Path) -> None:
    assert said_by("mypy", "--strict", "--no-error-summary", str(program)) == ("", 0)


@with_mypy
def test_examples_pass_mypy() -> None:
    files = [str(each) for each in sorted((ROOT / "examples").rglob("*.py"))]
    assert said_by("mypy", *LENIENT, "--no-error-summary", *files) == ("", 0)


@with_pyright
def test_a_program_passes_strict_checks_of_pyright(program: Path) -> None:
    settings = program.with_name("pyrightconfig.json")
    settings.write_text(json.dumps(STRICT))
    said, status = said_by("pyright", "--project", str(settings), "--pythonpath", sys.executable)
    assert status == 0, said


@with_pyright
def test_examples_pass_pyright() -> None:
    said, status = said_by("pyright", "--pythonpath", sys.executable)
    assert status == 0, said
