"""What an operator does with dead letters on their page, and what Redis has of it afterwards."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from dashboard_browser import OpenAs
from dashboard_site import Site
from playwright.sync_api import Locator, Page, Route, expect

from corral import JobContext, Queue, Retry, Worker
from corral.dead import Group

JOBS = 3
IDS = ["letter-0", "letter-1", "letter-2"]


def fail_in(name: str) -> Callable[[Site], Coroutine[Any, Any, None]]:
    """A queue with one group of three dead letters. Each story has its own."""

    async def work(site: Site) -> None:
        queue = Queue(name, redis_url=site.redis.url, prefix="bull", retry=Retry(attempts=1))

        @queue.job("ship")
        async def ship(job: JobContext, data: Any) -> None:
            raise LookupError("no such address")

        for number, job_id in enumerate(IDS):
            await queue.add("ship", {"n": number}, job_id=job_id)
        await Worker(queue, concurrency=1).run(until_empty=True)
        await queue.dead.groups()  # so that the page knows the queue at once
        await queue.close()

    return work


def in_redis(site: Site, name: str, look: Callable[[Queue, Group], Awaitable[None]]) -> None:
    """Look at the queue and its one group, past the dashboard."""

    async def work(site: Site) -> None:
        queue = site.queue(name)
        (group,) = (await queue.dead.groups()).groups
        await look(queue, group)
        await queue.close()

    site.do(work)


async def states(queue: Queue) -> list[str]:
    found = [await queue.get(job_id) for job_id in IDS]
    return [str(job.status) if job else "gone" for job in found]


def opened(open_as: OpenAs, site: Site, name: str, user: str = "olu") -> tuple[Page, Locator]:
    """The page of this queue's group, and what stands beside it."""
    site.do(fail_in(name))
    page = open_as(user, f"/dead?queue={name}")
    rail = page.get_by_role("complementary", name="Chosen group")
    expect(rail.get_by_role("heading", name=f"Retry {JOBS}")).to_be_visible()
    return page, rail


def says(page: Page, text: str) -> None:
    expect(page.get_by_role("status").get_by_text(text)).to_be_visible()


def row(page: Page) -> Locator:
    return page.locator("li.group[data-group]")


def tab(page: Page, name: str) -> Locator:
    return page.get_by_role("navigation", name="Groups").get_by_role("link", name=re.compile(rf"^{name}\b"))


def test_a_group_is_retried_at_a_rate_and_its_operation_comes_to_its_end(open_as: OpenAs, site: Site) -> None:
    page, rail = opened(open_as, site, "retried")
    rail.get_by_label("Speed").fill("2")
    expect(rail.get_by_text("5/s", exact=True)).to_be_visible()
    rail.get_by_role("button", name=f"Retry {JOBS}", exact=True).click()
    says(page, f"Retrying {JOBS} dead letters of LookupError.")
    expect(page.get_by_role("heading", name="No group fits")).to_be_visible()
    tab(page, "Operations").click()
    done = page.get_by_role("row").filter(has_text=f"Retried {JOBS}")
    expect(done).to_contain_text("5/s")
    expect(done).to_contain_text("olu")

    async def look(queue: Queue, group: Group) -> None:
        (operation,) = await queue.dead.operations()
        assert (operation.kind, operation.state, operation.moved) == ("retry", "done", JOBS)
        assert (operation.rate, operation.group, operation.by) == (5, group.id, "user:olu")
        assert group.count == 0
        assert await states(queue) == ["waiting"] * JOBS

    in_redis(site, "retried", look)


def test_a_group_is_resolved_and_opened_again(open_as: OpenAs, site: Site) -> None:
    page, rail = opened(open_as, site, "resolved")
    rail.get_by_role("button", name="Resolve", exact=True).click()
    says(page, "Resolved LookupError.")
    expect(tab(page, "Open")).to_contain_text("0")
    tab(page, "Resolved").click()
    expect(row(page)).to_contain_text("by olu")

    async def is_resolved(_: Queue, group: Group) -> None:
        assert (group.state, group.state_by, group.count) == ("resolved", "user:olu", JOBS)

    in_redis(site, "resolved", is_resolved)
    rail.get_by_role("button", name="Reopen").click()
    says(page, "Opened LookupError.")
    expect(row(page)).to_have_count(0)
    tab(page, "Open").click()
    expect(row(page)).to_have_count(1)

    async def is_open(queue: Queue, group: Group) -> None:
        assert group.state == "open"
        assert await states(queue) == ["failed"] * JOBS

    in_redis(site, "resolved", is_open)


def test_a_group_is_ignored_until_a_time_or_so_many_failures(open_as: OpenAs, site: Site) -> None:
    page, rail = opened(open_as, site, "ignored")
    rail.get_by_role("button", name="Ignore until").click()
    dialog = page.get_by_role("dialog", name="Ignore LookupError of ignored")
    dialog.get_by_label("For 7 days").check()
    dialog.get_by_label("Or until so many more").fill("40")
    dialog.get_by_role("button", name="Ignore", exact=True).click()
    expect(dialog).to_have_count(0)
    says(page, "Ignored LookupError.")
    tab(page, "Ignored").click()
    expect(row(page)).to_contain_text(re.compile(r"ignored for .* more"))

    async def look(_: Queue, group: Group) -> None:
        assert (group.state, group.state_by, group.ignored_failures) == ("ignored", "user:olu", 40)
        assert group.ignored_until is not None
        assert group.state_since is not None
        assert abs(group.ignored_until - group.state_since - 7 * 86_400) < 600

    in_redis(site, "ignored", look)


def test_a_note_is_added_to_the_history_of_a_group(open_as: OpenAs, site: Site) -> None:
    page, rail = opened(open_as, site, "noted")
    field = rail.get_by_label("Add a note")
    field.fill("asked the depot")
    field.press("Enter")
    expect(rail.get_by_role("listitem").filter(has_text="asked the depot")).to_contain_text("olu")
    expect(field).to_have_value("")
    expect(row(page)).to_contain_text("1 note")

    async def look(queue: Queue, group: Group) -> None:
        (note,) = await queue.dead.notes(group.id)
        assert (note.by, note.text) == ("user:olu", "asked the depot")

    in_redis(site, "noted", look)


def test_a_discard_without_room_in_the_bin_is_asked_for_and_undone(open_as: OpenAs, site: Site) -> None:
    def short_of_room(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"binJobs": 1})

    site.do(fail_in("discarded"))
    page = open_as("olu")
    page.route("**/api/v1/queues/discarded/dead/preview", short_of_room)
    page.goto("/dead?queue=discarded")
    page.get_by_role("button", name=f"Discard {JOBS}…").click()
    dialog = page.get_by_role("dialog", name=f"Discard {JOBS} dead letters")
    expect(dialog.get_by_text("The bin has room for 1 of them. 2 would be gone for good.")).to_be_visible()
    discard = dialog.get_by_role("button", name=f"Discard {JOBS}")
    expect(discard).to_be_disabled()
    dialog.get_by_role("textbox").fill("discarded")
    discard.click()
    says(page, f"Discarded {JOBS} dead letters of LookupError.")
    expect(page.get_by_role("heading", name="No group fits")).to_be_visible()

    async def are_gone(queue: Queue, group: Group) -> None:
        assert group.count == 0
        assert await states(queue) == ["gone"] * JOBS

    in_redis(site, "discarded", are_gone)
    tab(page, "Operations").click()
    page.get_by_role("row").filter(has_text=f"Discarded {JOBS}").get_by_role("button", name="Undo").click()
    says(page, "They come back, as they were.")
    expect(page.get_by_role("row").filter(has_text=f"Brought back {JOBS}")).to_be_visible()
    tab(page, "Open").click()
    expect(row(page).locator(".n")).to_contain_text(str(JOBS))

    async def are_back(queue: Queue, group: Group) -> None:
        assert group.count == JOBS
        assert await states(queue) == ["failed"] * JOBS
        assert {operation.kind for operation in await queue.dead.operations()} == {"discard", "undo"}

    in_redis(site, "discarded", are_back)


def test_one_dead_letter_is_retried_alone(open_as: OpenAs, site: Site) -> None:
    page, rail = opened(open_as, site, "single")
    page.get_by_role("button", name=IDS[1], exact=True).click()
    expect(rail.get_by_text(IDS[1], exact=True)).to_be_visible()
    rail.get_by_role("button", name="Retry this one").click()
    says(page, f"Job {IDS[1]} runs again, as new.")
    expect(row(page).locator(".n")).to_contain_text("2")
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"Dead letters\s*2"))

    async def look(queue: Queue, group: Group) -> None:
        assert group.count == 2
        assert await states(queue) == ["failed", "waiting", "failed"]

    in_redis(site, "single", look)


def test_one_dead_letter_gets_other_data_and_runs_again(open_as: OpenAs, site: Site) -> None:
    page, rail = opened(open_as, site, "edited", "ada")
    page.get_by_role("button", name=IDS[0], exact=True).click()
    expect(rail.get_by_text(IDS[0], exact=True)).to_be_visible()
    rail.get_by_role("button", name="Edit and retry").click()
    dialog = page.get_by_role("dialog", name=f"Edit ship, job {IDS[0]}")
    text, save = dialog.get_by_label("Data, as JSON"), dialog.get_by_role("button", name="Save and retry")
    text.fill('{"n": ')
    expect(save).to_be_disabled()
    text.fill('{"n": 12345678901234567890}')
    save.click()
    says(page, f"Job {IDS[0]} runs again with the new data.")
    expect(dialog).to_have_count(0)
    expect(row(page).locator(".n")).to_contain_text("2")
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"Dead letters\s*2"))

    async def look(queue: Queue, group: Group) -> None:
        assert group.count == 2
        job = await queue.get(IDS[0])
        assert job is not None
        assert job.data == {"n": 12345678901234567890}
        assert await queue.dead.original(IDS[0]) == {"n": 0}
        assert await states(queue) == ["waiting", "failed", "failed"]

    in_redis(site, "edited", look)
