"""In all four modes (socketify/native/modes.py) clients get the same bytes, programs see the same, and the log has the same.

Four processes serve the same handlers and applications, which follow plans; a client sends the same bytes to all of them, and
reads to the end. What only timing decides may be any of what it is in one and the same mode: a difference is one that stays.
"""

from __future__ import annotations

import base64
import contextlib
import pickle
import re
import socket
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st
from modes_plans import LARGE
from modes_servers import PATIENCE, Mode
from modes_strategies import PLANS, SENT, Sent

from socketify.native.modes import MODES

#: Examples of each interface, for one of other suites: 2100 in the short profile, of three exchanges and more.
EXAMPLES = 5
#: Times that a difference must stay.
TIMES = 8
#: Seconds after which nothing comes any more.
TIMEOUT = 10


class Seen(NamedTuple):
    """All that came of the bytes of a connection."""

    received: bytes
    end: str
    journals: Any
    failures: Any


@pytest.fixture(scope="module")
def modes() -> Iterator[list[Mode]]:
    with contextlib.ExitStack() as stack:
        made = []
        for name in MODES:
            made.append(Mode(name))
            stack.callback(made[-1].stop)
        yield made


def read_to_end(mode: Mode, connection: socket.socket) -> tuple[bytes, str]:
    received = bytearray()
    deadline = time.monotonic() + TIMEOUT
    connection.settimeout(PATIENCE)
    while time.monotonic() < deadline:
        try:
            part = connection.recv(1 << 18)
        except ConnectionError:
            return bytes(received), "closed"
        except TimeoutError:
            mode.ask("collect")
            continue
        if not part:
            return bytes(received), "closed"
        received += part
    return bytes(received), "nothing more"


def exchange(modes: list[Mode], interface: str, plans: Any, sent: Sent) -> list[Seen]:
    """Send the same to all of them."""
    with contextlib.ExitStack() as stack:
        connections = []
        for mode in modes:
            mode.ask(f"begin {base64.b64encode(pickle.dumps(plans)).decode()}")
            connections.append(stack.enter_context(socket.create_connection(("127.0.0.1", mode.ports[interface]), 10)))
            connections[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in sent.pieces:
            for connection in connections:
                # The server may have refused, and cut, before everything was sent.
                with contextlib.suppress(ConnectionError):
                    connection.sendall(piece)
            if piece is not sent.pieces[-1]:
                time.sleep(0.0005)
        if sent.ends:
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_WR)
        found = []
        for mode, connection in zip(modes, connections):
            received, end = read_to_end(mode, connection)
            received = re.sub(rb"\r\nDate: [A-Z][^\r]*", b"\r\nDate: now", received)
            journals, failures = mode.ask("journal")
            if sent.ends:
                # When a program is told that its client ended, and whether the client still reads is tried by a zero before the
                # size of a chunk, depends on how long it waited.
                received, journals, failures = re.sub(rb"\r\n0+(?=[0-9a-f]+\r\n)", b"\r\n", received), None, None
            found.append(Seen(received, end, journals, failures))
    return found


def alike(one: Seen, other: Seen) -> bool:
    """Whether they are the same, but for what a cut loses on its way, of which there is much only in large bodies."""
    shorter, longer = sorted((one.received, other.received), key=len)
    lost = longer.startswith(shorter) and shorter.endswith(LARGE[:1000])
    return one[1:] == other[1:] and (shorter == longer or lost)


def differences(names: list[str], seen: list[Seen]) -> Iterator[str]:
    for field in Seen._fields:
        values = [getattr(each, field) for each in seen]
        if any(value != values[0] for value in values):
            texts = [repr(value) for value in values]
            differs = next((at for at, each in enumerate(zip(*texts)) if len(set(each)) > 1), min(map(len, texts)))
            yield from (f"{field} in mode {name}: ...{text[max(differs - 80, 0) :]}" for name, text in zip(names, texts))


@pytest.mark.parametrize("interface", sorted(PLANS))
def test_all_modes_do_the_same(modes: list[Mode], interface: str) -> None:
    @settings(max_examples=EXAMPLES * settings.default.max_examples, phases=[Phase.generate, Phase.shrink], database=None)
    @given(plans=st.lists(PLANS[interface], min_size=1, max_size=4), sent=SENT)
    def hold(plans: Any, sent: Sent) -> None:
        compare(modes, interface, plans, sent)

    hold()


def compare(modes: list[Mode], interface: str, plans: Any, sent: Sent) -> None:
    outcomes: list[list[Seen]] = [[] for _ in modes]
    for number in range(TIMES):
        for seen, now in zip(outcomes, exchange(modes, interface, plans, sent)):
            seen.append(now)
        if all(any(alike(one, other) for one in outcomes[0] for other in seen) for seen in outcomes):
            break
        event(f"look {number + 2}")
    else:
        pytest.fail("\n".join(differences([mode.name for mode in modes], [seen[-1] for seen in outcomes])))
    assert outcomes[0][-1].end == "closed"
    event(f"{outcomes[0][-1].received.count(b'HTTP/1.1 ')} responses")
