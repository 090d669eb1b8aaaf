"""How Sphinx makes the site of these pages: ``sphinx-build -E -W --keep-going -c docs -d .site/doctrees . .site/html``.

Sphinx because it is kept well, reads the field's docstrings as they are, and is strict about links and about pages that no
reader finds. Its source is the whole repository, so that every link between pages is the same here and where the code is shown.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]
# A tree without the library documents the package that is installed.
if (ROOT / "socketify" / "native" / "libsocketify.so").exists():
    sys.path.insert(0, str(ROOT))

import socketify  # noqa: E402 - found by the line above

project = "socketify"
author = "socketify contributors"
project_copyright = author
version = release = socketify.__version__

root_doc = "docs/index"
include_patterns = ["docs/**", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md"]
# Folders that hold many files and no page are not even walked.
exclude_patterns = [".*", "bench", "fuzz", "socketify", "tests", "zig*"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
nitpicky = True
# Dashes only: quotes are those of code.
smartquotes_action = "D"
# What is documented elsewhere, and names that only say that what is returned is what was given.
nitpick_ignore_regex = [
    ("py:.*", rf"_?({'|'.join(sorted(sys.stdlib_module_names))})(\..*)?"),
    ("py:class", r"httpx\..*"),
    ("py:class", r"socketify\..*\.(Self|Function|Presence)"),
]

# Every heading can be linked to, by the name that it has on code hosts.
myst_heading_anchors = 4

autodoc_default_options = {"members": True, "inherited-members": "BaseException, tuple, int"}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_numpy_docstring = False
napoleon_use_rtype = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 110
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"socketify {release}"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
# What is opened first, although the pages have the places of their sources.
html_additional_pages = {"index": "redirect.html"}
templates_path = ["_templates"]
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"
pygments_dark_style = "github-dark"

SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([\w./-]+\.(?:md|rst))\)")


def navigation_of(text: str) -> str:
    """Return the first page with the navigation of the site behind it: its headings, and the pages that it links to there."""
    listed: set[str] = set()
    parts = SECTION.split(text)[1:]
    for heading, content in zip(parts[::2], parts[1::2]):
        pages = [page for page in dict.fromkeys(LINK.findall(content)) if page not in listed]
        listed.update(pages)
        text += "\n".join(["\n```{toctree}", ":hidden:", f":caption: {heading}\n", *pages, "```\n"])
    return text


def list_of_examples() -> str:
    """Return a list of the programs in examples/, each with what it says of itself."""
    lines = []
    for program in sorted((ROOT / "examples").glob("*.py")):
        first, *_ = (ast.get_docstring(ast.parse(program.read_text())) or "").splitlines()
        lines.append(f"- [{program.name}](../examples/{program.name}): {first.partition(' Usage:')[0]}")
    return "\n".join(lines)


def complete(_: Sphinx, name: str, source: list[str]) -> None:
    """Give pages what would be noise where they are read as they are, or would have to be kept up to date."""
    if name == root_doc:
        source[0] = navigation_of(source[0])
    elif name == "docs/examples":
        source[0] = f"{source[0]}\n{list_of_examples()}\n"


def keep_sentences(_app: Sphinx, what: str, _name: str, _member: object, _options: object, lines: list[str]) -> None:
    """Keep what an attribute's description says before its first colon, which would be taken for a type."""
    if what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]


def setup(app: Sphinx) -> None:
    """Tell Sphinx what is called when."""
    app.connect("source-read", complete)
    app.connect("autodoc-process-docstring", keep_sentences, priority=400)
