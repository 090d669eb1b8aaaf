"""Every difference that docs/migration.md names: what the program before does here, and what the one to write now does."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

PAGE = (Path(__file__).parents[1] / "docs" / "migration.md").read_text()
PREAMBLE = re.search(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SECTION = re.compile(r"^### (.+?)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^(Before|Now):\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECTIONS = {title: dict(BLOCK.findall(text)) for title, text in SECTION.findall(PAGE)}
#: Of which the process is what counts.
CTRL_C = "Ctrl-C is a KeyboardInterrupt"
Case = Callable[["Program", "Program"], None]
CASES: dict[str, Case] = {}


class Program:
    """One of the programs of the page; it is served when it is first asked."""

    def __init__(self, title: str, when: str) -> None:
        assert PREAMBLE is not None
        self.text = PREAMBLE[1] + SECTIONS[title][when]
        self._port = 0
        self._app: Any = None
        self._thread = threading.Thread(target=self._serve)
        self._ready = threading.Event()

    def make(self) -> Any:
        variables: dict[str, Any] = {"__name__": "program"}
        exec(compile(self.text, "program", "exec"), variables)  # noqa: S102 - what the page says is run
        return variables["app"]

    def _serve(self) -> None:
        try:
            self._app = self.make()
            self._app.listen(0, lambda config: setattr(self, "_port", config.port))
            self._app.on_start(self._ready.set)
            asyncio.run(self._app.serve())
        finally:
            self._ready.set()

    @property
    def port(self) -> int:
        if not self._thread.ident:
            self._thread.start()
            assert self._ready.wait(20)
        return self._port

    def ask(self, target: str = "/", method: str = "GET", **more: Any) -> tuple[int, str]:
        answer = httpx.request(method, f"http://127.0.0.1:{self.port}{target}", timeout=20, **more)
        return answer.status_code, answer.text

    def websocket(self) -> Any:
        return connect(f"ws://127.0.0.1:{self.port}/")

    def end(self) -> None:
        if self._thread.ident:
            self._app.close()
            self._thread.join(20)
            assert not self._thread.is_alive()


@pytest.fixture
def programs(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Program, Program]]:
    monkeypatch.chdir(tmp_path)
    before, now = (Program(request.param, when) for when in ("Before", "Now"))
    yield before, now
    before.end()
    now.end()


def case(title: str) -> Callable[[Case], Case]:
    def add(function: Case) -> Case:
        CASES[title] = function
        return function

    return add


FAILED = 500, "Internal Server Error"


@case("Cookies are text")
def _(before: Program, now: Program) -> None:
    cookies = {"headers": {"Cookie": "theme=dark"}}
    assert (before.ask(**cookies), now.ask(**cookies)) == (FAILED, (200, "dark"))


@case("Parameters of a path are decoded")
def _(before: Program, now: Program) -> None:
    for program, twice in ((before, "a b"), (now, "a%20b")):
        assert program.ask("/a%20b") == (200, "a b")
        assert program.ask("/a%2520b") == (200, twice)


@case("A value of the query is one text")
def _(before: Program, now: Program) -> None:
    assert [each.ask("/?name=Ann&name=Lee") for each in (before, now)] == [(200, "A"), (200, "Ann")]


@case("Addresses are written as usual")
def _(before: Program, now: Program) -> None:
    assert [each.ask() for each in (before, now)] == [(403, "127.0.0.1"), (200, "127.0.0.1")]


@case("The PROXY protocol is read where you ask for it")
def _(before: Program, now: Program) -> None:
    def ask(port: int, begin: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", port), 20) as connection:
            connection.sendall(begin + b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            with connection.makefile("rb") as answer:
                return answer.read()

    header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes([192, 0, 2, 7, 192, 0, 2, 1, 0, 1, 0, 2])
    assert ask(before.port, header).startswith(b"HTTP/1.1 400")
    assert before.ask() == (200, "None")
    assert ask(now.port, header).endswith(b"\r\n\r\n192.0.2.7")
    assert ask(now.port, b"PROXY TCP4 192.0.2.8 192.0.2.1 1 2\r\n").endswith(b"\r\n\r\n192.0.2.8")
    assert ask(now.port, b"").startswith(b"HTTP/1.1 400")


@case("A form has the first of several values, and those that are blank")
def _(before: Program, now: Program) -> None:
    for body, expected in ((b"text=", "everything"), (b"text=a&text=b", "a"), (b"", "everything")):
        assert now.ask("/", "POST", content=body) == (200, expected)
    assert before.ask("/", "POST", content=b"text=") == (200, "")


@case("A body that is not what it should be")
def _(before: Program, now: Program) -> None:
    assert before.ask("/", "POST", content=b"{")[0] == 400
    status, text = now.ask("/", "POST", content=b"{")
    assert status == 422
    assert "not JSON" in json.loads(text)["error"]
    assert now.ask("/", "POST", json=1) == before.ask("/", "POST", json=1) == (200, '{"saved": 1}')


@case("An error handler that answers everything with 500")
def _(before: Program, now: Program) -> None:
    assert [each.ask("/", "POST", content=b"{") for each in (before, now)] == [(500, "Sorry"), (400, "Sorry")]


@case("A response ends once")
def _(before: Program, now: Program) -> None:
    for program in (now, before):
        assert program.ask("/?name=a") == (200, "Hello")
        assert program.ask() == (400, "name is missing")


@case("Fields are checked")
def _(before: Program, now: Program) -> None:
    target = "/?name=a%0D%0ASet-Cookie:%20b=c"
    assert (before.ask(target), now.ask(target)) == (FAILED, (200, "Hello"))


@case("No error handler")
def _(before: Program, now: Program) -> None:
    with pytest.raises(TypeError, match="not None"):
        before.make()
    assert now.ask() == (200, "Hello")


@case("Messages of a close are text")
def _(before: Program, now: Program) -> None:
    for program in (before, now):
        with program.websocket() as client:
            client.close(4000, "bye")


@case("A handler that raises ends its websocket")
def _(before: Program, now: Program) -> None:
    for program in (before, now):
        with program.websocket() as client:
            client.send('{"text": "Hello"}')
            assert client.recv(timeout=20) == "Hello"
            client.send("{}")
            if program is now:
                assert client.recv(timeout=20) == "?"
            else:
                with pytest.raises(ConnectionClosed, match="1011"):
                    client.recv(timeout=20)


@case("Options of websockets are checked")
def _(before: Program, now: Program) -> None:
    with pytest.raises(ValueError, match="idle_timeout must be 0, or an int from 8 to 960, not 1800"):
        before.make()
    with now.websocket() as client:
        client.send("Hello")
        assert client.recv(timeout=20) == "Hello"


@case("Values of fields are text, bytes or int")
def _(before: Program, now: Program) -> None:
    assert [each.ask(target) for each in (before, now) for target in ("/", "/name")] == [FAILED] * 2 + [(200, "Hello")] * 2
    answer = httpx.get(f"http://127.0.0.1:{now.port}/name", timeout=20)
    assert answer.headers.raw[0] == (b"X-Name", "日本".encode())


@case("Functions take what they are called with")
def _(before: Program, now: Program) -> None:
    with pytest.raises(TypeError, match=r"handler is called as handler\(config\), which <lambda> .* does not take"):
        before.make()
    assert now.ask() == (200, "Hello")


@case("Routes begin with a slash")
def _(before: Program, now: Program) -> None:
    with pytest.raises(ValueError, match="path must be a str that begins with '/', not 'hello'"):
        before.make()
    assert now.ask("/hello") == (200, "Hello")


@case("Static files need their directory")
def _(before: Program, now: Program) -> None:
    with pytest.raises(FileNotFoundError, match="no such directory"):
        before.make()
    assert now.ask("/a")[0] == 404


@case("Hidden files are not served")
def _(before: Program, now: Program) -> None:
    Path(".version").write_text("1")
    assert [each.ask("/.version") for each in (before, now)] == [(404, "Not Found"), (200, "1")]


@case("All handlers of the start run")
def _(before: Program, now: Program) -> None:
    assert [each.ask() for each in (before, now)] == [(200, "a default"), (200, "Hello")]


@case("A timer is cancelled as those of asyncio")
def _(before: Program, now: Program) -> None:
    assert [each.ask() for each in (before, now)] == [FAILED, (200, "Hello")]


@case("Loops belong to apps")
def _(before: Program, now: Program) -> None:
    with pytest.raises(TypeError, match=r"a Loop belongs to an app: use app\.loop"):
        before.make()
    assert now.ask() == (200, "Hello")


@pytest.mark.parametrize(("programs", "check"), CASES.items(), ids=list(CASES), indirect=["programs"])
def test_differences(programs: tuple[Program, Program], check: Case) -> None:
    check(*programs)


def test_what_the_log_says(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    """The answer of these is the same, but not what the program learns."""
    for title, error in (
        ("A response ends once", "found: end: the response has ended"),
        ("Messages of a close are text", "decode"),
    ):
        said = []
        for when in ("Before", "Now"):
            program = Program(title, when)
            try:
                if "ws(" in program.text:
                    with program.websocket() as client:
                        client.close(4000, "bye")
                else:
                    assert program.ask() == (400, "name is missing")
            finally:
                program.end()
            said.append(capsys.readouterr().out + caplog.text)
            caplog.clear()
        assert error in said[0]
        assert error not in said[1]
    assert "left: 4000 bye" in said[1]


@pytest.mark.parametrize(("when", "status", "said"), [("Before", -signal.SIGINT, ""), ("Now", 0, "stopped\n")])
def test_ctrl_c(run_program: Any, when: str, status: int, said: str) -> None:
    process = run_program(Program(CTRL_C, when).text)
    port = int(process.stdout.readline())
    assert httpx.get(f"http://127.0.0.1:{port}").text == "Hello"
    process.send_signal(signal.SIGINT)
    assert (process.communicate(timeout=20)[0], process.returncode) == (said, status)


def test_the_page_and_the_tests_are_about_the_same() -> None:
    assert set(SECTIONS) == {*CASES, CTRL_C}
    assert all(set(each) == {"Before", "Now"} for each in SECTIONS.values())
