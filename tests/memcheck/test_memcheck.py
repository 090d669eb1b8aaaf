"""valgrind's memcheck over forty kinds of exchange: our library reads and writes nothing wrong, and loses nothing.

It takes a minute, and runs where ``SOCKETIFY_MEMCHECK`` is set, as in CI. CPython's own findings, and those of packages, are
not ours: a finding counts when the code it is in, or the code that asked for the lost memory, is the library's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
# Whose functions do what their caller asked for.
HELPERS = ("vgpreload_memcheck", "libc.so", "ld-linux", "libstdc++")

pytestmark = [
    pytest.mark.skipif("SOCKETIFY_MEMCHECK" not in os.environ, reason="takes a minute: set SOCKETIFY_MEMCHECK"),
    pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed"),
]


def responsible(error: ET.Element) -> str:
    """The file of the innermost function that is no helper."""
    files = (frame.findtext("obj") or "" for frame in next(error.iter("stack")).iter("frame"))
    return next((file for file in files if not any(helper in file for helper in HELPERS)), "")


def throws_away(error: ET.Element) -> bool:
    """Linux drops what it received where it is given no buffer (MSG_TRUNC, tcp(7)), as a connection that lingers wants it."""
    call = "recvfrom(buf)" in (error.findtext("what") or "")
    return call and (error.findtext("auxwhat") or "").startswith("Address 0x0 is")


def described(error: ET.Element) -> str:
    what = error.findtext("what") or error.findtext("xwhat/text") or ""
    frames = (f"{frame.findtext('fn')} ({frame.findtext('file')}:{frame.findtext('line')})" for frame in error.iter("frame"))
    return "\n    ".join((what, *frames))


def test_exchanges(tmp_path: Path) -> None:
    report = tmp_path / "memcheck.xml"
    command = ["valgrind", "--leak-check=full", "--show-leak-kinds=definite", "--num-callers=24", "--fair-sched=yes"]
    command += [f"--suppressions={HERE / 'cpython.supp'}", "--xml=yes", f"--xml-file={report}"]
    # The time-outs of the exchanges are the machine's, which is twenty times slower here.
    result = subprocess.run(
        [*command, sys.executable, str(HERE / "exchanges.py")],
        env={**os.environ, "PYTHONMALLOC": "malloc", "PYTHONPATH": str(HERE.parents[1])},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-5000:]
    assert "kinds of exchange" in result.stdout
    errors = ET.parse(report).getroot().findall("error")
    ours = [described(each) for each in errors if "libsocketify" in responsible(each) and not throws_away(each)]
    assert not ours, "\n\n".join(ours)
