"""A server that tells what it saw, and what it made of any bytes that were sent to it."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from dataclasses import dataclass, field
from typing import Any

import h11

from socketify import App


@dataclass
class Reading:
    """What a server made of the bytes of one connection."""

    #: Method, target and body of each request that was accepted, in order.
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    #: The status of the refusal that ended the connection, if one did.
    refused: int = 0


def tell(app: App) -> None:
    """Answer every request, when its body has come, with what it was."""

    def handle(res: Any, req: Any) -> None:
        method, target = req.get_method(), req.get_full_url()
        body = bytearray()

        def on_data(_res: Any, chunk: bytes, is_end: bool) -> None:
            body.extend(chunk)
            if is_end:
                # In a field, because the answer to HEAD has no body.
                res.send(headers=[("X-Accepted", json.dumps([method, target, body.hex()]))])

        res.on_data(on_data)

    app.any("/*", handle)


def ask(server: Any, pieces: list[bytes], pause: float = 0) -> Reading:
    """Send the pieces, then the end; everything that the server says is read."""
    received = bytearray()
    with server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The server may have refused, and cut, before everything was sent.
        with contextlib.suppress(OSError):
            for piece in pieces:
                connection.sendall(piece)
                if pause:
                    time.sleep(pause)
            connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65536):
                received += part
    return read_answers(bytes(received))


def read_answers(received: bytes) -> Reading:
    """Read with h11, which raises for what is no response."""
    reading = Reading()
    client = h11.Connection(h11.CLIENT)
    client.receive_data(received)
    client.receive_data(b"")
    while client.trailing_data[0]:
        assert not reading.refused, "nothing follows a refusal"
        client.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
        client.send(h11.EndOfMessage())
        response = _one_answer(client)
        if response is None:
            break
        headers = dict(response.headers)
        if b"x-accepted" in headers:
            method, target, content = json.loads(headers[b"x-accepted"])
            reading.requests.append((method, target, bytes.fromhex(content)))
        else:
            reading.refused = response.status_code
            assert headers[b"connection"] == b"close"
        if client.our_state is h11.DONE and client.their_state is h11.DONE:
            client.start_next_cycle()
        else:
            break
    assert not client.trailing_data[0], "nothing follows the end"
    return reading


def _one_answer(client: h11.Connection) -> Any:
    response: Any = None
    while not isinstance(each := client.next_event(), h11.EndOfMessage):
        if isinstance(each, h11.Response):
            response = each
        elif isinstance(each, h11.InformationalResponse):
            if not client.trailing_data[0]:
                # The body that was asked for never came.
                return None
        else:
            assert isinstance(each, h11.Data), each
    return response
