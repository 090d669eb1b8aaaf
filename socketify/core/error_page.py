"""The page that a browser gets for an error in debug mode: what was raised where, with the lines of source."""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Iterator
from html import escape
from pathlib import Path
from types import FrameType
from typing import Optional

_LINES_AROUND = 4
_FRAMES_MAX = 40
_CHAIN_MAX = 10
#: Frames of the framework itself, and of what Python brings, are closed: the fault is mostly elsewhere.
_OWN = str(Path(__file__).parents[1])
_STYLE = """
:root { color-scheme: light dark; --dim: #777; --line: #fdd; --edge: #ccc }
@media (prefers-color-scheme: dark) { :root { --dim: #999; --line: #622; --edge: #555 } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; white-space: pre-wrap }
h2 { font-size: 1rem; font-weight: normal; color: var(--dim) }
details { border: 1px solid var(--edge); border-radius: .4rem; margin: .5rem 0 }
summary { padding: .4rem .8rem; cursor: pointer; overflow-wrap: anywhere }
pre { margin: 0; padding: .4rem 0; overflow-x: auto; font: 14px/1.5 ui-monospace, monospace; border-top: 1px solid var(--edge) }
pre span { display: block; padding: 0 .8rem }
pre .here { background: var(--line) }
footer { color: var(--dim) }
"""


def error_page(error: BaseException, text: str) -> str:
    """Return a page of HTML about an error, in which nothing that the error says is taken for HTML.

    Args:
        error: the error, with its traceback.
        text: the same as text, with all that Python says.

    """
    parts = [f"<h1>{escape(_summary(error))}</h1>"]
    for index, (each, how) in enumerate(_chain(error)):
        if index:
            parts.append(f"<h2>{how}</h2><h1>{escape(_summary(each))}</h1>")
        parts += _frames(each)
    title = escape(_summary(error).split("\n", 1)[0][:200])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style>{''.join(parts)}"
        f"<details><summary>as text</summary><pre><span>{escape(text)}</span></pre></details>"
        "<footer>This page is shown because the app is in debug mode, which is for development only.</footer></html>"
    )


def _summary(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(type(error), error)).strip()


def _chain(error: BaseException) -> Iterator[tuple[BaseException, str]]:
    """Return an error and those that led to it, each with words for how."""
    seen: set[int] = set()
    each: Optional[BaseException] = error
    how = ""
    while each is not None and id(each) not in seen and len(seen) < _CHAIN_MAX:
        seen.add(id(each))
        yield each, how
        if each.__cause__ is not None:
            each, how = each.__cause__, "It was caused by"
        else:
            each, how = None if each.__suppress_context__ else each.__context__, "It was raised while this was handled"


def _frames(error: BaseException) -> Iterator[str]:
    """Return where an error was raised, the innermost call first."""
    places = list(traceback.walk_tb(error.__traceback__))[::-1]
    is_open = True
    for frame, number in places[:_FRAMES_MAX]:
        opens = is_open and not frame.f_code.co_filename.startswith(_OWN)
        is_open = is_open and not opens
        yield _frame(frame, number, opens)
    if len(places) > _FRAMES_MAX:
        yield f"<h2>and {len(places) - _FRAMES_MAX} calls more</h2>"


def _frame(frame: FrameType, number: int, opens: bool) -> str:
    file = frame.f_code.co_filename
    first = max(number - _LINES_AROUND, 1)
    rows = []
    for line in range(first, number + _LINES_AROUND + 1):
        source = linecache.getline(file, line, frame.f_globals).rstrip("\n")
        if source or line == number:
            kind = ' class="here"' if line == number else ""
            rows.append(f"<span{kind}>{line:>5} {escape(source)}</span>")
    where = f"<b>{escape(frame.f_code.co_name)}</b> in {escape(file)}, line {number}"
    return f"<details{' open' if opens else ''}><summary>{where}</summary><pre>{''.join(rows)}</pre></details>"
