"""Every block of Python in the documentation and the README runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What would serve for ever, in the main thread, is only made.
WITHOUT_RUN = """
import socketify, threading
def run(self, *, run=socketify.App.run):
    if threading.current_thread() is not threading.main_thread():
        run(self)
socketify.App.run = run
socketify.serve = lambda *_, **__: None
"""


def _blocks() -> list[tuple[str, str]]:
    # test_migration.py runs those of this page.
    pages = [ROOT / "README.md", *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name != "migration.md")]
    return [(f"{page.name}-{number}", text) for page in pages for number, text in enumerate(BLOCK.findall(page.read_text()), 1)]


@pytest.mark.parametrize(("name", "code"), _blocks(), ids=[name for name, _ in _blocks()])
def test_block_runs(name: str, code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_RUN + code], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    assert done.returncode == 0, f"{name}: {done.stderr}"


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "docs").glob("*.md"):
        for link in re.findall(r"\]\(([a-z-]+\.md)\)", page.read_text()):
            assert (page.parent / link).is_file(), f"{page.name}: {link}"
