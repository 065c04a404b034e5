"""The pages around the queues: the audit log is searched, alerts are repaired where they are read,
schedules are found and end, and what cannot be shown says so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dashboard_browser import OpenAs, go
from dashboard_incident import seed_incident
from dashboard_site import Site
from playwright.sync_api import expect

from corral import audit
from corral.breakers import Breakers


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as started:
        started.do(seed_incident)
        yield started


async def many_changes(site: Site) -> None:
    email = site.queue("email")
    client = email.client()
    await audit.record(client, "bull", "user:mia", "queue.drain", "email", {"removed": 1_234_567})
    await audit.record(client, "bull", "user:mia", "job.retry", "orders:order-17")
    for number in range(120):
        await audit.record(client, "bull", "key:ops", "schedule.run", f"reports:tenant-{number}")
    await email.close()


def test_a_change_is_found_in_the_audit_log_and_leads_to_what_was_changed(
    open_as: OpenAs, site: Site
) -> None:
    site.do(many_changes)
    page = open_as("vi", "/audit")
    rows = page.locator("table.audit tbody tr")
    expect(rows).to_have_count(100)
    page.get_by_role("button", name="Older").click()
    expect(rows.filter(has_text="tenant-0")).to_be_visible()

    page.get_by_label("Find in the audit log").fill("MIA drain")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Drained the queue")
    expect(rows).to_contain_text("1,234,567")
    expect(page.get_by_text("entries searched")).to_be_visible()
    expect(page).to_have_url(f"{site.url}/audit?q=MIA+drain")
    page.reload()
    expect(rows).to_have_count(1)

    rows.get_by_role("button", name="user:mia").click()
    expect(page.get_by_label("Find in the audit log")).to_have_value("user:mia")
    expect(rows).to_have_count(2)
    page.get_by_label("About").select_option("Jobs")
    expect(rows).to_have_count(1)
    rows.get_by_role("link", name="orders:order-17").click()
    expect(page).to_have_url(f"{site.url}/queues/orders/jobs/order-17")

    go(page, "/audit?q=nobody-did-this&about=key")
    expect(page.get_by_role("heading", name="No entry fits")).to_be_visible()
    page.get_by_role("button", name="Clear the filter").click()
    expect(rows).to_have_count(100)


def test_a_breaker_is_tried_where_its_alert_is_read(open_as: OpenAs, site: Site) -> None:
    viewer = open_as("vi", "/alerts")
    expect(viewer.get_by_role("row", name="onfido")).to_be_visible()
    expect(viewer.get_by_role("button", name="Test key and resume")).to_have_count(0)

    page = open_as("olu", "/alerts")
    expect(
        page.get_by_role("row", name="1,200 jobs wait").get_by_role("link", name="Look at the queue")
    ).to_be_visible()
    page.get_by_role("button", name="Test key and resume").click()
    # There is no key here, so the provider does not take it: the breaker stays as it is, and why is said.
    expect(page.get_by_text("Its jobs stay held")).to_be_visible()
    states: list[str] = []

    async def look(site: Site) -> None:
        states.extend(
            status.state for status in await Breakers(site.redis.url).all() if status.name == "onfido"
        )

    site.do(look)
    assert states == ["open"]

    page.get_by_role("tab", name="Rules").click()
    expect(page.get_by_role("row", name="No worker")).to_contain_text("once it lasts")
    page.reload()
    expect(page.get_by_role("tab", name="Rules")).to_have_attribute("aria-selected", "true")


def test_a_schedule_is_found_by_a_word_opened_by_its_address_and_ends(open_as: OpenAs, site: Site) -> None:
    async def add(site: Site) -> None:
        reports = site.queue("reports")
        for number in range(40):
            await reports.schedules.upsert(
                f"tenant-{number:02}", "build", cron=f"{number} 4 * * *", tz="Asia/Tokyo"
            )
        await reports.close()

    site.do(add)
    page = open_as("ada", "/schedules?schedule=reports+tenant-39")
    opened = page.get_by_role("button", name="tenant-39", exact=True)
    expect(opened).to_have_attribute("aria-expanded", "true")
    expect(opened).to_be_in_viewport()

    rows = page.locator("table.rows tbody tr:not(.inset)")
    page.get_by_label("Find a schedule").fill("tokyo 04:07")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("tenant-07")
    page.get_by_label("Find a schedule").fill("paused")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("broken")
    # On a tablet a name stays in its own column.
    page.get_by_label("Find a schedule").fill("tenant")
    page.set_viewport_size({"width": 768, "height": 900})
    names, runs = rows.first.locator("td").nth(0), rows.first.locator("td").nth(1)
    box = names.locator(".second").bounding_box(), runs.bounding_box()
    assert box[0]
    assert box[1]
    assert box[0]["x"] + names.evaluate("cell => cell.querySelector('.second').scrollWidth") <= box[1]["x"]
    page.set_viewport_size({"width": 1440, "height": 900})
    page.get_by_label("Find a schedule").fill("no such")
    expect(page.get_by_role("heading", name="No schedule fits")).to_be_visible()
    page.get_by_role("button", name="Clear the filter").click()

    page.get_by_role("button", name="New schedule").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Queue").fill("reprots")
    form.get_by_label("Job name").fill("build")
    form.get_by_label("Id of the schedule").fill("leap")
    form.get_by_label("Minute hour").fill("0 0 29 2 *")
    expect(form).to_contain_text("Tue 29 Feb 2028 00:00")
    expect(form).to_contain_text("There is no queue reprots yet")
    form.get_by_label("Queue").fill("reports")
    expect(form).not_to_contain_text("There is no queue")
    form.get_by_label("Ends after").fill("two")
    expect(form.get_by_role("alert")).to_contain_text("how many runs")
    form.get_by_label("Ends after").fill("2")
    form.get_by_label("Ends, in").fill("2040-01-01T00:00")
    form.get_by_role("button", name="Add schedule").click()
    page.get_by_label("Find a schedule").fill("leap")
    page.get_by_role("button", name="leap", exact=True).click()
    expect(page.get_by_label("Jobs", exact=True)).to_contain_text("of 2 made")
    expect(page.get_by_label("Jobs", exact=True)).to_contain_text("ends 2040-01-01")


def test_what_cannot_be_shown_says_so_and_the_rest_goes_on(open_as: OpenAs, site: Site) -> None:
    page = open_as("vi", "/")
    # A part that is no longer there, as after a roll-out: the router loads the page anew once by itself.
    page.route("**/assets/Redis-*.js", lambda route: route.fulfill(status=404))
    page.goto("/redis")
    expect(page.get_by_role("heading", name="This page was not loaded")).to_be_visible()
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    page.unroute("**/assets/Redis-*.js")
    page.get_by_role("button", name="Load it again").click()
    expect(page.get_by_role("heading", name="Slow log")).to_be_visible()

    go(page, "/no/such/page")
    expect(page.get_by_role("heading", name="No such page")).to_be_visible()
    expect(page.locator("main")).to_contain_text("/no/such/page")
    page.locator("main").get_by_role("button", name="Search").last.click()
    expect(page.get_by_role("dialog", name="Search and commands")).to_be_visible()
