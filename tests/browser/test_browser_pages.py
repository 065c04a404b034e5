"""Every page in both themes and two widths: no fault, nothing refused, nothing asked of another host."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from dashboard_browser import OpenAs, go, in_theme
from dashboard_site import BOLD, EVIL, Site
from playwright.sync_api import Page, expect

from corral.bullmq import registry
from corral.data import encode

PAGES = ["/", "/workers", "/schedules", "/flows", "/events", "/audit", "/redis", "/checklist", "/settings"]

#: What is there when a page has its data.
FILLED = "table tbody tr, .flow-list li, .finding, .empty, .facts"


class Watched:
    """What went wrong on a page, and whom it asked."""

    def __init__(self, page: Page) -> None:
        self.faults: list[str] = []
        self.hosts: set[str] = set()
        self.dialogs = 0
        page.on("console", lambda said: self.faults.append(said.text) if said.type != "log" else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("requestfailed", lambda request: self._failed(request.url, request.failure))
        page.on("response", lambda answer: self._answered(answer.url, answer.status))
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        page.on("dialog", lambda dialog: self._opened(dialog.dismiss))

    def _failed(self, url: str, why: str | None) -> None:
        if why != "net::ERR_ABORTED":  # the page was left
            self.faults.append(f"{url}: {why}")

    def _answered(self, url: str, status: int) -> None:
        if status >= 400:
            self.faults.append(f"{url}: {status}")

    def _opened(self, dismiss: Callable[[], None]) -> None:
        self.dialogs += 1
        dismiss()


@pytest.mark.parametrize(("theme", "other", "width"), [("dark", "light", 375), ("light", "dark", 1440)])
def test_every_page_opens_without_a_fault(
    open_as: OpenAs, site: Site, theme: str, other: str, width: int
) -> None:
    page = open_as("ada", "/", theme=theme, width=width)
    watched = Watched(page)
    for path in PAGES:
        go(page, path)
        page.locator(FILLED).first.wait_for()
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, (
            f"{path} scrolls sideways"
        )
        in_theme(page, other)  # what draws itself is drawn anew
        page.locator(FILLED).first.wait_for()
    assert watched.faults == []
    assert {host for host in watched.hosts if host} == {f"127.0.0.1:{site.port}"}


def test_the_overview_shows_what_is_there_and_follows_a_change(open_as: OpenAs, site: Site) -> None:
    page = open_as("vi", "/")
    row = page.get_by_role("row", name="email")
    # Twelve, and the first run of a schedule.
    expect(row.get_by_role("cell").nth(1)).to_contain_text("13")

    async def add(site: Site) -> None:
        email = site.queue("email")
        await email.add_many("send", [{"to": number} for number in range(5)])
        await email.close()

    site.do(add)
    expect(row.get_by_role("cell").nth(1)).to_contain_text("18")


def test_what_looks_like_a_page_is_shown_as_text(open_as: OpenAs) -> None:
    page = open_as("ada", "/")
    watched = Watched(page)
    for path in PAGES:
        go(page, path)
        page.locator(FILLED).first.wait_for()
        assert page.locator("main b:has-text('odd') b, main img, main script").count() == 0, path
    go(page, "/")
    expect(page.locator("main").get_by_text(BOLD, exact=True)).to_be_visible()
    go(page, "/schedules")
    page.get_by_role("button", name=EVIL, exact=True).click()
    expect(page.locator("pre")).to_contain_text(EVIL)
    page.get_by_role("button", name="broken", exact=True).click()
    expect(page.get_by_label("Last results")).to_contain_text(f"no figures {EVIL}")
    assert page.locator("main img").count() == 0
    assert watched.dialogs == 0
    assert watched.faults == []


def test_the_workers_page_shows_a_beat_and_its_jobs(open_as: OpenAs, site: Site) -> None:
    async def beat(site: Site) -> None:
        email = site.queue("email")
        job = {"queue": "email", "id": "7", "name": EVIL, "started_at": 1.0}
        worker = {
            "name": "w-1", "host": "h", "pid": 7, "version": "v1", "queues": ["email"], "slots": 3, "busy": 1,
            "jobs": [job], "beat_at": 1.0, "started_at": 1.0,
        }  # fmt: skip
        await registry.write_beat(email.client(), "bull", "w-1", encode(worker), seconds=60)
        await email.close()

    site.do(beat)
    page = open_as("ada", "/workers")
    expect(page.get_by_role("row", name="w-1").first).to_contain_text("1 of 3")
    jobs = page.get_by_label("Jobs in the slots of w-1")
    expect(jobs).to_contain_text(EVIL)
    expect(jobs.get_by_role("link")).to_have_attribute("href", "/queues/email/jobs/7")
    page.get_by_role("button", name="Quiet or stop w-1").click()
    page.get_by_role("menuitem", name="Take no new jobs").click()
    page.get_by_role("dialog").get_by_role("button", name="Make it quiet").click()
    expect(page.get_by_text("w-1 told to take no new jobs")).to_be_visible()
