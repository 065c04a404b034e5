"""Events as they come, filtered and held; a key that is made, seen once and revoked; one browser's own."""

from __future__ import annotations

import re
from typing import Any

from dashboard_browser import OpenAs, go
from dashboard_site import Site
from playwright.sync_api import expect

from corral import JobContext, Unrecoverable, Worker


async def run_two(site: Site) -> None:
    """One job that goes well and one that does not, in a queue of their own."""
    invoices = site.queue("invoices")

    @invoices.job("bill")
    async def bill(job: JobContext, data: Any) -> dict[str, str]:
        if data == "bad":
            raise Unrecoverable("no such customer 4711")
        return {"invoice": "2026-118"}

    await invoices.add_many("bill", ["good", "bad"])
    await Worker(invoices).run(until_empty=True)
    await invoices.close()


def test_events_come_are_filtered_and_wait_while_one_reads(open_as: OpenAs, site: Site) -> None:
    site.do(run_two)
    page = open_as("ada", "/events?q=queue:invoices")
    page.mouse.move(2, 2)
    rows = page.locator("table.events tbody tr:not(.space)")
    expect(rows.filter(has_text="Failed")).to_contain_text("no such customer 4711")
    expect(rows.filter(has_text="Completed")).to_contain_text("2026-118")
    expect(rows.filter(has_text="Completed")).to_contain_text("bill")

    site.do(run_two)  # it is live
    expect(rows.filter(has_text="Failed")).to_have_count(2)

    page.get_by_label("Kind").select_option(label="Failed")
    expect(page).to_have_url(f"{site.url}/events?q=queue%3Ainvoices+kind%3Afailed")
    expect(rows).to_have_count(2)
    page.get_by_role("button", name="Pause", exact=False).click()
    page.mouse.move(2, 2)
    site.do(run_two)
    new = page.get_by_role("button", name="1 new")
    expect(new).to_be_visible()
    expect(rows).to_have_count(2)
    new.click()
    expect(rows).to_have_count(3)
    rows.first.get_by_role("link").click()
    expect(page).to_have_url(f"{site.url}/queues/invoices/jobs/6")

    viewer = open_as("vi", "/events?q=queue:invoices")
    failed = viewer.locator("table.events tbody tr", has_text="Failed").first
    expect(failed).to_contain_text("redacted")
    assert "no such customer" not in viewer.content()


def test_a_key_is_seen_once_and_revoked(open_as: OpenAs, site: Site) -> None:
    page = open_as("ada", "/settings?tab=keys")
    page.get_by_role("button", name="New key").click()
    page.get_by_label("Name, as logs").fill("shop")
    page.get_by_label("For these queues").fill("invoices")
    page.get_by_role("button", name="Make the key").click()
    secret = page.get_by_label("Secret", exact=True).input_value()
    assert len(secret) > 30
    page.keyboard.press("Escape")  # does not lose it
    expect(page.get_by_label("Secret", exact=True)).to_have_value(secret)
    page.get_by_role("button", name="I have it").click()
    row = page.get_by_role("row", name="shop")
    expect(row).to_contain_text("active")
    expect(row).to_contain_text("invoices")
    go(page, "/settings?tab=keys")
    expect(row).to_be_visible()
    assert secret not in page.content()
    page.get_by_role("button", name="Rotate or revoke shop").click()
    page.get_by_role("menuitem", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke it").click()
    expect(row).to_contain_text("revoked")

    page.get_by_role("link", name="In force").click()
    page.get_by_label("Search the settings").fill("dashboard users")
    users = page.get_by_role("row", name=re.compile("^CORRAL_DASHBOARD_USERS"))
    expect(users).to_contain_text("environment")
    assert "argon2" not in page.content()


def test_each_role_has_its_parts_and_a_browser_its_own_settings(open_as: OpenAs) -> None:
    parts = "nav[aria-label=Settings] a"
    operator = open_as("olu", "/settings")
    expect(operator.locator(parts)).to_have_text(["In force", "Versions", "Sessions", "Appearance"])
    viewer = open_as("vi", "/settings")
    expect(viewer.locator(parts)).to_have_text(["Sessions", "Appearance"])
    viewer.get_by_role("link", name="Appearance").click()
    viewer.get_by_role("button", name="Dark").click()
    viewer.get_by_label("Times in").select_option("Asia/Tokyo")
    viewer.reload()
    expect(viewer.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")
    assert viewer.evaluate("document.documentElement.dataset.theme") == "dark"
    expect(viewer.get_by_label("Times in")).to_have_value("Asia/Tokyo")
