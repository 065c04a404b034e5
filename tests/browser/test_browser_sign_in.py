"""The door, in a browser: who gets in, and what each role is offered."""

from __future__ import annotations

import re

from dashboard_browser import PATIENCE, OpenAs, go, sign_in
from dashboard_site import PASSWORD, Site
from playwright.sync_api import Browser, expect

#: What only those may see who may change something.
ACTIONS: list[str | re.Pattern[str]] = [
    "New schedule",
    re.compile("^Run, pause"),
    re.compile("^Quiet or stop"),
]


def test_a_wrong_password_is_told_and_a_right_one_opens_the_page_that_was_asked_for(
    site: Site, browser: Browser
) -> None:
    context = browser.new_context(base_url=site.url)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto("/schedules")
    sign_in(page, "ada", "a wrong password")
    expect(page.get_by_role("alert")).to_contain_text("do not go together")
    assert context.cookies() == []
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Schedules")).to_be_visible()
    assert page.url == f"{site.url}/schedules"
    assert {cookie["name"] for cookie in context.cookies()} == {"corral", "corral-known"}
    assert all((c["httpOnly"], c["sameSite"]) == (True, "Strict") for c in context.cookies())
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.goto("/schedules")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    context.close()


def test_a_viewer_is_offered_no_action_and_no_data(open_as: OpenAs) -> None:
    page = open_as("vi")
    for path in ("/redis", "/checklist", "/audit", "/workers", "/schedules"):
        go(page, path)
        page.locator(".pagehead, .table, .empty").first.wait_for()
        for name in ACTIONS:
            expect(page.get_by_role("button", name=name)).to_have_count(0)
    page.get_by_role("button", name="nightly", exact=True).click()
    expect(page.get_by_text("for those who may see payloads")).to_be_visible()
    expect(page.get_by_text('"month"')).to_have_count(0)


def test_an_operator_pauses_a_schedule_and_takes_it_back(open_as: OpenAs) -> None:
    page = open_as("olu", "/schedules")
    row = page.get_by_role("row", name="nightly")
    row.get_by_role("button", name="Run, pause").click()
    page.get_by_role("menuitem", name="Pause").click()
    expect(row).to_contain_text("paused")
    page.get_by_role("button", name="Undo").click()
    expect(row).not_to_contain_text("paused")
    go(page, "/audit")
    expect(page.get_by_role("cell", name="user:olu")).to_have_count(2)
    expect(page.get_by_role("cell", name="schedule.resume")).to_be_visible()


def test_an_admin_adds_a_schedule_edits_and_removes_it(open_as: OpenAs) -> None:
    page = open_as("ada", "/schedules")
    page.get_by_role("button", name="New schedule").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Queue").fill("reports")
    form.get_by_label("Job name").fill("build")
    form.get_by_label("Id of the schedule").fill("digest")
    form.get_by_label("Minute hour").fill("every day")
    expect(form.get_by_role("alert")).to_contain_text("Write 5 fields")
    form.get_by_label("Minute hour").fill("61 * * * *")
    expect(form.get_by_role("alert")).to_contain_text("its minute field, '61', is wrong")
    form.get_by_label("Minute hour").fill("*/15 * * * *")
    expect(form).to_contain_text("Every 15 minutes")
    form.get_by_role("button", name="Add schedule").click()
    row = page.get_by_role("row", name="digest")
    expect(row).to_contain_text("every 15 minutes")
    row.get_by_role("button", name="Run, pause").click()
    page.get_by_role("menuitem", name="Edit").click()
    form.get_by_role("button", name="Every so often").click()
    form.get_by_label("Every:").fill("2h")
    form.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("every 2 hours")
    row.get_by_role("button", name="Run, pause").click()
    page.get_by_role("menuitem", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove it").click()
    expect(row).to_have_count(0)
