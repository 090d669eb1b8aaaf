"""Well-formed connections of HTTP/2, at random: the application sees, and the client gets, what it is with another server.

The other one is hypercorn, whose state machine is Python's h2. It does not finish some of these connections: ours has to, and
there is nothing to compare.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from app_servers import TLS, ASGIServer
from hpack import HPACKError
from http2_application import app
from http2_plans import Maker
from http2_reading import Reading
from server_programs import environment

PLANS = int(os.environ.get("SOCKETIFY_HTTP2_PLANS", "100"))
#: Of them, what the other server may leave unfinished, and the seconds that it has for one.
UNFINISHED = 0.2
PEER_SECONDS = 2

pytestmark = pytest.mark.skipif(TLS is not None, reason="the other server speaks no TLS here")

#: Says its port, and serves.
PEER = """
import asyncio, socket
from hypercorn.asyncio import serve
from hypercorn.config import Config
from hpack import HPACKError
from http2_application import app

listening = socket.create_server(("127.0.0.1", 0))
config = Config()
config.bind, config.errorlog = [f"fd://{listening.fileno()}"], None
print(listening.getsockname()[1], flush=True)
asyncio.run(serve(app, config))
"""


@pytest.fixture(scope="module")
def peer() -> Iterator[int]:
    pytest.importorskip("hypercorn")
    more = {**environment(), "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-c", PEER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=more) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


def _of_peer(port: int, seed: int) -> Any:
    try:
        return Reading(port, Maker(seed).make(), PEER_SECONDS).run().outcome()
    except (AssertionError, OSError, HPACKError):
        return None


def test_what_clients_get_and_applications_see(peer: int) -> None:
    ours = ASGIServer(app)
    unfinished, differ = 0, []
    try:
        for seed in range(PLANS):
            outcome, other = Reading(ours.port, Maker(seed).make()).run().outcome(), _of_peer(peer, seed)
            if other is None:
                unfinished += 1
            elif outcome != other:
                differ.append(f"plan {seed}:\n  {outcome}\n  {other}")
    finally:
        ours.server.close()
    assert not differ, f"{len(differ)} of {PLANS}:\n" + "\n".join(differ[:3])
    assert unfinished <= UNFINISHED * PLANS
