"""Redis stops while a page is open: the page says so, keeps what it knew, offers nothing, and comes back."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from dashboard_browser import OpenAs
from dashboard_site import Site, seed
from playwright.sync_api import expect

from corral.bullmq import registry
from corral.data import encode

#: Why nothing can be done.
OFF = "Redis does not answer: nothing can be changed now."


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Its Redis has everything again when it is started again, sessions included."""
    with Site("--appendonly", "yes", "--dir", str(tmp_path_factory.mktemp("redis"))) as started:
        started.do(seed)
        yield started


def test_it_says_so_keeps_what_it_knew_and_comes_back(open_as: OpenAs, site: Site) -> None:
    page = open_as("ada", "/schedules")
    row = page.get_by_role("row", name="nightly")
    down = page.get_by_text("Redis does not answer since")
    expect(row).to_be_visible()
    expect(page.get_by_role("button", name="New schedule")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    page.evaluate("window.neverReloaded = true")
    site.redis.kill()
    expect(down).to_be_visible()
    expect(row).to_contain_text("at 03:00 on weekdays")
    new = page.get_by_role("button", name="New schedule")
    expect(new).to_be_disabled()
    expect(new).to_have_attribute("title", OFF)
    expect(row.locator(".act button")).to_be_disabled()
    site.redis.start()
    expect(down).to_have_count(0)
    expect(row).to_be_visible()
    expect(page.get_by_role("button", name="New schedule")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    assert page.evaluate("window.neverReloaded"), "It comes back without a reload"


def test_what_would_change_something_is_off_and_says_why_and_the_rest_works(
    open_as: OpenAs, site: Site
) -> None:
    page = open_as("ada", "/queues/email")
    pause, edit = (
        page.get_by_role("button", name="Pause"),
        page.get_by_role("button", name="Edit", exact=True),
    )
    more, row = page.get_by_role("button", name="More: "), page.locator("tbody tr[data-row]").first
    expect(row).to_be_visible()
    for button in (pause, edit, more):
        expect(button).to_be_enabled()
    site.redis.kill()
    expect(page.get_by_text("Redis does not answer since")).to_be_visible()
    for button in (pause, edit, more, page.get_by_role("button", name="Add job")):
        expect(button).to_be_disabled()
        expect(button).to_have_attribute("title", OFF)
        expect(button).to_have_attribute("aria-description", OFF)
    edit.click(force=True)
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("p")
    expect(page.get_by_text(OFF)).to_be_visible()
    # What changes nothing may be chosen.
    row.get_by_role("button").last.click()
    expect(page.get_by_role("menuitem", name="Add it again")).to_be_disabled()
    expect(page.get_by_role("menuitem", name="Open")).to_be_enabled()
    page.keyboard.press("Escape")
    site.redis.start()
    for button in (pause, edit, more):
        expect(button).to_be_enabled()


def test_nothing_is_said_of_workers_that_nobody_hears(open_as: OpenAs, site: Site) -> None:
    async def beat(site: Site) -> None:
        now = time.time()
        beats = encode({
            "name": "worker-1", "host": "h", "pid": 1, "version": "v1", "queues": ["email"], "slots": 2,
            "busy": 0, "jobs": [], "memory_bytes": 1, "cpu_percent": 0.0, "beat_at": now,
            "started_at": now - 60, "places": {"email": [2, 0]},
        })  # fmt: skip
        email = site.queue("email")
        await registry.write_beat(email.client(), "bull", "worker-1", beats, seconds=86_400)

    site.do(beat)
    page = open_as("ada", "/workers")
    row = page.get_by_role("row", name="worker-1")
    expect(row).to_contain_text("Running")
    site.redis.kill()
    expect(page.get_by_text("Redis does not answer since")).to_be_visible()
    expect(row).to_contain_text(re.compile(r"Last heard of at \d\d:\d\d:\d\d; not known now"))
    expect(row).not_to_contain_text("Its beat is missing")
    expect(row.get_by_role("button", name="Quiet or stop")).to_be_disabled()
    site.redis.start()
