"""Two hundred queues, one of them with a million jobs: the pages open, scroll, filter and follow."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from bench.dashboard_seed import BIG, Crowd, seed
from dashboard_browser import OpenAs, go
from dashboard_site import Site
from playwright.sync_api import Page, expect

QUEUES, JOBS = 200, 1_000_000


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as started:
        # Minutes of statistics in place of months: they are not what this is about.
        seed(started.redis.url, Crowd(queues=QUEUES, jobs=JOBS, days=1))
        yield started


def rows(page: Page) -> int:
    return int(page.locator("table.jobs tbody tr:not(.space)").count())


@pytest.mark.timeout(600)
def test_a_million_jobs_are_opened_scrolled_filtered_and_followed(open_as: OpenAs, site: Site) -> None:
    page = open_as("ada", "/")
    # The first one waits for the walk over a million keys.
    expect(page.get_by_role("row", name="queue-001")).to_be_visible(timeout=120_000)
    assert int(page.locator("table.queues").get_attribute("aria-rowcount") or 0) > QUEUES
    assert page.locator("table.queues tbody tr").count() < 60, "Rows beyond the screen are not in the page"
    expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()

    go(page, f"/queues/{BIG}")
    first = page.locator("table.jobs tbody tr:not(.space)").first
    expect(first).to_contain_text("user1@example.com")
    expect(page.get_by_role("status").filter(has_text=re.compile("900.k jobs"))).to_be_visible()
    assert rows(page) < 100, "Rows beyond the screen are not in the page"

    # Down through several pages of the list: more is loaded, and the page stays small.
    for _ in range(12):
        page.mouse.wheel(0, 4_000)
        page.wait_for_timeout(100)
    page.wait_for_function(
        "[...document.querySelectorAll('table.jobs tr[data-index]')].at(-1).dataset.index > 100"
    )
    assert rows(page) < 120

    page.get_by_label("Filter the jobs").fill("name:send-3")
    page.keyboard.press("Enter")
    expect(page.get_by_text("match · searched")).to_be_visible()
    page.evaluate("scrollTo(0, 0)")
    expect(first).to_contain_text("send-3")

    async def pause(site: Site) -> None:
        big = site.queue(BIG)
        await big.admin.pause()
        await big.close()

    # Nobody reloads: the page is told, well before it would ask by itself.
    site.do(pause)
    expect(page.get_by_role("heading", name=BIG).locator(".pill")).to_contain_text("Paused")


def test_rows_of_the_overview_keep_their_place_under_the_pointer(open_as: OpenAs, site: Site) -> None:
    page = open_as("vi", "/")
    table = page.locator("table.queues tbody tr")
    expect(page.get_by_role("row", name="queue-001")).to_be_visible(timeout=120_000)
    table.first.hover()
    before = table.locator(".qlink").all_inner_texts()
    last = before[-1]

    async def starve(site: Site) -> None:
        queue = site.queue(last)
        await queue.add_many("send", [{"to": number} for number in range(5_000)])
        client, keys = queue.client(), queue.keys()
        (oldest,) = await client.lrange(keys.wait, -1, -1)
        assert isinstance(oldest, bytes)
        await client.hset(keys.job(oldest.decode()), "timestamp", 1)  # behind as no other
        await queue.close()

    site.do(starve)
    row = page.get_by_role("row", name=last)
    expect(row).to_contain_text("5,0")
    assert table.locator(".qlink").all_inner_texts() == before
    page.mouse.move(2, 2)
    expect(table.locator(".qlink").last).not_to_have_text(last)
