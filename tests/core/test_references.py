"""Who holds an object, by its references."""

from __future__ import annotations

import subprocess
import sys

import pytest

from socketify.core.references import count_references, references_of


@pytest.mark.skipif(not hasattr(sys, "getrefcount"), reason="needs reference counts")
@pytest.mark.parametrize("others", [0, 1, 3])
def test_each_holder_counts(others: int) -> None:
    alone = object()
    holders = [alone] * others
    counted = count_references(alone)
    assert counted == references_of(1 + len(holders))


def test_an_interpreter_that_does_not_count_says_of_no_object_that_nobody_else_holds_it() -> None:
    program = """
import sys
vars(sys).pop('getrefcount', None)
from socketify.core.references import count_references, references_of
alone = object()
print(any(count_references(alone) == references_of(holders) for holders in range(1, 5)))
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
