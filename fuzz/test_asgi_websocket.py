"""Random ASGI websocket applications against a model of the specification's state machine.

Whatever an application sends, in whatever order, every `send` does what the model says, the client gets the messages and the
close code, or the answer to its handshake, that the model says, and nothing hangs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Optional, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import connect

from socketify import ASGI, AppListenOptions

Message = Union[str, bytes]


class Long(str):
    """A text whose report is short."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<long>"


messages = st.text(max_size=10) | st.binary(max_size=10) | st.sampled_from([Long("x" * 70_000), b"y" * 200])
accepts = st.sampled_from([{"type": "websocket.accept"}, {"type": "websocket.accept", "headers": [(b"x-a", b"1")]}])
sends = messages.map(
    lambda each: (
        {"type": "websocket.send", "text": each} if isinstance(each, str) else {"type": "websocket.send", "bytes": each}
    )
)
closes = st.sampled_from([{"type": "websocket.close"}, {"type": "websocket.close", "code": 4001, "reason": "because"}])
denials = st.sampled_from(
    [
        {"type": "websocket.http.response.start", "status": 401},
        {"type": "websocket.http.response.body", "body": b"no", "more_body": True},
        {"type": "websocket.http.response.body", "body": b"no"},
    ]
)
strange = st.sampled_from(
    [
        {"type": "websocket.send"},
        {"type": "websocket.send", "text": b"x"},
        {"type": "websocket.close", "code": 999},
        {"type": "websocket.accept", "headers": [("a", "b")]},
        {"type": "http.response.start", "status": 200},
        {"type": "nonsense"},
    ]
)
others = st.sampled_from([{"type": "sleep"}, {"type": "receive"}])
opened = st.tuples(accepts, st.lists(sends | others | closes, max_size=8)).map(lambda parts: [parts[0], *parts[1]])
scripts = opened | st.lists(accepts | sends | closes | denials | strange | others, max_size=6)


class Model:
    """What the specification says of a sequence of messages."""

    def __init__(self) -> None:
        self.state = "connecting"
        self.sent: list[Message] = []
        self.code: Optional[int] = None
        self.status: Optional[int] = None

    def send(self, message: dict[str, Any]) -> bool:  # noqa: C901 - a table in the shape of a function
        """Take a message; False when it must be refused."""
        kind = message["type"]
        if self.state == "connecting" and kind == "websocket.accept":
            if any(not isinstance(name, bytes) for name, _ in message.get("headers", ())):
                return False
            self.state = "open"
        elif self.state == "connecting" and kind == "websocket.close":
            # The code is for nobody.
            self.state, self.status = "closed", 403
        elif self.state in ("connecting", "denied") and kind == "websocket.http.response.start":
            if self.status is not None:
                return False
            self.state, self.status = "denied", message["status"]
        elif self.state in ("connecting", "denied", "denying") and kind == "websocket.http.response.body":
            if self.state == "connecting":
                # It is an answer from now on, which has no start yet.
                self.state = "denied"
            if self.status is None:
                return False
            self.state = "denying" if message.get("more_body") else "closed"
        elif self.state == "open" and kind == "websocket.send":
            content = message.get("bytes") if message.get("bytes") is not None else message.get("text")
            if content is None or (message.get("bytes") is None and not isinstance(content, str)):
                return False
            self.sent.append(content)
        elif self.state == "open" and kind == "websocket.close":
            if message.get("code") == 999:
                return False
            self.state, self.code = "closed", message.get("code", 1000)
        else:
            return False
        return True

    def end(self) -> None:
        """The application returns."""
        if self.state == "open":
            self.code = 1000
        elif self.state == "connecting" or (self.state == "denied"):
            self.status = 500
        elif self.state == "denying":
            # Cut: the client may not take it for a whole answer.
            self.status = -1


class Script:
    """What the application does for the next websocket, and what came of it."""

    def __init__(self, steps: list[dict[str, Any]], receives: int) -> None:
        self.steps = steps
        self.receives = receives
        self.outcomes: list[bool] = []
        self.received: list[Message] = []
        self.kinds: list[str] = []


script = Script([], 0)


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    mine = script
    for step in mine.steps:
        if step["type"] == "sleep":
            await asyncio.sleep(0.001)
        elif step["type"] == "receive":
            # Only what is sure to come, lest it waits for ever.
            may = 1 + (mine.receives if "accepted" in mine.kinds else 0)
            if mine.kinds.count("event") < may:
                event = await receive()
                mine.kinds += ["event", event["type"]]
                if event["type"] == "websocket.receive":
                    mine.received.append(event["text"] if "text" in event else event["bytes"])
        else:
            try:
                await send(step)
                mine.outcomes.append(True)
                if step["type"] == "websocket.accept":
                    mine.kinds.append("accepted")
            except (RuntimeError, TypeError, ValueError, OSError):
                mine.outcomes.append(False)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    ports: list[int] = []
    server = ASGI(application, lifespan="off", shutdown_timeout=2.0)
    server.listen(AppListenOptions(host="127.0.0.1"), lambda config: ports.append(config.port))
    server.run(block=False)
    yield f"ws://127.0.0.1:{ports[0]}"
    server.close()


def speak(url: str, sent: list[Message]) -> tuple[int, list[Message], Optional[int]]:
    """Open, send and read to the end: the status of the handshake, what came, and the close code."""
    received: list[Message] = []
    try:
        ws = connect(url, max_size=None)
    except InvalidStatus as error:
        return error.response.status_code, [], None
    except (InvalidHandshake, ConnectionError, EOFError):
        return -1, [], None
    with ws:
        try:
            for each in sent:
                ws.send(each)
        except ConnectionClosed:
            # It closed meanwhile, but what it had sent is still to be read.
            pass
        try:
            while True:
                received.append(ws.recv(timeout=10))
        except ConnectionClosed:
            return 101, received, ws.close_code


@given(steps=scripts, sent=st.lists(messages, max_size=4))
def test_applications_against_the_specification(url: str, steps: list[dict[str, Any]], sent: list[Message]) -> None:
    global script  # noqa: PLW0603 - the application is in another thread
    script = mine = Script(steps, len(sent))
    model = Model()
    expected = [model.send(step) for step in steps if step["type"] not in ("sleep", "receive")]
    model.end()
    status, received, code = speak(url, sent)
    # After its close the application may go on for a while.
    outcomes = list(mine.outcomes)
    assert outcomes == expected[: len(outcomes)]
    if model.code is None:
        assert status == model.status
    else:
        assert (status, received, code) == (101, model.sent, model.code)
    assert mine.received == sent[: len(mine.received)]
    assert mine.kinds[:2] in ([], ["event", "websocket.connect"]) or mine.kinds[0] == "accepted"
