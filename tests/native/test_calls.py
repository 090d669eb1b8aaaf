"""Calls between CPython and the native side, with ctypes between and without."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from socketify.native import calls
from socketify.native.declarations import GONE

ROOT = Path(__file__).parents[2]
ELSEWHERE = """
import sys
name, sys.implementation.name = sys.implementation.name, "another"
from socketify.native import calls
sys.implementation.name = name
assert calls._c_api is None
import pytest
assert not calls.steps_natively
files = ("send", "websocket", "websocket_upgrade", "streaming", "response", "routes")
files += ("asgi", "asgi_errors", "asgi_extensions", "asgi_simple")
sys.exit(pytest.main(["-q", "-x", *(f"tests/test_{name}.py" for name in files)]))
"""


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (calls.send, (1, None, 0, b"", 0)),
        (calls.write, (1, None, 0, b"")),
        (calls.stream, (1, None, 0, b"")),
        (calls.send_message, (1, b"", 1)),
    ],
)
def test_a_stale_handle_is_told_and_wrong_arguments_are_errors(function: object, arguments: tuple[object, ...]) -> None:
    assert callable(function)
    assert function(*arguments) == GONE
    for position, value in enumerate(arguments):
        wrong = list(arguments)
        wrong[position] = "text" if value is not None else 5
        with pytest.raises(TypeError):
            function(*wrong)
    with pytest.raises(TypeError):
        function(*arguments[:-1])
    with pytest.raises(OverflowError):
        function(-1, *arguments[1:])


def test_no_scope_is_told_of_a_stale_handle() -> None:
    assert calls.scope(1) == b""
    assert calls.scope_text(1) == ""


def test_other_interpreters_get_the_same_by_ctypes() -> None:
    done = subprocess.run([sys.executable, "-c", ELSEWHERE], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
