"""The channel layer, in Django with Channels."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from broker_servers import SERVERS
from server_programs import Program
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

pytest.importorskip("channels")

FILE = Path(__file__).parent / "support" / "channels_program.py"
PROGRAM = f"import runpy; runpy.run_path({str(FILE)!r}, run_name='__main__')"


@pytest.fixture(scope="module")
def site() -> Iterator[Program]:
    with Program(PROGRAM) as program:
        yield program


def opened(site: Program, kind: str) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{site.port}/{kind}")


def ask(client: ClientConnection, command: str) -> Any:
    client.send(command)
    return client.recv(timeout=10)


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_consumers(site: Program, kind: str) -> None:
    with opened(site, kind) as one, opened(site, kind) as two, opened(site, "async") as three:
        names = [ask(each, "name") for each in (one, two, three)]
        assert len(set(names)) == 3
        assert ask(one, f"send {names[1]} hello é") == "done"
        assert two.recv(timeout=10) == "hello é"
        for each in (one, two):
            assert ask(each, "join room") == "done"
        assert ask(three, "group room to the room") == "done"
        assert [each.recv(timeout=10) for each in (one, two)] == ["to the room"] * 2
        # Others can be added and removed, too.
        assert ask(one, f"join room {names[2]}") == "done"
        assert ask(two, "leave room") == "done"
        assert httpx.post(f"{site.url}/publish/room", content="from a view").text == "sent"
        assert [each.recv(timeout=10) for each in (one, three)] == ["from a view"] * 2
        assert ask(one, f"leave room {names[2]}") == "done"
        assert httpx.post(f"{site.url}/publish/all", content="to all").text == "sent"
        assert [each.recv(timeout=10) for each in (one, two, three)] == ["to all"] * 3


def test_a_consumer_that_failed_does_not_harm_others(site: Program) -> None:
    with opened(site, "async") as one, opened(site, "async") as two:
        one.send("fail")
        with pytest.raises(ConnectionClosed):
            one.recv(timeout=10)
        assert httpx.post(f"{site.url}/publish/all", content="x").text == "sent"
        assert two.recv(timeout=10) == "x"


RESULTS = {
    "round": "(True, {'type': 'x', 'list': [1, 2.5, None, True, {'é': b'\\x00\\xff'}], 'tuple': [1, [2]]})",
    "expired": "{'type': 'new'}",
    "waiting": "[0, 1]",
    "abandoned": "(1, False, True)",
    "flush": "2",
    "layers": "(1, 2)",
    "queue": "ValueError: the channel 'queue' is none that new_channel returned: this layer has no queues of several processes",
    "type": "TypeError: message['type'] is object: messages hold str, bytes, int, float, bool, None, lists and dicts",
    "dict": "TypeError: a message must be a dict, not list",
    "receive-other": "ValueError: the channel 'specific.other!x' is of another process, which alone can receive from it",
}


@pytest.mark.parametrize("what", RESULTS)
def test_the_layer(site: Program, what: str) -> None:
    assert httpx.get(f"{site.url}/check/{what}", timeout=20).text == RESULTS[what]


@pytest.mark.parametrize("what", ["full", "receive-queue", "name", "group"])
def test_errors(site: Program, what: str) -> None:
    expected = {"full": "ChannelFull: small.", "receive-queue": "ValueError: the channel 'queue' is none that new_channel"}
    answer = httpx.get(f"{site.url}/check/{what}", timeout=20).text
    assert answer.startswith(expected.get(what, "TypeError: ")), answer


@pytest.fixture(params=["local", "redis", "nats"])
def sites(request: Any, tmp_path: Path) -> Iterator[list[Program]]:
    """Two processes with a broker."""
    with contextlib.ExitStack() as stack:
        place = f"local://{tmp_path}"
        if request.param != "local":
            pytest.importorskip(request.param)
            place = stack.enter_context(SERVERS[request.param]()).url()
        text = f"import sys; sys.argv.append({place!r})\n{PROGRAM}"
        yield [stack.enter_context(Program(text)) for _ in range(2)]


def test_several_processes(sites: list[Program]) -> None:
    with opened(sites[0], "async") as one, opened(sites[1], "sync") as two, opened(sites[1], "async") as three:
        names = [ask(each, "name") for each in (one, two, three)]
        assert ask(one, f"send {names[1]} hello é") == "done"
        assert two.recv(timeout=10) == "hello é"
        for each in (one, two):
            assert ask(each, "join room") == "done"
        for number in range(20):
            assert ask(three, f"group room {number}") == "done"
        for each in (one, two):
            assert [each.recv(timeout=10) for _ in range(20)] == [str(number) for number in range(20)]
        # A channel of another process joins and leaves soon.
        assert ask(one, f"join room {names[2]}") == "done"
        assert ask(one, "group room again") == "done"
        assert [each.recv(timeout=10) for each in (one, two, three)] == ["again"] * 3
        assert ask(one, f"leave room {names[2]}") == "done"
        for site in sites:
            assert httpx.post(f"{site.url}/publish/room", content="from a view").text == "sent"
        for each in (one, two):
            assert [each.recv(timeout=10) for _ in range(2)] == ["from a view"] * 2
        assert httpx.post(f"{sites[0].url}/publish/all", content="to all").text == "sent"
        assert [each.recv(timeout=10) for each in (one, two, three)] == ["to all"] * 3


def test_without_a_served_app() -> None:
    from socketify.channels import ChannelLayer  # noqa: PLC0415

    with pytest.raises(RuntimeError, match="the channel layer needs an app, and this process serves none"):
        asyncio.run(ChannelLayer().group_send("room", {"type": "x"}))
