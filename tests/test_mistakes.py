"""The usual mistakes: each message names the mistake, the place and the way out, and docs/errors.md has it."""

from __future__ import annotations

import asyncio
import functools
import re
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from socketify import ASGI, SSGI, WSGI, App, AppListenOptions, Response, ResponseCompression, middleware, serve
from socketify.core.blocking import blocking_place
from socketify.system.thread_stacks import CodePlace, stacks_of_threads

PROGRAM = """
import asyncio
import time

from socketify import App, middleware

app = App(debug=True)


def twice(res, req):
    res.end("first")
    res.end("second")


async def not_awaited(res, req):
    body = res.get_json()
    res.end(body)


async def late(res, req):
    res.end("answered")
    await res.get_json()


async def answer(res):
    res.end("never")


def never_begun(res, req):
    answer(res)


def refuse(res, req, data=None):
    return None


async def blocking(res, req):
    time.sleep(0.5)
    res.end("slow")


app.get("/twice", twice).post("/not-awaited", not_awaited).post("/late", late)
app.get("/never-begun", never_begun).get("/blocking", blocking).get("/refused", middleware(refuse, twice))


async def asgi(scope, receive, send):
    pass


def wsgi(environ, start_response):
    time.sleep(0.4)
    start_response("200 OK", [])
    return [b"slow"]


def made(app):
    app.post("/not-awaited", not_awaited)


def with_one(res):
    res.end("x")
"""
LINES = {text.strip(): number for number, text in enumerate(PROGRAM.splitlines(), 1)}
INDEX = (Path(__file__).parents[1] / "docs" / "errors.md").read_text()


def in_index(message: str) -> bool:
    """Return whether the page has the message; an ellipsis stands for what is different each time."""
    entries = [re.escape(each).replace(r"\.\.\.", ".*") for each in re.findall(r"^\| `(.+?)` \|", INDEX, re.MULTILINE)]
    return any(re.search(each, message) for each in entries)


@pytest.fixture
def main(tmp_path: Path) -> str:
    (tmp_path / "main.py").write_text(PROGRAM)
    (tmp_path / "flasks.py").write_text("from flask import Flask, request\n\napplication = Flask('x')\n")
    return "main:app"


#: What the command is given, and what it says.
STARTS = [
    (["maim:app"], "there is no module 'maim' (looked in FOLDER first); did you mean main?"),
    (["other:app"], "there is no module 'other' (looked in FOLDER first); --app-dir names another folder"),
    (
        ["main.py:app"],
        "there is no module 'main.py' (looked in FOLDER first); modules are named without path and '.py', as in main:app",
    ),
    (["main"], "'main' must be module:attribute, as in main:app"),
    (["main:ap"], "module 'main' has no attribute 'ap' in FILE; did you mean main:app?"),
    (["main:wit"], "module 'main' has no attribute 'wit' in FILE; did you mean main:with_one?"),
    (["flasks:app"], "module 'flasks' has no attribute 'app' in FOLDER/flasks.py; did you mean flasks:application?"),
    (["flasks:xyz"], "module 'flasks' has no attribute 'xyz' in FOLDER/flasks.py; did you mean flasks:application or "),
    (["main:xyz"], "module 'main' has no attribute 'xyz' in FILE; did you mean main:app or main:twice or main:not_awaited?"),
    (
        ["main:app", "--interface", "asgi"],
        "this is a socketify.App, not an application of ASGI: it is served as it is, by app.run(), "
        "or on the command line without --interface",
    ),
    (
        ["main:asgi", "--interface", "socketify"],
        "an application of the interface socketify is called as app(app), which asgi (main.py, line LINE) does not take: "
        "it needs 3 arguments, as those of asgi do",
    ),
]


@pytest.mark.parametrize(("arguments", "said"), STARTS, ids=[" ".join(arguments) for arguments, _ in STARTS])
def test_starts(main: str, command: Any, tmp_path: Path, arguments: list[str], said: str) -> None:
    running = command(*arguments, "--port", "0")
    assert running.process.wait(20) == 2
    line = str(LINES["async def asgi(scope, receive, send):"])
    said = (
        said.replace("FOLDER/", f"{tmp_path}/")
        .replace("FOLDER", repr(str(tmp_path)))
        .replace("FILE", str(tmp_path / "main.py"))
        .replace("LINE", line)
    )
    assert said in running.said
    assert len(running.said.splitlines()) == 1
    assert in_index(running.said)


def test_a_port_that_is_taken(main: str, command: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        running = command(main, "--port", str(port))
        assert running.process.wait(20) == 2
        with pytest.raises(OSError, match=rf"cannot listen on \*:{port}: the address is taken") as caught:
            ASGI(asgi).listen(port)
    assert f"cannot listen on 127.0.0.1:{port}: the address is taken by another process, which 'ss -ltnp' names" in running.said
    assert "port 0 picks one" in running.said
    assert in_index(running.said)
    assert in_index(str(caught.value))


def test_a_path_that_is_taken(main: str, command: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen()
        running = command(main, "--uds", path)
        assert running.process.wait(20) == 2
        with pytest.raises(OSError, match="cannot listen on Unix socket") as caught:
            ASGI(asgi).listen(AppListenOptions(domain=path))
    for said in (running.said, str(caught.value)):
        assert in_index(said)
        assert "'ss -lxp' names: end that, or choose another path" in said
        assert "port" not in said


@pytest.mark.parametrize("flag", ["--reload", "--env-file=x", "--print-completion=bash", "--loop=uvloop"])
def test_missing_extras(main: str, command: Any, tmp_path: Path, flag: str) -> None:
    absent = tmp_path / "absent"
    absent.mkdir()
    for name in ("watchfiles", "dotenv", "shtab"):
        (absent / f"{name}.py").write_text("raise ImportError")
    (absent / "sitecustomize.py").write_text("import sys; sys.modules['uvloop'] = None")
    path = f"{absent}:{Path(__file__).parents[1]}"
    running = command(main, "--port", "0", flag, env={"PYTHONPATH": path})
    assert running.process.wait(20) == 2
    extra = "uvloop" if "uvloop" in flag else "cli"
    assert re.search(
        rf'^socketify: {flag.partition("=")[0]}.* needs the package \S+: pip install "socketify\[{extra}\]"$',
        running.said,
        re.M,
    )
    assert in_index(running.said)


@pytest.mark.parametrize(("coding", "extra"), [("br", "brotli"), ("zstd", "zstd")])
def test_missing_coders(monkeypatch: pytest.MonkeyPatch, coding: str, extra: str) -> None:
    for name in ("brotli", "brotlicffi", "compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=rf'needs the package \S+: pip install "socketify\[{extra}\]"$') as caught:
        ResponseCompression(codings=coding)
    assert in_index(str(caught.value))


class Served:
    """The program, and what was said for a request."""

    def __init__(self, running: Any) -> None:
        self.running = running
        self.url = running.url

    def ask(self, target: str, pattern: str, line: str, method: str = "GET") -> int:
        answer = httpx.request(method, self.url + target, content=b"{}" if method == "POST" else None, timeout=20)
        said = self.running.wait_for(f"(?s){pattern}")
        assert in_index(said)
        # With tracebacks, which Python writes as it likes.
        assert re.search(rf'main\.py(", |:|\()(line )?{LINES[line]}\b', self.running.said), self.running.said
        return answer.status_code


@pytest.fixture
def served(main: str, command: Any) -> Iterator[Served]:
    running = command(main, "--port", "0")
    yield Served(running)
    assert running.stop() == 0


def test_answered_twice(served: Served) -> None:
    pattern = "end: the response has ended already: return after the answer, or ask res.has_responded\\(\\) before"
    assert served.ask("/twice", pattern, 'res.end("second")') == 200


def test_a_forgotten_await_of_what_is_sent(served: Served) -> None:
    pattern = "a coroutine cannot be sent: 'await' is missing before get_json\\(...\\)"
    assert served.ask("/not-awaited", pattern, "res.end(body)", "POST") == 500
    assert "never awaited" not in served.running.said


def test_a_forgotten_await_of_what_answers(served: Served) -> None:
    pattern = (
        r"never_begun \(main.py, line \d+\), for GET /never-begun, returned without answering, and nothing holds its response"
    )
    assert served.ask("/never-begun", pattern, "answer(res)") == 500
    assert "coroutine 'answer' was never awaited" in served.running.said


def test_a_chain_that_ends_without_an_answer(served: Served) -> None:
    assert httpx.get(served.url + "/refused", timeout=20).status_code == 500
    places = [
        f"{name} \\(main.py, line {LINES[f'def {name}(res, req{more}):']}\\)"
        for name, more in (("refuse", ", data=None"), ("twice", ""))
    ]
    chain = f"the chain of {', '.join(places)}, for GET /refused, "
    assert in_index(served.running.wait_for(chain + "returned without answering, and nothing holds its response"))


def test_a_body_that_is_read_after_the_answer(served: Served) -> None:
    pattern = "get_json: the response has ended already, and the body of its request is gone: read it before the answer"
    assert served.ask("/late", pattern, "await res.get_json()", "POST") == 200


def test_a_blocking_call(served: Served) -> None:
    pattern = r"the event loop is blocked at [^\n]*main.py:\d+ in blocking: time.sleep\(0.5\)"
    assert served.ask("/blocking", pattern, "time.sleep(0.5)") == 200


def test_the_flag_debugs_apps_that_do_not_say(command: Any, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(PROGRAM.replace("debug=True", ""))
    for arguments, env, is_debugged in (
        (["--debug"], {}, True),
        (["--debug", "--workers", "2"], {}, True),
        ([], {"SOCKETIFY_DEBUG": "yes"}, True),
        ([], {"SOCKETIFY_DEBUG": "no"}, False),
    ):
        running = command("main:made" if "--workers" in arguments else "main:app", "--port", "0", *arguments, env=env)
        answer = httpx.post(running.url + "/not-awaited", content=b"{}", timeout=20)
        assert answer.status_code == 500
        assert ("line" in answer.text) == is_debugged
        if not is_debugged:
            # It is over when this is answered, and would have been said before.
            assert httpx.get(running.url + "/blocking", timeout=20).text == "slow"
            assert "blocked" not in running.said
        assert running.stop() == 0


def test_a_loop_that_waits_is_not_blocked() -> None:
    loop = asyncio.SelectorEventLoop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        assert thread.ident is not None
        stack: list[CodePlace] = []
        while not stack or stack[0].function != "select":
            stack = stacks_of_threads().get(thread.ident, [])
        assert blocking_place(stack) is None
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


def test_a_wsgi_application_may_block(main: str, command: Any) -> None:
    running = command("main:wsgi", "--port", "0", "--debug")
    assert httpx.get(running.url, timeout=20).text == "slow"
    assert running.stop() == 0
    assert "blocked" not in running.said


async def asgi(_scope: Any, _receive: Any, _send: Any) -> None:
    """Do nothing."""


def with_one(res: Response) -> None:
    res.end("x")


def with_three(res: Response, _req: Any, data: str) -> None:
    res.end(data)


class Handlers:
    def method(self, res: Response) -> None:
        res.end("x")

    def __call__(self, res: Response) -> None:
        res.end("x")


ONE = r"which {} \(test_mistakes.py, line \d+\) does not take: too many positional arguments"


@pytest.mark.parametrize(
    ("handler", "name"),
    [
        (with_one, "with_one"),
        (Handlers().method, "Handlers.method"),
        (Handlers(), "Handlers"),
        (functools.partial(with_one), "with_one"),
        (lambda: None, ".*<lambda>"),
    ],
)
def test_handlers_with_the_wrong_arguments(handler: Any, name: str) -> None:
    app = App()
    try:
        for add in (lambda: app.get("/", handler), lambda: app.router().get("/")(handler)):
            with pytest.raises(TypeError, match=r"handler is called as handler\(res, req\), " + ONE.format(name)) as caught:
                add()
            assert in_index(str(caught.value))
        if name == "with_one":
            with pytest.raises(TypeError, match=r"middleware is called as middleware\(res, req\), "):
                middleware(handler)
        if name == ".*<lambda>":
            with pytest.raises(TypeError, match=r"middleware is called as middleware\(res, req, data\), "):
                middleware(lambda res, req, data, more: None)
    finally:
        app.close()


def test_other_handlers_with_the_wrong_arguments() -> None:
    app = App()
    try:
        with pytest.raises(
            TypeError, match=r"message is called as message\(ws, message, opcode\), " + ONE.format(".*")
        ) as caught:
            app.ws("/", {"message": lambda ws, message: None})
        assert in_index(str(caught.value))
        with pytest.raises(TypeError, match=r"error handler is called as error handler\(error, res, req\)"):
            app.on_error(lambda error: None)
        with pytest.raises(TypeError, match=r"handler is called as handler\(\), .* missing a required argument: 'app'"):
            app.on_start(lambda app: None)  # type: ignore[arg-type]
        for router in (app.router(), app.router("", lambda _res, _req: True)):
            with pytest.raises(TypeError, match=r"upgrade is called as upgrade\(res, req, socket_context\)"):
                router.ws("/", {"upgrade": lambda res, req: None, "message": lambda *_: None})
            with pytest.raises(ValueError, match="upgrade must be a function, not 1"):
                router.ws("/", {"upgrade": 1, "message": lambda *_: None})
        for listening, message in (
            (lambda: None, r"handler is called as handler\(config\)"),
            (1, "must be callable .*, not 1"),
        ):
            for listens in (app, ASGI(asgi)):
                with pytest.raises(TypeError, match=message):
                    listens.listen(0, listening)  # type: ignore[arg-type]
            with pytest.raises(TypeError, match=message):
                serve(asgi, port=0, workers=2, on_listen=listening)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"middleware is called as middleware\(res, req\)"):
            app.router("", lambda res: True).ws("/", {"message": lambda *_: None})
        with pytest.raises(TypeError, match="missing a required argument: 'user'"):
            app.get("/", lambda res, req, user: None)  # type: ignore[misc, arg-type]
    finally:
        app.close()


def test_handlers_that_take_anything_or_do_not_tell(serve: Any) -> None:
    @functools.wraps(with_one)
    def wrapper(*arguments: Any) -> None:
        with_one(arguments[0])

    class Opaque:
        __signature__ = "nothing"

        def __call__(self, res: Response, _req: Any) -> None:
            res.end("x")

    class Static:
        @staticmethod
        def __call__(res: Response, _req: Any) -> None:
            res.end("x")

    class OfClass:
        @classmethod
        def __call__(cls, res: Response, _req: Any) -> None:
            res.end("x")

    class Proxy:
        """Refers to a function that is there when it is called."""

        def __getattr__(self, name: str) -> Any:
            message = f"nothing is behind it yet: {name}"
            raise RuntimeError(message)

        def __call__(self, res: Response, _req: Any) -> None:
            res.end("x")

    @functools.wraps(with_three)
    def narrow(res: Response, req: Any) -> None:
        with_three(res, req, "x")

    handlers: list[Any] = [
        wrapper,
        Opaque(),
        functools.partial(lambda x, res, _: res.end(x), "x"),
        Static(),
        OfClass(),
        Proxy(),
        middleware(Static()),
        middleware(lambda _res, _req: "x", narrow),
        middleware(lambda _res, _req: "x", functools.partial(with_three)),
    ]

    def add(app: App) -> None:
        for number, handler in enumerate(handlers):
            app.get(f"/{number}", handler)

    server = serve(add)
    assert [httpx.get(f"{server.url}/{number}").text for number in range(len(handlers))] == ["x"] * len(handlers)


@pytest.mark.parametrize("server", [ASGI, WSGI, SSGI])
def test_an_app_where_another_application_was_meant(server: Any) -> None:
    app = App()
    with pytest.raises(TypeError, match=f"this is a socketify.App, not an application of {server.__name__}") as caught:
        server(app)
    app.close()
    assert in_index(str(caught.value))
