"""Every public method inside every callback: nothing crashes, and every exchange ends as it should."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .expectations import expected

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
#: Each with one backend, one pool and one way of being served; every pair of these differs in two. One has a broker.
#: The last one is spoken to over HTTP/2.
Way = tuple[str, str, int, str, str]
WAYS: list[Way] = [
    ("epoll", "served", 0, "", ""),
    ("epoll", "served", 8, "broker", ""),
    ("epoll", "unserved", 8, "", ""),
    ("io_uring", "served", 8, "", ""),
    ("io_uring", "unserved", 0, "", ""),
    ("epoll", "served", 8, "", "http2"),
]


#: What HTTP/1.1 says of a connection that goes on over HTTP/2.
_ACCEPTS = re.compile("^2.. ")
_SAME = re.compile("(?<=200 method)(, closed|, then cut)$")


class Run:
    """One program at its work."""

    def __init__(self, backend: str, served: str, pool_items: int, broker: str, http2: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        url = f"local://{self._folder.name}" if broker else "none"
        path = os.pathsep.join((str(ROOT), str(ROOT / "tests/support")))
        environment = {**os.environ, "SOCKETIFY_BACKEND": backend, "PYTHONPATH": path, "SOCKETIFY_BROKER": url}
        arguments = [sys.executable, "-X", "faulthandler", str(HERE / "program.py"), served, str(pool_items)]
        if http2:
            arguments.append(http2)
        self._out = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by stop
        self._err = tempfile.TemporaryFile("w+")  # noqa: SIM115 - likewise
        self._process = subprocess.Popen(arguments, stdout=self._out, stderr=self._err, env=environment)

    def result(self) -> tuple[int, list[list[str]], str]:
        """Give the exit status, what it said of each pair, and standard error."""
        status = self._process.wait(300)
        self._out.seek(0)
        self._err.seek(0)
        return status, [json.loads(line) for line in self._out], self._err.read()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._out.close()
        self._err.close()
        self._folder.cleanup()


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[Way, Run]]:
    """All at once: they wait for each other's clients most of the time."""
    started = {way: Run(*way) for way in WAYS}
    yield started
    for each in started.values():
        each.stop()


@pytest.mark.parametrize("way", WAYS, ids=[" ".join(map(str, way)).strip() for way in WAYS])
def test_every_method_in_every_callback(way: Way, runs: dict[Way, Run]) -> None:
    backend, served, _, _, http2 = way
    status, lines, errors = runs[way].result()
    if backend == "io_uring" and "the kernel refuses io_uring" in errors:
        pytest.skip(errors.splitlines()[-1])
    last = lines[-1] if lines else ["nothing"]
    assert (status, last) == (0, ["done"]), f"it ended with {status} at {last}:\n{errors[-3000:]}"
    wrong = []
    for line in lines:
        if line[0] == "ended":
            _, callback, method, said, answer, after = line
            should = expected(callback, method, served == "served")
            if http2:
                # Only the stream is closed.
                should = should._replace(answers=tuple(_SAME.sub("", each) for each in should.answers))
                if callback == "ws upgrade":
                    # A 2xx would say that the websocket is open.
                    should = should._replace(answers=tuple(_ACCEPTS.sub("403 ", each) for each in should.answers))
            if not should.allows(said, answer, after):
                wrong.append(f"{callback} / {method}: {said}; {answer}; {after} (should be {should})")
    assert not wrong, f"{len(wrong)} pairs:\n" + "\n".join(wrong[:50])
