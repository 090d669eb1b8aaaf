"""The Autobahn cases, as the kosoku package runs them, against an echo server.

The groups that take seconds run always. ``SOCKETIFY_AUTOBAHN=all`` (which CI sets) runs those for large messages and for
compression too, which take minutes.

Cases whose outcome RFC 6455 leaves open count as informational: 7.1.6 (data behind a close frame), 7.13.1 and 7.13.2
(close codes that nobody defined, which are answered with 1002). No case is allowed to be anything but that or passed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

kosoku = pytest.importorskip("kosoku", exc_type=ImportError)

# Files that the package's cases leave open.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

QUICK = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*", "12.1.1", "12.1.2", "13.1.1", "13.2.1", "13.3.1", "13.5.1"]
SLOW = ["9.*", *(f"12.{number}.*" for number in range(1, 6)), *(f"13.{number}.*" for number in range(1, 8))]
LEFT_OPEN = {"7.1.6", "7.13.1", "7.13.2"}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    root = Path(__file__).parents[2]
    command = [sys.executable, str(Path(__file__).with_name("echo_server.py"))]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline())
        server.terminate()
        assert server.wait(30) == -signal.SIGTERM


def run(port: int, cases: list[str]) -> None:
    try:
        results = asyncio.run(kosoku.run_fuzzingclient(f"ws://127.0.0.1:{port}/", cases, concurrency=4))
    except kosoku.FailureError as error:
        results = error.results
    outcomes = {result.case_id: (result.behavior.value, result.behavior_close.value) for result in results}
    assert len(outcomes) > len(cases)
    wrong = {case: outcome for case, outcome in outcomes.items() if outcome != ("OK", "OK") and case not in LEFT_OPEN}
    assert not wrong
    assert all(outcomes[case] == ("INFORMATIONAL", "INFORMATIONAL") for case in LEFT_OPEN & outcomes.keys())


def test_quick_groups(port: int) -> None:
    run(port, QUICK)


@pytest.mark.skipif(os.environ.get("SOCKETIFY_AUTOBAHN") != "all", reason="SOCKETIFY_AUTOBAHN=all runs them")
@pytest.mark.parametrize("group", SLOW)
def test_slow_groups(port: int, group: str) -> None:
    run(port, [group])
