"""The version stands in few places, which agree, and the changelog knows it."""

from __future__ import annotations

import re
from pathlib import Path

import socketify

ROOT = Path(__file__).parents[1]


def test_the_version_is_the_same_everywhere() -> None:
    found = re.search(r'\.version = "(.*?)"', (ROOT / "build.zig.zon").read_text())
    assert found is not None
    assert found[1] == socketify.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", socketify.__version__)


def test_the_newest_entry_of_the_changelog_is_about_this_version() -> None:
    entries = re.findall(r"^## (\S+) \((unreleased|\d{4}-\d\d-\d\d)\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert entries[0][0] == socketify.__version__
    versions = [tuple(map(int, version.split("."))) for version, _ in entries]
    assert versions == sorted(versions, reverse=True)


def test_links_of_the_changelog_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([\w./-]+\.md)", (ROOT / "CHANGELOG.md").read_text()):
        assert (ROOT / link).is_file(), link
