"""Inputs of which the right outcome is known: each is replayed whole, byte by byte, and in halves.

A file's name tells the outcome: the statuses of the answers, in order, or ``none`` for an input that is only part of a
message. Most are messages that two servers could read in two ways: whatever follows them is never taken for a request.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from request_servers import ask, tell
from servers import served

FILES = sorted((Path(__file__).parent / "corpus" / "requests").glob("*.http"))


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with served(tell, http="1") as running:
        yield running


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_input_has_its_outcome(server: Any, path: Path) -> None:
    data = path.read_bytes()
    prefix = re.match(r"(?:\d{3}-)*", path.stem)
    assert prefix is not None
    statuses = [int(each) for each in prefix[0].split("-") if each]
    half = len(data) // 2
    splits = [[data], [data[:half], data[half:]], [data[:-1], data[-1:]]]
    if len(data) < 400:
        splits.append([data[index : index + 1] for index in range(len(data))])
    for pieces in splits:
        reading = ask(server, pieces, pause=0.0005 if len(pieces) > 1 else 0)
        found = [200] * len(reading.requests) + ([reading.refused] if reading.refused else [])
        assert found == statuses
