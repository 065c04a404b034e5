"""The overview as an operator uses it: what is worst, groups, search, pause with undo, a chart's numbers."""

from __future__ import annotations

import re
import time

import pytest
from dashboard_browser import OpenAs
from dashboard_site import Site
from playwright.sync_api import expect

from corral import Objective
from corral.breakers import Breakers
from corral.bullmq import depths, objectives, statistics
from corral.bullmq.depths import Depth

NAMES = [*(f"mail-{place}" for place in ("eu", "us", "in")), *(f"sync-{n}" for n in range(10)), "kyc"]


async def seed(site: Site) -> None:
    """Queues that nobody serves; kyc is held, mail-eu late by its own objective, mail-us not by its."""
    queues = {name: site.queue(name) for name in NAMES}
    client, now = queues["kyc"].client(), round(time.time() * 1000)
    for name in ("mail-eu", "mail-us"):
        await queues[name].add_many("send", [1, 2, 3])
    held = await queues["kyc"].add_many("verify", [1] * 7, delay=3_600)
    await Breakers(site.redis.url).hold("onfido", "401 authorization_error")
    await client.zadd("corral:bull::breaker:onfido:held", {f"kyc:{job.id}": 1 for job in held})
    await objectives.note(client, "bull", {"mail-eu": Objective(age=0.001), "mail-us": Objective(age=86_400)})
    past = {queues[name].keys(): Depth(waiting=4) for name in NAMES}
    for minute in (50, 49, 20, 1):
        await depths.write(client, past, now - minute * 60_000)
    await statistics.note_release(client, "bull", "shop@2.14.0", now - 600_000)
    for name in ("mail-in", *NAMES[3:13]):  # so that there is something to find
        await queues[name].add("send", 1)
        await queues[name].admin.drain()
    for queue in queues.values():
        await queue.close()


@pytest.fixture(scope="module", autouse=True)
def seeded(site: Site) -> None:
    site.do(seed)


def test_the_overview(open_as: OpenAs) -> None:
    page = open_as("olu")
    expect(page.get_by_role("heading", name=re.compile("kyc is held"))).to_be_visible()
    table = page.locator("table.queues")
    first = table.locator("tbody tr").first
    expect(first).to_contain_text("kyc")
    expect(first).to_contain_text("not draining")

    # Many queues come in groups, which are remembered as they were left.
    sync = table.get_by_role("button", name=re.compile("sync 10 queues"))
    expect(sync).to_have_attribute("aria-expanded", "true")
    expect(table.get_by_role("link", name="sync-3")).to_be_visible()
    sync.focus()
    page.keyboard.press("Enter")
    expect(sync).to_have_attribute("aria-expanded", "false")
    expect(table.get_by_role("link", name="sync-3")).to_have_count(0)
    page.reload()
    expect(table.get_by_role("button", name=re.compile("sync 10 queues"))).to_have_attribute(
        "aria-expanded", "false"
    )
    page.get_by_label("Group by").select_option("")
    expect(table.get_by_role("link", name="sync-3")).to_be_visible()

    # Each has the objective that its workers declare.
    row = table.get_by_role("row").filter(has=page.get_by_role("link", name="mail-us", exact=True))
    expect(row).to_contain_text("/ 1\u00a0d")
    page.get_by_label("Find a queue").fill("SYNC-4")
    expect(table.locator("tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Pause sync-4").click()
    expect(page.get_by_role("button", name="Resume sync-4")).to_be_visible()
    expect(table).to_contain_text("Paused, nothing waits")
    page.get_by_role("button", name=re.compile("^Undo")).click()
    expect(page.get_by_role("button", name="Pause sync-4")).to_be_visible()
    page.get_by_label("Find a queue").fill("nothing like it")
    expect(page.get_by_text("No queue is called like nothing like it.")).to_be_visible()
    page.get_by_label("Find a queue").fill("")

    # The chart says its marks, and its numbers are a table with gaps.
    expect(
        page.get_by_role("img", name=re.compile("Waiting jobs by queue, last hour.*kyc 7 now.*Deploy 2.14.0"))
    ).to_be_visible()
    page.get_by_text("As a table").click()
    numbers = page.get_by_role("region", name="As a table")
    expect(numbers.locator("tbody tr")).to_have_count(60)
    expect(numbers).to_contain_text("\u2013")
    page.get_by_role("button", name="90 d").click()
    expect(
        page.get_by_role("img", name=re.compile("Waiting jobs by queue, last 90 days.*Deploy 2.14.0"))
    ).to_be_visible()
    changed = page.locator(".side")
    expect(changed).to_contain_text("Deploy 2.14.0")
    expect(changed).to_contain_text("sync-4, by olu")


def test_who_may_only_look_pauses_nothing(open_as: OpenAs) -> None:
    page = open_as("vi")
    expect(page.locator("table.queues").get_by_role("link", name="kyc", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^(Pause|Resume|Actions on) "))).to_have_count(0)


def test_a_narrow_page_never_scrolls_sideways(open_as: OpenAs) -> None:
    page = open_as("olu", width=375)
    expect(page.locator("table.queues")).to_contain_text("kyc")
    page.get_by_role("img", name=re.compile("Waiting jobs by queue")).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
