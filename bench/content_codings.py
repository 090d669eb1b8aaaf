"""What the levels of content codings cost, and what they are worth: the table in docs/compression.md.

Usage: python bench/content_codings.py
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from socketify.core.coders import installed_codings, new_coder  # noqa: E402
from socketify.native import abi  # noqa: E402

LEVELS = {"gzip": (1, 2, 4, 6, 9), "br": (0, 1, 3, 4, 5, 6, 9), "zstd": (1, 3, 6, 9, 12)}
REPEATS = 7


def contents() -> dict[str, bytes]:
    """Return 2 KB and 64 KB of JSON, 64 KB of prose and 64 KB of code."""
    rows = [
        {"id": 7 * n, "name": f"item {n * n % 977}", "price": n * 31 % 10_000 / 100, "in stock": n % 3 == 0}
        for n in range(2000)
    ]
    prose = b"".join(page.read_bytes() for page in sorted((ROOT / "docs").glob("*.md")))
    code = b"".join(file.read_bytes() for file in sorted((ROOT / "socketify").rglob("*.py")))
    listing = json.dumps(rows).encode()
    return {
        "JSON, 2 KB": listing[:2048],
        "JSON, 64 KB": listing[:65536],
        "prose, 64 KB": prose[:65536],
        "code, 64 KB": code[:65536],
    }


def measure(coding: str, level: int, content: bytes) -> tuple[float, float]:
    """Return which part of the content is left, and the microseconds that it took at best."""
    best = float("inf")
    coded = b""
    for _ in range(REPEATS):
        begin = time.perf_counter()
        coded = new_coder(coding)(level).code(content, abi.CODE_END)
        best = min(best, time.perf_counter() - begin)
    return len(coded) / len(content), best * 1e6


def main() -> None:
    """Print a table in Markdown."""
    what = contents()
    lines = [f"| | {' | '.join(what)} |", "| --- " * (len(what) + 1) + "|"]
    for coding in installed_codings():
        for level in LEVELS[coding]:
            cells = [measure(coding, level, content) for content in what.values()]
            lines.append(f"| {coding} {level} | " + " | ".join(f"{part:.1%}, {took:,.0f} µs" for part, took in cells) + " |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
