"""The Autobahn cases, as the kosoku package runs them, against an echo server.

The groups that take seconds run always. ``SOCKETIFY_AUTOBAHN=all`` (which CI sets) runs those for large messages and for
compression too, which take minutes.

Cases whose outcome RFC 6455 leaves open count as informational: 7.1.6 (data behind a close frame), 7.13.1 and 7.13.2
(close codes that nobody defined, which are answered with 1002). No case is allowed to be anything but that or passed.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from socketify import App, CompressOptions, OpCode, WebSocket

kosoku = pytest.importorskip("kosoku", exc_type=ImportError)

# Files that the package's cases leave open.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

QUICK = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*", "12.1.1", "12.1.2", "13.1.1", "13.2.1", "13.3.1", "13.5.1"]
SLOW = ["9.*", "12.*", "13.*"]
LEFT_OPEN = {"7.1.6", "7.13.1", "7.13.2"}


def build(app: App) -> None:
    def echo(ws: WebSocket, message: Any, opcode: OpCode) -> None:
        ws.send(message, opcode, compress=True)

    behavior = {
        "message": echo,
        "compression": CompressOptions.DEDICATED_COMPRESSOR | CompressOptions.DEDICATED_DECOMPRESSOR,
        "max_payload_length": 32 * 1024 * 1024,
        "max_backpressure": 64 * 1024 * 1024,
        "idle_timeout": 120,
    }
    app.ws("/", behavior)


def run(serve: Any, cases: list[str]) -> None:
    server = serve(build)
    try:
        results = asyncio.run(kosoku.run_fuzzingclient(f"ws://127.0.0.1:{server.port}/", cases, concurrency=4))
    except kosoku.FailureError as error:
        results = error.results
    outcomes = {result.case_id: (result.behavior.value, result.behavior_close.value) for result in results}
    assert len(outcomes) > len(cases)
    wrong = {case: outcome for case, outcome in outcomes.items() if outcome != ("OK", "OK") and case not in LEFT_OPEN}
    assert not wrong
    assert all(outcomes[case] == ("INFORMATIONAL", "INFORMATIONAL") for case in LEFT_OPEN & outcomes.keys())


def test_quick_groups(serve: Any) -> None:
    run(serve, QUICK)


@pytest.mark.skipif(os.environ.get("SOCKETIFY_AUTOBAHN") != "all", reason="SOCKETIFY_AUTOBAHN=all runs them")
def test_slow_groups(serve: Any) -> None:
    run(serve, SLOW)
