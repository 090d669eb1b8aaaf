"""Reads the page that is there, so that what is not measured anew stays on it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

TARGETS = "Targets"
#: How a target begins that goes on from the one above it.
SHORT = ("…", "the same")


@dataclass(frozen=True)
class Earlier:
    """What a page says: the text before its first section, its sections by title, and the rows of its targets."""

    circumstances: str = ""
    sections: dict[str, str] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)

    class Naming:
        """Gives rows of targets names of their own: a short one belongs to the last that was not."""

        def __init__(self) -> None:
            self._last = ""

        def __call__(self, what: str) -> str:
            """Returns the name of the next row."""
            what = re.sub(r"\d[\d,]* requests", "many requests", what)
            if what.startswith(SHORT):
                return f"{self._last} {what}"
            self._last = what
            return what

    @classmethod
    def read(cls, path: Path) -> Earlier:
        """Reads a page; nothing is earlier where there is none."""
        if not path.exists():
            return cls()
        head, *parts = path.read_text(encoding="utf-8").split("\n## ")
        sections = {part.partition("\n")[0]: f"## {part.rstrip()}\n" for part in parts}
        name = cls.Naming()
        rows = [line for line in sections.get(TARGETS, "").splitlines() if line.startswith("| ")][2:]
        # Without the title, and the line that says who writes it.
        circumstances = "\n".join(head.splitlines()[3:])
        return cls(circumstances, sections, {name(row.split(" | ")[0][2:]): row for row in rows})
