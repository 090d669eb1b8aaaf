"""Random ASGI applications against a model of the specification's state machine.

Whatever an application sends, in whatever order, every `send` does what the model says, the client gets exactly the response
that the model says, a 500, or a cut connection, and nothing hangs.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any, Optional

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from socketify import ASGI, AppListenOptions

bodies = st.sampled_from([b"", b"a", b"bc" * 50]) | st.binary(max_size=20) | st.just(300_000)
lengths = st.none() | st.sampled_from(["right", 0, 3, 400_000])
starts = st.builds(
    lambda status, length, trailers: {"type": "http.response.start", "status": status, "length": length, "trailers": trailers},
    st.sampled_from([200, 201, 404, 503, 204, 304]),
    lengths,
    st.sampled_from([False, False, False, True]),
)
pieces = st.builds(lambda body, more: {"type": "http.response.body", "body": body, "more_body": more}, bodies, st.booleans())
strange = st.sampled_from(
    [
        {"type": "http.response.trailers", "headers": [(b"x-t", b"1")]},
        {"type": "http.response.early_hint", "links": [b"</a>"]},
        {"type": "websocket.accept"},
        {"type": "nonsense"},
        {"type": "http.response.body", "body": "text"},
        {"type": "http.response.start", "status": 200, "headers": [("a", "b")]},
    ]
)
others = st.sampled_from([{"type": "sleep"}, {"type": "receive"}])
ordered = st.tuples(starts, st.lists(pieces | others, max_size=5)).map(lambda parts: [parts[0], *parts[1]])
scripts = ordered | st.lists(starts | pieces | strange | others, max_size=6)
requests = st.builds(
    lambda method, body, takes_trailers: (method, body, takes_trailers),
    st.sampled_from(["GET", "HEAD", "POST"]),
    st.sampled_from([b"", b"hello", b"y" * 9_000]),
    st.booleans(),
)


class Model:
    """What the specification says of a sequence of messages."""

    def __init__(self, method: str) -> None:
        self.state = "start"
        self.status = 0
        self.body = b""
        self.length: Optional[int] = None
        self.trailers = False
        self.method = method

    @property
    def mute(self) -> bool:
        return self.method == "HEAD" or self.status in (204, 304)

    def send(self, message: dict[str, Any]) -> bool:
        """Take a message; False when it must be refused."""
        kind = message["type"]
        if self.state in ("done", "cut"):
            return self.state == "done"
        if self.state == "start" and kind == "http.response.start" and not message.get("headers"):
            self.status, self.length, self.trailers = message["status"], message["length"], message["trailers"]
            self.state = "head"
            return True
        if self.state == "start" and kind == "http.response.early_hint":
            return True
        if self.state in ("head", "stream") and kind == "http.response.body":
            return self._send_body(message)
        if self.state == "trailers" and kind == "http.response.trailers":
            complete = self.length is None or self.mute or len(self.body) == self.length
            self.state = "done" if complete else "cut"
            return complete
        return False

    def _send_body(self, message: dict[str, Any]) -> bool:
        if not isinstance(message["body"], bytes):
            return False
        last = not message["more_body"]
        total = len(self.body) + len(message["body"])
        short = last and not self.trailers and total != self.length
        if self.length is not None and not self.mute and (total > self.length or short):
            # Nothing of it was sent, or the connection is cut when it should have ended.
            if last and self.state == "stream":
                self.state = "cut"
            return False
        self.body += message["body"]
        self.state = ("trailers" if self.trailers else "done") if last else "stream"
        return True


class Script:
    """What the application does for the next request, and what came of it."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []
        self.outcomes: list[bool] = []
        self.events: list[str] = []
        self.received = b""


script = Script()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    mine = script
    for step in mine.steps:
        if step["type"] == "sleep":
            await asyncio.sleep(0.001)
        elif step["type"] == "receive":
            # After the body only the end of the response would come.
            if "end" not in mine.events:
                event = await receive()
                mine.events.append(event["type"])
                mine.received += event.get("body", b"")
                if not event.get("more_body"):
                    mine.events.append("end")
        else:
            try:
                await send(step)
                mine.outcomes.append(True)
            except (RuntimeError, TypeError, ValueError, KeyError, OSError):
                mine.outcomes.append(False)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    ports: list[int] = []
    server = ASGI(application, lifespan="off", shutdown_timeout=2.0)
    server.listen(AppListenOptions(host="127.0.0.1"), lambda config: ports.append(config.port))
    server.run(block=False)
    yield ports[0]
    server.close()


def exchange(port: int, method: str, body: bytes, takes_trailers: bool) -> tuple[int, bytes, bool]:
    """Send a request; the status and body of the response, and whether it was complete."""
    client = h11.Connection(h11.CLIENT)
    headers = [("Host", "x"), ("Connection", "close")]
    headers += [("TE", "trailers")] if takes_trailers else []
    headers += [("Content-Length", str(len(body)))] if body else []
    status, received = 0, b""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(10)
        try:
            data = client.send(h11.Request(method=method, target="/", headers=headers)) or b""
            data += (client.send(h11.Data(data=body)) or b"") + (client.send(h11.EndOfMessage()) or b"")
            connection.sendall(data)
            while True:
                event = client.next_event()
                if event is h11.NEED_DATA:
                    client.receive_data(connection.recv(65536))
                elif isinstance(event, h11.Response):
                    status = event.status_code
                elif isinstance(event, h11.Data):
                    received += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    return status, received, True
                elif isinstance(event, h11.ConnectionClosed):
                    return status, received, False
        except (h11.RemoteProtocolError, ConnectionError):
            return status, received, False


def prepared(given_steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Turn numbers into bodies, and "right" into the length of what follows."""
    steps = [{**step, "body": bytes(step["body"])} if isinstance(step.get("body"), int) else step for step in given_steps]
    result = []
    for index, given_step in enumerate(steps):
        step = given_step
        if step["type"] == "http.response.start" and "length" in step:
            whole = 0
            for later in steps[index + 1 :]:
                if later["type"] == "http.response.body" and isinstance(later["body"], bytes):
                    whole += len(later["body"])
                    if not later["more_body"]:
                        break
            length = whole if step["length"] == "right" else step["length"]
            step = {**step, "length": length}
            if length is not None:
                step["headers"] = [(b"content-length", b"%d" % length)]
        result.append(step)
    return result


@given(steps=scripts, request=requests)
def test_applications_against_the_specification(
    port: int, steps: list[dict[str, Any]], request: tuple[str, bytes, bool]
) -> None:
    global script  # noqa: PLW0603 - the application is in another thread
    method, body, takes_trailers = request
    script = mine = Script()
    mine.steps = prepared(steps)
    model = Model(method)
    expected = []
    for step in mine.steps:
        if step["type"] in ("sleep", "receive"):
            continue
        plain = {key: value for key, value in step.items() if key != "headers" or "length" not in step}
        expected.append(model.send(plain))
    status, received, complete = exchange(port, method, body, takes_trailers)

    if model.state == "done":
        assert (status, complete) == (model.status, True)
        assert received == (b"" if model.mute else model.body)
    elif model.state in ("start", "head"):
        assert (status, complete) == (500, True)
    else:
        # A body of announced length is complete for the client when all of it is there.
        assert not complete or model.mute or len(model.body) == model.length
        assert status in (0, model.status)
    # A client that has a body of announced length has no reason to wait for the trailers behind it: it may leave before.
    leaves_early = model.trailers and model.length is not None
    if model.state != "cut" and not leaves_early:
        assert mine.outcomes[: len(expected)] == expected[: len(mine.outcomes)]
    assert set(mine.events) <= {"http.request", "end"} or model.state in ("done", "cut") or leaves_early
    if "end" in mine.events and "http.disconnect" not in mine.events:
        assert mine.received == body
