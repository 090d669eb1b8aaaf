"""The documentation as a site: complete, without a broken link, and readable without a network."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser
from server_programs import environment

import socketify

inventory = pytest.importorskip("sphinx.util.inventory", reason="the extra docs is not installed")

ROOT = Path(__file__).parents[1]
PAGES = [
    "docs/index.html",
    "docs/websockets.html",
    "docs/tutorial/rooms.html",
    "docs/benchmarks.html",
    "docs/reference/app.html",
]


def build(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """Build a site as ``.ci/run`` does."""
    options = ["-q", "-W", "--keep-going", "-c", str(ROOT / "docs"), "-d", str(target.parent / "doctrees")]
    command = [sys.executable, "-m", "sphinx", *options, str(source), str(target)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site that was built already, or that is built now."""
    if "SOCKETIFY_SITE" in os.environ:
        return Path(os.environ["SOCKETIFY_SITE"])
    target = tmp_path_factory.mktemp("site") / "html"
    done = build(ROOT, target)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def show(browser: Browser, site: Path, page: str) -> None:
    browser.call(
        "Page.navigate", url=f"{(site / page.partition('?')[0]).as_uri()}{page[page.find('?') :] if '?' in page else ''}"
    )
    browser.wait_for(f"location.pathname.endsWith({page.partition('?')[0]!r}) && document.readyState == 'complete'")


def public_names() -> Iterator[str]:
    """The package's names, and those of its classes but for what builtin classes and parameters of dataclasses tell."""
    for name in socketify.__all__:
        yield f"socketify.{name}"
        each = getattr(socketify, name)
        if inspect.isclass(each):
            told = set(getattr(each, "__dataclass_fields__", ()))
            told.update(*(vars(base) for base in each.__mro__ if not base.__module__.startswith("socketify")))
            own = (member for member in dir(each) if member not in told and not member.startswith("_"))
            yield from (f"socketify.{name}.{member}" for member in own if not member.endswith("_"))


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    with (site / "objects.inv").open("rb") as file:
        known = inventory.InventoryFile.load(file, "", os.path.join)
    documented = {name for objects in known.values() for name in objects}
    missing = sorted(set(public_names()) - documented)
    assert not missing, f"add to a page in docs/reference/, or describe: {missing}"


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    loading = re.compile(
        r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"https?:[^\"]*|@import[^;]*https?:[^;]*|url\(['\"]?https?:[^)]*"
    )
    files = [file for suffix in ("html", "css") for file in site.rglob(f"*.{suffix}")]
    assert len(files) > 30
    assert {file.name: found for file in files if (found := loading.findall(file.read_text()))} == {}


def test_a_page_for_nobody_and_a_link_to_nothing_are_refused(tmp_path: Path) -> None:
    docs = tmp_path / "source" / "docs"
    docs.mkdir(parents=True)
    (docs / "index.md").write_text("# Start\n\n## Pages\n\n- [One](one.md)\n")
    (docs / "one.md").write_text("# One\n\n[there](one.md#one), [nowhere](two.md), [no such part](one.md#two)\n")
    (docs / "alone.md").write_text("# Alone\n")
    done = build(docs.parent, tmp_path / "html")
    assert done.returncode != 0
    warnings = [line for line in done.stderr.splitlines() if "WARNING" in line]
    assert len(warnings) == 3, done.stderr
    for part in ("alone.md", "'two.md'", "'docs/one': 'two'"):
        assert any(part in line for line in warnings), (part, warnings)


def test_the_first_page_is_found(browser: Browser, site: Path) -> None:
    browser.call("Page.navigate", url=(site / "index.html").as_uri())
    browser.wait_for("location.pathname.endsWith('docs/index.html') && document.querySelector('h1') != null")


def test_search_finds_pages_without_a_server(browser: Browser, site: Path) -> None:
    show(browser, site, "search.html?q=backpressure")
    browser.wait_for("document.querySelectorAll('ul.search li a').length > 2")
    found = browser.evaluate(
        "[...document.querySelectorAll('ul.search li a')].map(each => each.getAttribute('href')).join(' ')"
    )
    assert "docs/streaming.html" in found


def test_dark_mode_is_the_readers_choice(browser: Browser, site: Path) -> None:
    show(browser, site, "docs/index.html")
    colours = set()
    for scheme in ("light", "dark"):
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        colours.add(browser.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(colours) == 2
    before = browser.evaluate("document.body.dataset.theme")
    browser.evaluate("document.querySelector('.theme-toggle').click()")
    assert browser.evaluate("document.body.dataset.theme") != before


@pytest.mark.parametrize("page", PAGES)
def test_pages_fit_a_phone(browser: Browser, site: Path, page: str) -> None:
    browser.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=2, mobile=True)
    show(browser, site, page)
    assert browser.evaluate("document.documentElement.scrollWidth") <= 390
