"""The job page: a job that failed twice is understood, revealed, repaired, and found when it is gone."""

from __future__ import annotations

import re
from typing import Any

import pytest
from dashboard_browser import OpenAs, go
from dashboard_site import EVIL, Site
from playwright.sync_api import Page, expect

from corral import JobContext, Queue, Retry, Worker

DATA = {"user": "u-1", "account": 12345678901234567890, "documentNumber": "CBA-4711", "notes": "long " * 60}


@pytest.fixture(scope="module")
def failed_job(site: Site) -> str:
    """Its two attempts end with two errors; it has logged 2,000 lines."""
    made: list[str] = []

    async def make(site: Site) -> None:
        queue = Queue(
            "checks", redis_url=site.redis.url, prefix="bull", retry=Retry(2, backoff="fixed", delay=0)
        )

        @queue.job("verify")
        async def verify(job: JobContext, data: Any) -> None:
            if job.attempt == 1:
                raise TimeoutError("no answer")
            raise ValueError(f"refused {EVIL}")

        job = await queue.add("verify", DATA)
        await Worker(queue, concurrency=1).run(until_empty=True)
        rows = [f"14:01:18.211 {'warn' if n % 100 == 0 else 'info'} line {n}" for n in range(2_000)]
        await queue.client().rpush(queue.keys().logs(job.id), *rows)
        made.append(job.id)
        await queue.close()

    site.do(make)
    return made[0]


def open_job(open_as: OpenAs, user: str, job: str, **options: Any) -> Page:
    page: Page = open_as(user, f"/queues/checks/jobs/{job}", **options)
    page.locator(".pagehead").wait_for()
    return page


def test_a_failed_job_is_understood_and_repaired(open_as: OpenAs, failed_job: str) -> None:
    page = open_job(open_as, "ada", failed_job)
    runs = page.get_by_role("region", name="Timeline").locator(".timeline > li")
    expect(runs.nth(1)).to_contain_text(re.compile(r"Attempt 1.*TimeoutError no answer"))
    expect(runs.nth(2)).to_contain_text(re.compile(r"Attempt 2.*ValueError refused"))
    expect(runs.nth(2)).to_contain_text(EVIL)
    expect(runs.nth(2)).to_contain_text("another error than before")
    expect(runs.nth(3)).to_contain_text("Dead letter")
    assert page.locator("main img").count() == 0
    page.get_by_role("button", name="Compare attempts").click()
    compared = page.get_by_role("dialog")
    expect(compared.get_by_role("row", name=re.compile("^Error"))).to_contain_text(
        re.compile("TimeoutError.*ValueError.*differs")
    )
    compared.get_by_role("button", name="Close").click()

    # The log: all of it can be searched, little of it is in the page.
    logs = page.get_by_role("region", name="Logs", exact=True)
    expect(logs).to_contain_text("2,000 lines")
    logs.get_by_label("Search the log").fill("line 19")
    expect(logs.get_by_role("status")).to_have_text("1 of 111")
    logs.get_by_label("Search the log").press("Enter")
    expect(logs.get_by_role("status")).to_have_text("2 of 111")
    expect(logs.locator("li.at-match")).to_contain_text("line 190")
    assert logs.locator("li").count() < 200

    # What is hidden comes with a click that is written down.
    data = page.get_by_role("region", name="Data", exact=True)
    expect(data).not_to_contain_text("CBA-4711")
    expect(data).to_contain_text("12345678901234567890")  # more digits than a double has
    data.get_by_role("button", name="Reveal…").click()
    page.get_by_role("dialog").get_by_role("button", name="Reveal").click()
    expect(data).to_contain_text("CBA-4711")
    data.get_by_role("button", name=re.compile("Hides in")).click()
    expect(data).not_to_contain_text("CBA-4711")

    # A duplicate with other data; it waits, since nobody serves the queue.
    page.get_by_role("button", name="Duplicate").click()
    field = page.get_by_label("Data as JSON")
    expect(field).to_have_value(re.compile("CBA-4711"))
    expect(field).to_have_value(re.compile("12345678901234567890"))
    field.fill('{"user": "u-2", "account": 12345678901234567891}')
    page.get_by_role("button", name="Add the duplicate").click()
    expect(page.locator("h1")).to_contain_text("Waiting")
    expect(page.get_by_role("region", name="Data", exact=True)).to_contain_text("u-2")
    expect(page.get_by_role("region", name="Data", exact=True)).to_contain_text("12345678901234567891")

    # Removed, it is gone; the page says who did it. A dead letter comes back from the bin.
    page.get_by_label("More: priority, delay, remove").click()
    page.get_by_role("menuitem", name="Remove…").click()
    gone = page.url
    page.get_by_role("dialog").get_by_role("button", name="Remove the job").click()
    page.wait_for_url(re.compile("/queues/checks$"))
    go(page, gone)
    expect(page.locator(".empty")).to_contain_text(re.compile(r"is gone.*removed by ada", re.DOTALL))
    go(page, f"/queues/checks/jobs/{failed_job}")
    page.get_by_label("More: priority, delay, remove").click()
    page.get_by_role("menuitem", name="Remove", exact=True).click()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Taken back.")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_viewer_on_a_telephone_sees_the_shape_and_no_payload(
    open_as: OpenAs, failed_job: str, theme: str
) -> None:
    page = open_job(open_as, "vi", failed_job, width=375, theme=theme)
    expect(page.get_by_role("region", name="Timeline")).to_contain_text("TimeoutError")
    expect(page.locator("main")).not_to_contain_text("no answer")
    expect(page.locator("main")).not_to_contain_text("u-1")
    expect(page.get_by_role("button", name="Reveal…")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
