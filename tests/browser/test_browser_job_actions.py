"""What an operator does to jobs and queues in the pages is what Redis has afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from dashboard_browser import OpenAs
from dashboard_site import Site
from playwright.sync_api import Page, expect

from corral import JobContext, Queue, RateLimit, Unrecoverable, Worker

T = TypeVar("T")


def with_queue(site: Site, name: str, work: Callable[[Queue], Coroutine[Any, Any, T]]) -> T:
    """What the work on a queue of this name answers with."""
    answers: list[T] = []

    async def do(site: Site) -> None:
        queue = site.queue(name)
        answers.append(await work(queue))
        await queue.close()

    site.do(do)
    return answers[0]


def job_in(site: Site, queue: str, job: str) -> tuple[str | None, Any] | None:
    """The state and the data of a job as Redis has them; None: there is no such job."""

    async def read(queue: Queue) -> tuple[str | None, Any] | None:
        found = await queue.get(job)
        return None if found is None else (found.status, found.data)

    return with_queue(site, queue, read)


def counts_in(site: Site, queue: str) -> dict[str, int]:
    """Jobs by state as Redis has them, without the states that have none."""

    async def read(queue: Queue) -> dict[str, int]:
        return {state: jobs for state, jobs in (await queue.counts()).items() if jobs}

    return with_queue(site, queue, read)


def fail(site: Site, queue: str, jobs: int) -> list[str]:
    """Dead letters; the ids of all."""

    async def make(queue: Queue) -> list[str]:
        @queue.job("pay")
        async def pay(job: JobContext, data: Any) -> None:
            raise Unrecoverable("card refused")

        added = await queue.add_many("pay", [{"card": number} for number in range(jobs)])
        await Worker(queue, concurrency=1).run(until_empty=True)
        return [job.id for job in added]

    return with_queue(site, queue, make)


def wait(site: Site, queue: str, jobs: int, *, delay: float = 0) -> list[str]:
    """Jobs that nobody takes; the ids of all."""

    async def make(queue: Queue) -> list[str]:
        added = await queue.add_many("pay", [{"card": number} for number in range(jobs)], delay=delay)
        return [job.id for job in added]

    return with_queue(site, queue, make)


def told(page: Page, text: str) -> None:
    """The notice that comes once the server has done it."""
    expect(page.get_by_text(text, exact=True)).to_be_visible()


def choose(page: Page, *jobs: str) -> None:
    for job in jobs:
        page.get_by_role("checkbox", name=f"Select {job}", exact=True).click()
    expect(page.get_by_role("toolbar")).to_contain_text(f"{len(jobs)} selected")


def from_menu(page: Page, name: str) -> None:
    page.get_by_role("button", name=re.compile("^More: retry all")).click()
    page.get_by_role("menuitem", name=name).click()


def test_a_dead_letter_is_retried_and_another_is_edited_first(open_as: OpenAs, site: Site) -> None:
    again, other = fail(site, "act-failed", 2)
    page = open_as("olu", f"/queues/act-failed/jobs/{again}")
    page.get_by_role("button", name="Retry", exact=True).click()
    told(page, f"Job {again} runs again.")
    expect(page.locator("h1")).to_contain_text("Waiting")
    assert job_in(site, "act-failed", again) == ("waiting", {"card": 0})

    page = open_as("ada", f"/queues/act-failed/jobs/{other}")
    page.get_by_role("button", name="Edit and retry").click()
    page.get_by_label("Data as JSON").fill('{"amount": 12345678901234567891}')
    page.get_by_role("button", name="Save and retry").click()
    told(page, f"Job {other} runs again with other data.")
    expect(page.locator("h1")).to_contain_text("Waiting")
    expect(page.get_by_role("region", name="Data", exact=True)).to_contain_text("12345678901234567891")
    assert job_in(site, "act-failed", other) == ("waiting", {"amount": 12345678901234567891})


def test_a_delayed_job_is_promoted_given_other_data_and_cancelled(open_as: OpenAs, site: Site) -> None:
    (job,) = wait(site, "act-delayed", 1, delay=3_600)
    page = open_as("ada", f"/queues/act-delayed/jobs/{job}")
    page.get_by_role("button", name="Promote", exact=True).click()
    told(page, f"Job {job} waits no longer.")
    expect(page.locator("h1")).to_contain_text("Waiting")
    assert job_in(site, "act-delayed", job) == ("waiting", {"card": 0})

    page.get_by_role("button", name="Edit data").click()
    page.get_by_label("Data as JSON").fill('{"card": 7}')
    page.get_by_role("button", name="Save", exact=True).click()
    told(page, f"Job {job} has other data.")
    assert job_in(site, "act-delayed", job) == ("waiting", {"card": 7})

    page.get_by_role("button", name="Cancel…").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the job").click()
    told(page, f"Job {job} is cancelled.")
    expect(page.locator(".empty")).to_contain_text(f"Job {job} is gone")
    assert job_in(site, "act-delayed", job) is None


def test_only_the_chosen_rows_are_changed(open_as: OpenAs, site: Site) -> None:
    first, second, third = fail(site, "act-chosen", 3)
    page = open_as("olu", "/queues/act-chosen?state=failed")
    choose(page, first, third)
    page.get_by_role("toolbar").get_by_role("button", name="Retry").click()
    told(page, "2 run again")
    expect(page.get_by_role("toolbar")).to_have_count(0)
    assert counts_in(site, "act-chosen") == {"waiting": 2, "failed": 1}
    assert job_in(site, "act-chosen", second) == ("failed", {"card": 1})

    page.get_by_role("link", name="Waiting").first.click()
    choose(page, third)
    page.get_by_role("toolbar").get_by_role("button", name="Cancel…").click()
    page.get_by_role("dialog", name="Cancel 1 job?").get_by_role("button", name="Cancel 1 job").click()
    told(page, "1 cancelled")
    assert job_in(site, "act-chosen", third) is None
    assert job_in(site, "act-chosen", first) == ("waiting", {"card": 0})


def test_chosen_delayed_jobs_get_a_priority_another_delay_or_wait_no_longer(
    open_as: OpenAs, site: Site
) -> None:
    first, second, third = wait(site, "act-later", 3, delay=3_600)

    async def due(queue: Queue) -> list[str]:
        return [job.id for job in await queue.browse.jobs("delayed", newest_first=False)]

    async def priorities(queue: Queue) -> dict[int, int]:
        return await queue.browse.priorities(0, 5)

    page = open_as("olu", "/queues/act-later?state=delayed")
    bar, dialog = page.get_by_role("toolbar"), page.get_by_role("dialog")
    choose(page, first)
    bar.get_by_role("button", name="Delay…").click()
    dialog.get_by_label("Seconds").fill("7200")
    dialog.get_by_role("button", name="Delay", exact=True).click()
    told(page, "1 delayed anew")
    assert with_queue(site, "act-later", due) == [second, third, first]

    # The notice of before, which stays while it is pointed at, does not lie on what is pressed next.
    page.get_by_text("1 delayed anew", exact=True).hover()
    for job in (second, third):
        page.get_by_role("checkbox", name=f"Select {job}", exact=True).press("Space")
    expect(bar).to_contain_text("2 selected")
    promote = bar.get_by_role("button", name="Promote")
    promote.scroll_into_view_if_needed()
    notice = page.locator(".toast").bounding_box()
    below = bar.bounding_box()
    assert notice
    assert below
    assert notice["y"] + notice["height"] <= below["y"]
    promote.click()
    told(page, "2 promoted")
    assert with_queue(site, "act-later", due) == [first]
    assert counts_in(site, "act-later") == {"waiting": 2, "delayed": 1}

    page.get_by_role("link", name="Waiting").first.click()
    choose(page, third)
    bar.get_by_role("button", name="Change priority…").click()
    dialog.get_by_role("textbox").fill("5")
    dialog.get_by_role("button", name="Change priority").click()
    told(page, "1 has the new priority")
    assert counts_in(site, "act-later") == {"waiting": 1, "prioritized": 1, "delayed": 1}
    assert with_queue(site, "act-later", priorities) == {0: 1, 5: 1}


def test_the_menu_cleans_one_state_and_obliterates_all(open_as: OpenAs, site: Site) -> None:
    fail(site, "act-menu", 3)
    wait(site, "act-menu", 2)
    page = open_as("olu", "/queues/act-menu")
    from_menu(page, "Clean by state and age…")
    dialog = page.get_by_role("dialog", name="Clean act-menu")
    dialog.get_by_label("Jobs", exact=True).select_option("in the dead letters")
    dialog.get_by_label("that are", exact=True).select_option("of any age")
    expect(dialog).to_contain_text("3 jobs are in this state now")
    dialog.get_by_role("button", name="Remove them").click()
    told(page, "3 removed.")
    expect(dialog).to_have_count(0)
    assert counts_in(site, "act-menu") == {"waiting": 2}

    from_menu(page, "Obliterate the queue…")
    dialog = page.get_by_role("dialog", name="Obliterate act-menu?")
    expect(dialog).to_contain_text("2 waiting")
    obliterate = dialog.get_by_role("button", name="Obliterate act-menu")
    expect(obliterate).to_be_disabled()
    dialog.get_by_role("textbox").fill("act-menu")
    obliterate.click()
    told(page, "act-menu is gone.")
    page.wait_for_url(f"{site.url}/")

    async def keys(queue: Queue) -> list[Any]:
        return [key async for key in queue.client().scan_iter("bull:act-menu:*")]

    assert with_queue(site, "act-menu", keys) == []


def test_a_paused_group_is_resumed(open_as: OpenAs, site: Site) -> None:
    async def pause(queue: Queue) -> None:
        await queue.add("pay", {"card": 1}, group="acme")
        await queue.groups.pause("acme")

    async def is_paused(queue: Queue) -> bool:
        return (await queue.groups.counts("acme")).paused

    with_queue(site, "act-groups", pause)
    page = open_as("olu", "/queues/act-groups")
    page.get_by_role("button", name="Resume group acme").click()
    told(page, "Group acme runs.")
    expect(page.get_by_role("button", name="Pause group acme")).to_be_visible()
    assert not with_queue(site, "act-groups", is_paused)


def test_a_used_up_rate_limit_is_released(open_as: OpenAs, site: Site) -> None:
    async def use_up(queue: Queue) -> None:
        """Lowered to what has started: a worker would wait for the next window of a limit it used up."""

        @queue.job("pay")
        async def pay(job: JobContext, data: Any) -> None: ...

        await queue.limits.set_rate(RateLimit(3, per=3_600))
        await queue.add_many("pay", [1, 2])
        await Worker(queue, concurrency=1).run(until_empty=True)
        await queue.limits.set_rate(RateLimit(2, per=3_600))

    async def limited_for(queue: Queue) -> float:
        return await queue.limits.rate_limited_for()

    with_queue(site, "act-limited", use_up)
    assert with_queue(site, "act-limited", limited_for) > 0
    page = open_as("olu", "/queues/act-limited")
    expect(page.get_by_text("used up, next in")).to_be_visible()
    page.get_by_role("button", name="Release now").click()
    told(page, "A new window has begun.")
    expect(page.get_by_text("used up, next in")).to_have_count(0)
    assert with_queue(site, "act-limited", limited_for) == 0
    expect(page.get_by_text("2 in 1 h")).to_be_visible()
