"""Calls between CPython and the native side, with ctypes between and without."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from socketify import native
from socketify.native import abi, fallback
from socketify.native.abi import GONE

ROOT = Path(__file__).parents[2]
SUITES = ("http/test_send", "http/test_streaming", "http/test_response", "app/test_routes")
SUITES += ("websocket/test_websocket", "websocket/test_websocket_upgrade", "topics/test_topics")
SUITES += ("asgi/test_asgi", "asgi/test_asgi_errors", "asgi/test_asgi_extensions", "asgi/test_asgi_simple")
TELL = "from socketify.native import capabilities as can; print(can.c_api, can.members, can.iterator_send)"
HAS_SEND = hasattr(ctypes.pythonapi, "PyIter_Send") if sys.implementation.name == "cpython" else False


#: Arguments, of a handle that is stale, and the result.
CALLS: dict[str, tuple[tuple[object, ...], object]] = {
    "send": ((1, None, 0, b"", 0), GONE),
    "write": ((1, None, 0, b""), GONE),
    "stream": ((1, None, 0, b""), GONE),
    "send_message": ((1, b"", 1), GONE),
    "scope": ((1,), b""),
    "scope_text": ((1,), ""),
    "method": ((1,), RuntimeError),
    "url": ((1,), RuntimeError),
    "full_url": ((1,), RuntimeError),
    "header": ((1, "name"), RuntimeError),
    "parameter": ((1, 0), RuntimeError),
}


def outcome(function: Any, *arguments: object) -> object:
    """Return what a call does: its result, or what it raises."""
    try:
        return function(*arguments)
    except Exception as error:
        # CPython 3.9 still takes a float for an int, and warns.
        kind = TypeError if sys.version_info < (3, 10) and isinstance(error, DeprecationWarning) else type(error)
        return kind, str(error) if isinstance(error, RuntimeError) else ""


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("module", [native, fallback], ids=["as chosen", "ctypes"])
def test_a_stale_handle_is_told_and_wrong_arguments_are_errors(module: Any, name: str) -> None:
    function = getattr(module, name)
    arguments, expected = CALLS[name]
    assert outcome(function, *arguments) == ((RuntimeError, abi.REQUEST_IS_GONE) if expected is RuntimeError else expected)
    if name != "header":
        # A request that is gone is told before the name of a field is looked at.
        for position, value in enumerate(arguments):
            for wrong in ("text", 1.5, [], bytearray(20000)):
                if type(wrong) is not type(value):
                    assert outcome(function, *arguments[:position], wrong, *arguments[position + 1 :]) in (
                        (TypeError, ""),
                        (RuntimeError, abi.REQUEST_IS_GONE),
                    )
    assert outcome(function, *arguments[:-1]) == (TypeError, "")
    assert outcome(function, *arguments, 1) == (TypeError, "")
    assert outcome(function, -1, *arguments[1:]) == (OverflowError, "")


def test_names_and_positions_of_another_type(serve: Any) -> None:
    seen: list[object] = []

    def handler(res: Any, req: Any) -> None:
        handle = req.exchange_.request_handle
        for module in (native, fallback):
            calls = [("header", 5), ("header", None), ("header", "\udc80"), ("header", "coo\u212aie"), ("header", "COOKIE")]
            calls += [("parameter", "0"), ("parameter", 1.5), ("parameter", None), ("parameter", 0), ("parameter", -1)]
            seen.append([outcome(getattr(module, name), handle, value) for name, value in calls])
        res.end("")

    server = serve(lambda app: app.get("/:name", handler))
    assert server.exchange(b"GET /value HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\nConnection: close\r\n\r\n")
    wrong, strange = (TypeError, ""), (UnicodeEncodeError, "")
    assert seen == [[wrong, wrong, strange, None, "a=b", wrong, wrong, wrong, "value", None]] * 2


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
