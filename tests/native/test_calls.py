"""Calls between CPython and the native side, with ctypes between and without."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from socketify import native
from socketify.native.abi import GONE

ROOT = Path(__file__).parents[2]
SUITES = ("http/test_send", "http/test_streaming", "http/test_response", "app/test_routes")
SUITES += ("websocket/test_websocket", "websocket/test_websocket_upgrade", "topics/test_topics")
SUITES += ("asgi/test_asgi", "asgi/test_asgi_errors", "asgi/test_asgi_extensions", "asgi/test_asgi_simple")
TELL = "from socketify.native import capabilities as can; print(can.c_api, can.members, can.iterator_send)"
HAS_SEND = hasattr(ctypes.pythonapi, "PyIter_Send") if sys.implementation.name == "cpython" else False


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (native.send, (1, None, 0, b"", 0)),
        (native.write, (1, None, 0, b"")),
        (native.stream, (1, None, 0, b"")),
        (native.send_message, (1, b"", 1)),
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
    assert native.scope(1) == b""
    assert native.scope_text(1) == ""


def in_mode(mode: str, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SOCKETIFY_CALLS": mode}
    return subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("mode", "uses"),
    [
        ("no-members", f"True False {HAS_SEND}"),
        ("no-iterator-send", f"True {native.capabilities.members} False"),
        ("ctypes", "False False False"),
    ],
)
def test_other_interpreters_get_the_same(mode: str, uses: str) -> None:
    assert in_mode(mode, "-c", TELL).stdout.strip() == uses
    done = in_mode(mode, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *(f"tests/{name}.py" for name in SUITES))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_mode_that_there_is_not_is_told() -> None:
    done = in_mode("other", "-c", TELL)
    assert "SOCKETIFY_CALLS must be one of members, no-members, no-iterator-send, ctypes, not 'other'" in done.stderr
