"""Every route in both themes, wide and narrow: for everybody to read, never sideways, all by keyboard."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from dashboard_browser import OpenAs, go
from dashboard_incident import FAILED_JOB, seed_incident
from dashboard_site import Site
from playwright.sync_api import Page, expect

UI = Path(__file__).resolve().parents[2] / "ui"
AXE = (UI / "node_modules/axe-core/axe.min.js").read_text()

#: What stands for the parameters of a route.
VALUES = {"queue": "orders", "id": FAILED_JOB, "name": "onfido", "flow": FAILED_JOB}

#: Findings that stop somebody.
GRAVE = {"serious", "critical"}

WIDTHS = (320, 375, 768, 1180, 1440)

#: What is there when a page has its data.
FILLED = "main :is(table tbody tr, .finding, .empty, .facts, .group button, .timeline, .kv)"

RUN_AXE = """
async () => {
  const found = await axe.run(document, {resultTypes: ['violations']})
  return found.violations.map(one => ({
    id: one.id, impact: one.impact,
    where: one.nodes.slice(0, 5).map(node => node.target.join(' ') + ' ' + node.html.slice(0, 160)),
  }))
}
"""


def routes() -> list[str]:
    """The addresses of all routes, read from the router: a new page is looked at without a word here."""
    paths = re.findall(r"path: '([^']+)'", (UI / "src/main.tsx").read_text())
    assert len(paths) > 8
    filled = [re.sub(r"\$(\w+)", lambda name: quote(VALUES[name[1]], safe=""), path) for path in paths]
    return [*filled, "/dead?state=operations", "/queues/orders?state=failed", "/queues/email"]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as started:
        started.do(seed_incident)
        yield started


def settle(page: Page, path: str) -> None:
    go(page, path)
    page.locator(FILLED).first.wait_for()
    expect(page.locator("main [aria-busy=true]")).to_have_count(0)


def grave_of(page: Page) -> list[str]:
    """What axe finds that stops somebody. Evaluated, as the page takes no script from here."""
    page.evaluate(AXE)
    return [
        f"{one['id']}\n    " + "\n    ".join(one["where"])
        for one in page.evaluate(RUN_AXE)
        if one["impact"] in GRAVE
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1440])
def test_nothing_on_any_page_stops_anybody(open_as: OpenAs, theme: str, width: int) -> None:
    page = open_as("ada", "/", theme=theme, width=width)
    grave: list[str] = []
    for path in routes():
        settle(page, path)
        grave += [f"{path} at {width} px, {theme}: {one}" for one in grave_of(page)]
    assert not grave, "\n".join(grave)


def test_what_lies_over_a_page_stops_nobody_either(open_as: OpenAs) -> None:
    page = open_as("ada", "/workers")
    for key, name in (("/", "Search and commands"), ("?", "Keyboard")):
        settle(page, "/workers")
        page.keyboard.press(key)
        expect(page.get_by_role("dialog", name=name)).to_be_visible()
        assert grave_of(page) == []


def test_no_page_scrolls_sideways(open_as: OpenAs) -> None:
    page = open_as("ada", "/")
    wide: list[str] = []
    for path in routes():
        settle(page, path)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            if over > 0:
                wide.append(f"{path} at {width} px: {over} px too wide; {widest(page)}")
    assert not wide, "\n".join(wide)


def widest(page: Page) -> str:
    """The innermost elements that stand out of the window, for who has to repair it."""
    found: str = page.evaluate(
        """() => [...document.querySelectorAll('body *')]
             .filter(one => one.getBoundingClientRect().right > innerWidth + 1)
             .slice(-3).map(one => one.outerHTML.slice(0, 120)).join(' | ')"""
    )
    return found
