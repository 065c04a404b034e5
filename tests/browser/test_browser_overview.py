"""The overview as an operator uses it: what is worst and who has it, groups, search, rates, a chart."""

from __future__ import annotations

import re
import time

import pytest
from dashboard_browser import OpenAs, go
from dashboard_incident import seed_alert
from dashboard_site import Site
from playwright.sync_api import expect

from corral import Objective
from corral.breakers import Breakers
from corral.bullmq import depths, objectives, statistics
from corral.bullmq.depths import Depth
from corral.bullmq.statistics import Entry

#: How many jobs failed of how many, by minutes ago.
ENDED = {0: (10, 100), 10: (50, 100), 40: (200, 200)}

NAMES = [*(f"mail-{place}" for place in ("eu", "us", "in")), *(f"sync-{n}" for n in range(10)), "kyc"]


async def seed(site: Site) -> None:
    """Queues that nobody serves; kyc is held, mail-eu late by its own objective, mail-us not by its."""
    queues = {name: site.queue(name) for name in NAMES}
    client, now = queues["kyc"].client(), round(time.time() * 1000)
    for name in ("mail-eu", "mail-us"):
        await queues[name].add_many("send", [1, 2, 3])
    held = await queues["kyc"].add_many("verify", [1] * 7, delay=3_600)
    await Breakers(site.redis.url).hold("onfido", "401 authorization_error")
    rows = {f"kyc:{job.id}": await client.zscore("bull:kyc:delayed", job.id) or 0 for job in held}
    await client.zadd("corral:bull::breaker:onfido:held", rows)
    await objectives.note(client, "bull", {"mail-eu": Objective(age=0.001), "mail-us": Objective(age=86_400)})
    past = {queues[name].keys(): Depth(waiting=4) for name in NAMES}
    for minute in (50, 49, 20, 1):
        await depths.write(client, past, now - minute * 60_000)
    await statistics.note_release(client, "bull", "shop@2.14.0", now - 600_000)
    for name in ("mail-in", *NAMES[3:13]):  # so that there is something to find
        await queues[name].add("send", 1)
        await queues[name].admin.drain()
    for number, (minute, (failed, ended)) in enumerate(ENDED.items(), start=1):
        did = {"send": Entry({"failed": failed, "completed": ended - failed})}
        one = statistics.counted(queues["mail-in"].keys(), did, {}, ())
        await statistics.write(client, "bull", "w", number, [one], now_ms=now - minute * 60_000)
    for queue in queues.values():
        await queue.close()
    await seed_alert(site)


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


def test_the_rates_go_back_as_far_as_one_chooses(open_as: OpenAs, site: Site) -> None:
    page = open_as("olu", "/")
    table = page.locator("table.queues")
    row = table.get_by_role("row").filter(has=page.get_by_role("link", name="mail-in", exact=True))
    switch = page.get_by_role("navigation", name="Rates, failures and p95 of the last")
    chosen = switch.locator("[aria-current]")
    expect(chosen).to_have_text("5\u00a0min")
    expect(row).to_contain_text("10.0\u00a0%")
    for minutes, name, share in ((15, "15\u00a0min", "30.0\u00a0%"), (60, "1\u00a0h", "65.0\u00a0%")):
        switch.get_by_role("link", name=name).click()
        expect(row).to_contain_text(share)
        expect(chosen).to_have_text(name)
        expect(table).to_contain_text(f"Failed, {minutes}\u00a0min")
        expect(page).to_have_url(f"{site.url}/?minutes={minutes}")
    page.reload()
    expect(row).to_contain_text("65.0\u00a0%")
    expect(chosen).to_have_text("1\u00a0h")
    # What it goes by else is no word in the address; a number that is none is like none.
    switch.get_by_role("link", name="5\u00a0min", exact=True).click()
    expect(row).to_contain_text("10.0\u00a0%")
    expect(page).to_have_url(f"{site.url}/")
    go(page, "/?minutes=7")
    expect(chosen).to_have_text("5\u00a0min")


def test_an_alert_is_taken_in_hand_and_all_see_by_whom(open_as: OpenAs) -> None:
    page = open_as("olu", "/")
    band = page.get_by_role("region", name="What is wrong")
    expect(band).to_contain_text("1 alert firing")
    main = page.get_by_role("navigation", name="Main")
    expect(main.get_by_role("link", name=re.compile("^Alerts"))).to_contain_text("1")
    band.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("You have it in hand.")).to_be_visible()
    expect(band).to_contain_text("Acknowledged by olu, ")
    expect(band.get_by_text("Acknowledged by olu")).to_have_attribute("title", re.compile(r"\d\d:\d\d:\d\d"))
    expect(main.get_by_role("link", name="Alerts", exact=True)).to_be_visible()

    main.get_by_role("link", name="Alerts").click()
    row = page.get_by_role("row").filter(has_text="onfido")
    expect(row).to_contain_text("in hand")
    expect(row.get_by_text("Acknowledged by olu, ")).to_have_attribute("title", re.compile(r"\d\d:\d\d:\d\d"))
    row.get_by_role("button", name="Take back").click()
    expect(row).not_to_contain_text("Acknowledged")
    row.get_by_role("button", name="Acknowledge…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Note for the others").fill("the key is being renewed")
    dialog.get_by_role("button", name="Acknowledge").click()
    expect(dialog).to_have_count(0)
    expect(row).to_contain_text(re.compile("Acknowledged by olu, .*: the key is being renewed"))

    other = open_as("vi", "/")
    band = other.get_by_role("region", name="What is wrong")
    expect(band).to_contain_text(re.compile("Acknowledged by olu, .*: the key is being renewed"))
    expect(band.get_by_role("button", name=re.compile("Acknowledge|Take back"))).to_have_count(0)
    go(other, "/audit")
    expect(other.get_by_role("row").filter(has_text="alert.acknowledge").first).to_contain_text("olu")


def test_what_is_held_is_found_where_it_stands_and_counted(open_as: OpenAs, site: Site) -> None:
    page = open_as("olu")
    # Each thing that is wrong is told once, and leads to where it is.
    band = page.get_by_role("region", name="What is wrong")
    expect(band).not_to_contain_text("kyc is behind")
    band.get_by_role("link", name=re.compile("^mail-.. has no worker")).first.click()
    expect(page).to_have_url(re.compile(r"/queues/mail-\w\w$"))
    page.go_back()

    row = (
        page.locator("table.queues")
        .get_by_role("row")
        .filter(has=page.get_by_role("link", name="kyc", exact=True))
    )
    row.get_by_role("link", name="7", exact=True).click()
    expect(page).to_have_url(f"{site.url}/queues/kyc?state=delayed")
    tabs = page.get_by_role("navigation", name="Jobs by state")
    expect(tabs.get_by_role("link", name=re.compile("Delayed and held"))).to_contain_text("7")
    expect(page.locator("table.jobs tbody tr:not(.space)")).to_have_count(7)
    expect(page.locator(".why")).to_contain_text(
        re.compile(r"7 jobs are held.*Since \d\d:\d\d:\d\d: 401 authorization_error\.")
    )
    tabs.get_by_role("link", name=re.compile("^Waiting 0")).click()
    expect(page.get_by_text("7 jobs are held by a breaker, and run once it closes.")).to_be_visible()
    page.get_by_role("link", name="See what is held").click()
    expect(page).to_have_url(f"{site.url}/queues/kyc?state=delayed")

    # What goes is counted before it goes.
    for item, says in (
        ("Drain what waits", "0 jobs that wait are removed"),
        ("Drain, delayed too", "7 jobs that wait, delayed and held ones too, are removed"),
        ("Obliterate", "Every job goes (7 delayed and held"),
        ("Clean by state", "0 jobs are in this state now"),
    ):
        page.get_by_role("button", name=re.compile("^More: ")).click()
        page.get_by_role("menuitem", name=item).click()
        expect(page.get_by_role("dialog")).to_contain_text(says)
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)


def test_who_may_only_look_pauses_nothing(open_as: OpenAs) -> None:
    page = open_as("vi")
    expect(page.locator("table.queues").get_by_role("link", name="kyc", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^(Pause|Resume|Actions on) "))).to_have_count(0)


def test_a_narrow_page_never_scrolls_sideways(open_as: OpenAs) -> None:
    page = open_as("olu", width=375)
    expect(page.locator("table.queues")).to_contain_text("kyc")
    page.get_by_role("img", name=re.compile("Waiting jobs by queue")).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
