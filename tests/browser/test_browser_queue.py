"""The page of a queue: what is searched, what stays still, what is done to all that match, what is set."""

from __future__ import annotations

import re

from dashboard_browser import OpenAs, go
from dashboard_site import Site
from playwright.sync_api import Page, Route, expect

MANY = 1_500

AT = "/queues/orders"


async def fill(site: Site) -> None:
    orders = site.queue("orders")
    await orders.add_many("ship", [{"n": n, "to": "Oslo"} for n in range(MANY)], delay=3_600)
    await orders.add_many("bill", [{"n": n} for n in range(20)], delay=3_600)
    for tenant in ("acme", "globex"):
        await orders.add("ship", {"tenant": tenant}, group=tenant)
    await orders.close()


async def add_five(site: Site) -> None:
    orders = site.queue("orders")
    await orders.add_many("ship", [{"late": n} for n in range(5)])
    await orders.close()


async def add_first(site: Site) -> None:
    first = site.queue("no-such-queue")
    await first.add("ship", {"n": 1})
    await first.close()


def rows(page: Page) -> int:
    return page.locator("table.jobs tbody tr:not(.space)").count()


def test_a_button_that_works_keeps_the_keyboard_and_is_pressed_once(open_as: OpenAs, site: Site) -> None:
    page = open_as("olu", "/queues/email")
    asked: list[Route] = []
    page.route("**/api/v1/queues/email/pause", lambda route: asked.append(route))  # noqa: PLW0108  # a builtin has no signature
    pause = page.get_by_role("button", name="Pause", exact=True)
    pause.focus()
    page.keyboard.press("Enter")
    expect(pause).to_have_attribute("aria-disabled", "true")
    expect(pause).to_be_focused()
    page.keyboard.press("Enter")
    assert len(asked) == 1
    asked[0].continue_()
    resume = page.get_by_role("button", name="Resume", exact=True).first  # before what explains the pause
    expect(resume).to_be_enabled()
    expect(resume).to_be_focused()
    page.keyboard.press("Enter")
    expect(pause).to_be_visible()
    expect(pause).to_be_focused()


def test_all_that_match_are_counted_promoted_and_told(open_as: OpenAs, site: Site) -> None:
    site.do(fill)
    page = open_as("olu", f"{AT}?state=delayed")
    field = page.get_by_label("Filter the jobs")
    field.fill("attempts:many")
    expect(page.get_by_text("attempts:many is no number")).to_be_visible()
    field.fill("name:")
    page.get_by_role("option", name="name:ship").click()
    expect(field).to_have_value("")
    chip = page.get_by_role("button", name="Remove the filter name:ship")
    expect(chip).to_be_visible()
    field.press("Backspace")
    expect(chip).to_have_count(0)
    expect(page).not_to_have_url(re.compile("ship"))
    field.fill("name:ship attempts:0 ")
    expect(page).to_have_url(re.compile(r"q=name(:|%3A)ship.*attempts"))
    page.get_by_role("button", name="Remove the filter attempts:0").click()
    expect(page).to_have_url(re.compile(r"q=name(:|%3A)ship$"))
    expect(field).to_be_focused()
    expect(page.get_by_role("list", name="Filters").get_by_role("button")).to_have_count(1)
    expect(chip).to_be_visible()
    expect(page.get_by_text(re.compile(r"match · searched"))).to_be_visible()
    boxes = page.locator("table.jobs tbody .check")
    boxes.nth(1).click()
    boxes.nth(4).click(modifiers=["Shift"])
    expect(page.get_by_text("4 selected")).to_be_visible()
    page.get_by_role("button", name="that match").click()
    page.get_by_role("toolbar").get_by_role("button", name="Promote").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("1,500 of 1,520 fit")).to_be_visible()
    dialog.get_by_role("button", name="Promote 1,500 jobs").click()
    expect(page.get_by_role("status").get_by_text("1,500 promoted")).to_be_visible()
    expect(page.get_by_role("link", name="Delayed")).to_contain_text("20")
    go(page, "/audit")
    expect(page.get_by_text("jobs.promote.done").first).to_be_visible()


def test_a_list_stays_still_under_the_pointer(open_as: OpenAs, site: Site) -> None:
    page = open_as("olu", f"{AT}?oldest=false")
    first = page.locator("table.jobs tbody tr:not(.space)").first
    first.hover()
    link = first.get_by_role("link")
    before = link.inner_text()
    site.do(add_five)
    came = page.get_by_role("button", name="5 new")
    expect(came).to_be_visible()
    assert link.inner_text() == before
    came.click()
    expect(came).to_have_count(0)


def test_keys_choose_rows_and_a_viewer_has_no_actions(open_as: OpenAs) -> None:
    page = open_as("vi", AT)
    page.locator("table.jobs tbody tr:not(.space)").first.wait_for()
    page.keyboard.press("j")
    page.keyboard.press("x")
    for _ in range(3):
        page.keyboard.press("j")
    page.keyboard.press("Shift+X")
    expect(page.get_by_text("4 selected")).to_be_visible()
    expect(page.get_by_role("button", name="Change priority")).to_have_count(0)
    expect(page.get_by_role("button", name="Add job")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.get_by_text("4 selected")).to_have_count(0)


def test_limits_and_groups_are_changed_and_taken_back(open_as: OpenAs) -> None:
    page = open_as("olu", AT)
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_label("Jobs at once").fill("7")
    page.get_by_role("button", name="Change limits").click()
    expect(page.get_by_text("7 over all workers")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("none over all workers")).to_be_visible()
    page.get_by_role("button", name="Pause group acme").click()
    expect(page.get_by_role("button", name="Resume group acme")).to_be_visible()
    page.get_by_role("link", name="acme", exact=True).click()
    expect(page.get_by_text("1 match · searched")).to_be_visible()


def test_a_job_is_added_by_the_form_of_its_schema(open_as: OpenAs) -> None:
    page = open_as("olu", "/queues/email")
    page.get_by_role("button", name="Add job").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="JSON").click()
    text = dialog.get_by_label("Data as JSON")
    text.fill('{"to": 7}')
    dialog.get_by_role("button", name="Add the job").click()
    expect(dialog.get_by_role("alert").first).to_be_visible()
    text.fill('{"to": "x"')
    expect(dialog.get_by_role("button", name="Add the job")).to_be_disabled()


def test_an_unknown_queue_is_told_so_and_appears_with_its_first_job(open_as: OpenAs, site: Site) -> None:
    page = open_as("olu", "/queues/no-such-queue")
    expect(page.get_by_role("heading", name="No queue of the name no-such-queue is known")).to_be_visible()
    expect(page.get_by_role("button", name="Add job")).to_have_count(0)
    expect(page.get_by_role("link", name="All queues")).to_have_attribute("href", "/")
    site.do(add_first)
    expect(page.get_by_role("heading", name="no-such-queue", level=1)).to_contain_text("No worker")
    expect(page.get_by_role("button", name="Add job")).to_be_visible()


def test_what_cannot_be_undone_wants_its_name_typed(open_as: OpenAs) -> None:
    page = open_as("olu", "/queues/email")

    def ask() -> None:
        page.get_by_role("button", name=re.compile("^More: ")).click()
        page.get_by_role("menuitem", name="Drain what waits").click()

    ask()
    dialog = page.get_by_role("dialog", name="Drain email?")
    keep, drain = dialog.get_by_role("button", name="Keep"), dialog.get_by_role("button", name="Drain email")
    expect(keep).to_be_focused()
    expect(drain).to_be_disabled()
    field = dialog.get_by_role("textbox")
    for wrong in ("emai", "Email", "email ", "drain email"):
        field.fill(wrong)
        expect(drain).to_be_disabled()
        field.press("Enter")
        expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.reload()
    waiting = page.get_by_role("link", name="Waiting").first
    expect(waiting).to_contain_text(re.compile(r"Waiting\s*1[23]"))  # a schedule adds one

    # The right word of before does not count for the next question.
    ask()
    field.fill("email")
    expect(drain).to_be_enabled()
    keep.click()
    ask()
    expect(drain).to_be_disabled()
    field.fill("email")
    drain.click()
    expect(page.get_by_text("email is drained.")).to_be_visible()
    # The next run of a schedule stays.
    expect(waiting).to_have_text(re.compile(r"^\s*Waiting\s*[01]\s*$"))
