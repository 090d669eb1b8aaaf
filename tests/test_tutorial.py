"""The pages that say what to type are followed, word by word, and do what they say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from followed_pages import Reader
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "docs" / "tutorial"
POLL = ROOT / "examples" / "poll"
#: In the order of their links to the next one.
PAGES = ["first-page", "rooms", "live", "tests", "deployment"]


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    with Reader(tmp_path) as somebody:
        yield somebody


def new_room(url: str) -> str:
    answer = httpx.post(f"{url}/rooms", data={"question": "Where <now>?", "choices": "Here\n\nThere\n"})
    assert answer.status_code == 303
    return f"{url}{answer.headers['location']}"


def visit(room: str) -> ClientConnection:
    """A new visitor, who saw the page of the room."""
    cookie = httpx.get(room).cookies["voter"]
    return connect(room.replace("http", "ws", 1), additional_headers={"Cookie": f"voter={cookie}"})


def counts(visitor: ClientConnection) -> Any:
    return json.loads(visitor.recv(timeout=30))


def votes_are_seen_by_all(url: str, visitors: int) -> None:
    with ExitStack() as stack:
        room = new_room(url)
        all_of_them = [stack.enter_context(visit(room)) for _ in range(visitors)]
        assert [counts(each) for each in all_of_them] == [[0, 0]] * visitors
        all_of_them[0].send("1")
        assert [counts(each) for each in all_of_them] == [[0, 1]] * visitors
        all_of_them[-1].send("1")
        assert [counts(each) for each in all_of_them] == [[0, 2]] * visitors
        all_of_them[0].send("0")
        assert [counts(each) for each in all_of_them] == [[1, 1]] * visitors


def only_visitors_may_connect(url: str) -> None:
    room = new_room(url)
    for target, headers in (
        (room, {}),
        (f"{url}/rooms/none", {"Cookie": "voter=me"}),
        (room, {"Cookie": "voter=me", "Origin": "http://elsewhere.example"}),
    ):
        with pytest.raises(InvalidStatus, match="403"):
            connect(target.replace("http", "ws", 1), additional_headers=headers)
    with visit(room) as visitor:
        counts(visitor)
        visitor.send("2")
        with pytest.raises(ConnectionClosed) as closed:
            visitor.recv(timeout=30)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


def test_start(reader: Reader) -> None:
    written = []
    for step in reader.steps(ROOT / "docs" / "start.md"):
        if step.endswith(".py"):
            written.append(step)
        elif step.endswith("/say"):
            with connect(f"ws://127.0.0.1:{reader.port}/chat") as chat:
                chat.send("hello")
                assert chat.recv(timeout=30) == "hello"
                assert httpx.post(f"http://127.0.0.1:{reader.port}/say").text == "true"
                assert chat.recv(timeout=30) == "the server says hello"
    assert written == ["hello.py", "chat.py", "bare.py"]


def test_tutorial(reader: Reader) -> None:
    """One test, as the pages follow each other."""
    url = f"http://127.0.0.1:{reader.port}"
    written = []
    for page in PAGES:
        path = TUTORIAL / f"{page}.md"
        written += reader.follow(path)
        if page == "first-page":
            assert "Ask everybody" in httpx.get(url).text
        elif page == "live":
            assert "Where &lt;now&gt;?" in httpx.get(new_room(url)).text
            votes_are_seen_by_all(url, 2)
            only_visitors_may_connect(url)
        elif page == "deployment":
            # Both workers have some of them.
            votes_are_seen_by_all(url, 8)
        if page != PAGES[-1]:
            assert f"({PAGES[PAGES.index(page) + 1]}.md)" in path.read_text().splitlines()[-1]
    assert [text.split()[:2] for text in reader.left_out] == [["pip", "install"]]
    files = {name for name in written if (reader.folder / name).is_file()}
    assert {name: (reader.folder / name).read_text() for name in files} == {
        str(file.relative_to(POLL)): file.read_text()
        for kind in ("*.py", "*/*.html", "*/*.css", "*/*.js")
        for file in POLL.glob(kind)
    }
