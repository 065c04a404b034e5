"""Every route in both themes, wide and narrow: for everybody to read, never sideways, all by keyboard."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from dashboard_browser import OpenAs, go, in_theme
from dashboard_incident import FAILED_JOB, seed_incident
from dashboard_site import Site
from playwright.sync_api import Page, expect

UI = Path(__file__).resolve().parents[2] / "ui"
AXE = (UI / "node_modules/axe-core/axe.min.js").read_text()

#: What stands for the parameters of a route.
VALUES = {"queue": "orders", "id": FAILED_JOB, "name": "onfido", "flow": FAILED_JOB}

#: Findings that stop somebody.
GRAVE = {"serious", "critical"}

#: The widest last: there the next page is opened.
WIDTHS = (320, 375, 768, 1180, 1440)

#: What is there when a page has its data.
FILLED = "main :is(table tbody tr, .flow-list li, .finding, .empty, .facts, .group button, .timeline, .kv)"

#: Rules that look at colours; all others say the same in another theme.
COLOURS = ["color-contrast", "link-in-text-block"]

RUN_AXE = """
async rules => {
  const found = await axe.run(document, {resultTypes: ['violations'], ...rules && {runOnly: rules}})
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


def grave_of(page: Page, rules: list[str] | None = None) -> list[str]:
    """What axe finds that stops somebody, by all its rules or by these.

    Evaluated, as the page takes no script from here.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    return [
        f"{one['id']}\n    " + "\n    ".join(one["where"])
        for one in page.evaluate(RUN_AXE, rules)
        if one["impact"] in GRAVE
    ]


@pytest.mark.parametrize("width", [375, 1440])
def test_nothing_on_any_page_stops_anybody(open_as: OpenAs, width: int) -> None:
    """In both themes; and from the wide one at each width, no page scrolls sideways."""
    page = open_as("ada", "/", width=width)
    grave: list[str] = []
    for path in routes():
        settle(page, path)
        for theme, rules in (("light", None), ("dark", COLOURS)):
            in_theme(page, theme)
            grave += [f"{path} at {width} px, {theme}: {one}" for one in grave_of(page, rules)]
        if width == max(WIDTHS):
            grave += [f"{path} {one}" for one in sideways(page)]
    assert not grave, "\n".join(grave)


def test_what_lies_over_a_page_stops_nobody_either(open_as: OpenAs) -> None:
    page = open_as("ada", "/workers")
    for key, name in (("/", "Search and commands"), ("?", "Keyboard")):
        settle(page, "/workers")
        page.keyboard.press(key)
        expect(page.get_by_role("dialog", name=name)).to_be_visible()
        assert grave_of(page) == []


def sideways(page: Page) -> list[str]:
    """At which widths it is too wide. The window is as it was afterwards."""
    wide = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if over > 0:
            wide.append(f"at {width} px: {over} px too wide; {widest(page)}")
    return wide


def widest(page: Page) -> str:
    """The innermost elements that stand out of the window, for who has to repair it."""
    found: str = page.evaluate(
        """() => [...document.querySelectorAll('body *')]
             .filter(one => one.getBoundingClientRect().right > innerWidth + 1)
             .slice(-3).map(one => one.outerHTML.slice(0, 120)).join(' | ')"""
    )
    return found


def cursor_of(page: Page) -> str:
    """The row that the cursor is at."""
    return page.locator("[data-cursor]").get_attribute("data-row") or ""


def focused(page: Page) -> str:
    said: str = page.evaluate("document.activeElement.textContent")
    return said


def test_everything_goes_by_keyboard(open_as: OpenAs) -> None:
    page = open_as("olu", "/")
    expect(page).to_have_title("Overview · Corral")
    page.locator("main tbody tr").first.wait_for()
    page.keyboard.type("gs")
    expect(page).to_have_title("Schedules · Corral")
    expect(page.locator("h1")).to_be_focused()
    page.locator("main tbody tr").nth(1).wait_for()
    page.keyboard.press("j")
    expect(page.locator("[data-cursor]")).to_have_count(1)
    first = cursor_of(page)
    page.keyboard.press("j")
    expect(page.locator(f'[data-row="{first}"][data-cursor]')).to_have_count(0)
    page.keyboard.press("k")
    assert cursor_of(page) == first
    assert focused(page) in first
    page.keyboard.press("Enter")
    expect(page.locator("tr.inset")).to_be_visible()
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keyboard")
    expect(keys.get_by_role("region", name="On this page")).to_contain_text("Next row")
    page.keyboard.type("ga")  # means nothing here
    page.keyboard.press("Escape")
    expect(keys).to_have_count(0)
    expect(page).to_have_title("Schedules · Corral")
    theme = "document.documentElement.dataset.theme"
    before = page.evaluate(theme)
    page.keyboard.press("t")
    assert page.evaluate(theme) != before


def test_a_job_is_found_by_its_id_and_the_next_one_from_the_list(open_as: OpenAs) -> None:
    page = open_as("olu", "/workers")
    page.keyboard.press("/")
    field = page.get_by_role("combobox", name="Search and commands")
    expect(field).to_be_focused()
    page.keyboard.type(FAILED_JOB)
    job = page.get_by_role("option", name=re.compile(f"^{FAILED_JOB}"))
    expect(job).to_have_attribute("aria-selected", "true")
    assert field.get_attribute("aria-activedescendant") == job.get_attribute("id")
    page.keyboard.press("Enter")
    expect(page).to_have_title(f"{FAILED_JOB} · orders · Corral")
    page.keyboard.press("Control+k")
    page.keyboard.type("orders")
    expect(page.get_by_role("option").first).to_contain_text("orders")
    page.keyboard.press("Enter")
    expect(page).to_have_title("orders · Corral")
    go(page, "/queues/orders?state=failed")
    page.locator("main tbody tr").nth(1).wait_for()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.locator("main .jobid").wait_for()
    opened = page.locator("main .jobid").inner_text()
    page.keyboard.press("]")
    expect(page.locator("main .jobid")).not_to_have_text(opened)
    page.keyboard.press("[")
    expect(page.locator("main .jobid")).to_have_text(opened)


def test_commands_are_for_those_who_may(open_as: OpenAs) -> None:
    page = open_as("olu", "/")
    page.locator("main tbody tr").first.wait_for()
    page.keyboard.press("Control+k")
    page.keyboard.type("pause email")
    command = page.get_by_role("option", name=re.compile("^Pause email"))
    expect(command).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page.get_by_text("email is paused.")).to_be_visible()
    page.keyboard.press("u")
    expect(page.get_by_text("Taken back.")).to_be_visible()
    page.keyboard.press("Control+k")
    expect(page.get_by_role("group", name="Recent")).to_contain_text("Pause email")
    viewer = open_as("vi", "/")
    viewer.locator("main tbody tr").first.wait_for()
    viewer.keyboard.press("Control+k")
    viewer.keyboard.type("email")
    expect(viewer.get_by_role("option", name=re.compile("^email"))).to_be_visible()
    expect(viewer.get_by_role("option", name=re.compile("Pause|Add a job"))).to_have_count(0)


def test_a_thumb_reaches_every_page(open_as: OpenAs) -> None:
    page = open_as("ada", "/", width=375)
    bar = page.locator(".tabbar")
    expect(bar.get_by_role("link")).to_have_count(4)
    bar.get_by_role("link", name="Dead").click()
    expect(page).to_have_title("Dead letters · Corral")
    bar.get_by_role("button", name="More").click()
    page.get_by_role("dialog", name="More").get_by_role("link", name="Alerts").click()
    expect(page).to_have_title("Alerts · Corral")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_role("combobox", name="Search and commands")).to_be_focused()
