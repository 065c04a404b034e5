"""Two stories: a parent that waits in vain is found, repaired and completes; a mail lands in the outbox."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest
from dashboard_browser import OpenAs, go
from dashboard_site import EVIL, Site
from playwright.sync_api import Page, expect
from test_browser_pages import Watched

from corral import Flow, JobContext, OnFailure, Queue, Retry, Worker, sandbox
from corral.providers import close_providers
from corral.queues import email
from corral.sandbox.letters import Accepted, record
from corral.sandbox.server import RunningSandbox

ONCE = Retry(attempts=1)


@pytest.fixture(scope="module")
def box() -> Iterator[RunningSandbox]:
    with sandbox.serve(delay=0.0, public_url="http://127.0.0.1:1") as made:
        yield made


@pytest.fixture(scope="module")
def site(box: RunningSandbox) -> Iterator[Site]:
    with Site(CORRAL_SANDBOX_URL=box.url) as started:
        started.do(seed)
        yield started


def press(site: Site, *, broken: bool) -> tuple[Queue, Queue]:
    books = Queue("books", redis_url=site.redis.url, prefix="bull", retry=ONCE)
    pages = Queue("pages", redis_url=site.redis.url, prefix="bull", retry=ONCE)

    @books.job("bind")
    async def bind(job: JobContext) -> list[Any]:
        return sorted((await job.children_values()).values())

    @pages.job("print")
    async def print_(job: JobContext, number: int) -> int:
        if number < 0 and broken:
            raise ValueError(f"no paper {EVIL}")
        return number

    return books, pages


async def seed(site: Site) -> None:
    """A book whose second page failed without a policy, in a series; and one of very many pages."""
    books, pages = press(site, broken=True)
    chapter = Flow(
        books,
        "bind",
        job_id="book-7",
        children=[
            Flow(pages, "print", 1, job_id="page-1"),
            Flow(pages, "print", -2, job_id="page-2"),
            Flow(pages, "print", -3, job_id="page-3", on_failure=OnFailure.IGNORE),
        ],
    )
    await Flow(books, "bind", job_id="series-1", children=[chapter]).add()
    # As Node's FlowProducer adds it when nothing is said of failures.
    link = {"id": "book-7", "queueKey": "bull:books"}
    await pages.client().hset("bull:pages:page-2", "parent", json.dumps(link))
    await Worker(pages).run(until_empty=True)
    await pages.admin.pause()
    await Flow(
        books, "bind", job_id="encyclopedia", children=[Flow(pages, "print", n) for n in range(60)]
    ).add()
    for queue in (books, pages):
        await queue.close()


async def print_again(site: Site) -> None:
    books, pages = press(site, broken=False)
    await pages.admin.resume()
    await Worker(books, pages).run(until_empty=True)
    for queue in (books, pages):
        await queue.close()


def no_sideways(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, page.url


def test_a_stuck_parent_is_found_repaired_and_completes(open_as: OpenAs, site: Site) -> None:
    page = open_as("ada", "/")
    watched = Watched(page)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Flows").click()
    expect(page.get_by_role("heading", name="Flows", exact=False).first).to_contain_text("1 stuck")
    row = page.get_by_role("listitem").filter(has_text="book-7").first
    expect(row).to_contain_text("Stuck: one child failed, and no policy tells the parent.")
    # It is open already: the tree from its root, with this parent chosen.
    tree = page.get_by_role("tree", name="series-1")
    expect(tree.get_by_role("treeitem")).to_have_count(5)
    own = tree.get_by_role("treeitem").filter(has_text="book-7")
    expect(own).to_have_attribute("aria-selected", "true")
    expect(own).to_contain_text("Stuck 2 of 3 done")
    # Walked by keys alone.
    own.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(tree.get_by_role("treeitem").filter(has_text="page-2")).to_be_focused()
    detail = page.locator(".flow-detail")
    expect(detail).to_contain_text(f"no paper {EVIL}")
    expect(detail).to_contain_text("its parent waits for ever")
    page.keyboard.press("ArrowLeft")
    expect(own).to_be_focused()
    no_sideways(page)

    page.get_by_role("button", name="Retry 2 failed children").click()
    expect(page.get_by_text("2 children run again.")).to_be_visible()
    site.do(print_again)
    expect(page.get_by_text("No job waits for children")).to_be_visible()

    go(page, "/queues/books/jobs/book-7")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Completed")
    tree = page.get_by_role("tree")
    expect(tree.get_by_role("treeitem")).to_have_count(5)
    expect(tree.get_by_role("treeitem").filter(has_text=re.compile("print.*Completed"))).to_have_count(3)
    tree.get_by_role("treeitem").filter(has_text="book-7").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{site.url}/queues/books/jobs/series-1")
    assert watched.faults == []
    assert watched.dialogs == 0


def test_a_parent_of_many_offers_the_others_and_fits_a_telephone(open_as: OpenAs) -> None:
    page = open_as("vi", "/queues/books/jobs/encyclopedia", width=375)
    watched = Watched(page)
    tree = page.get_by_role("tree")
    more = tree.get_by_role("treeitem", name="more children of bind")
    expect(more).to_contain_text("40 more")
    no_sideways(page)
    while more.count():
        before = tree.get_by_role("treeitem").count()
        more.click()
        expect(tree.get_by_role("treeitem")).not_to_have_count(before)
    expect(tree.get_by_role("treeitem")).to_have_count(61)
    expect(page.get_by_role("button", name="Remove 60 pending")).to_have_count(0)
    assert watched.faults == []


def test_a_mail_of_a_job_is_in_the_outbox_and_can_do_nothing(
    open_as: OpenAs, site: Site, box: RunningSandbox
) -> None:
    async def send(site: Site) -> None:
        mail = {
            "to": "user-42@example.com",
            "template": "welcome",
            "data": {"name": "Zoë"},
            "provider": "sendgrid",
        }
        await email.queue.add("send", mail)
        await Worker(email.queue).run(until_empty=True)
        await close_providers()
        await email.queue.close()

    with patch.dict(os.environ, REDIS_URL=site.redis.url, CORRAL_SANDBOX="1", CORRAL_SANDBOX_URL=box.url):
        site.do(send)
    way_out = "<a href=https://evil.example.net/>out</a>"
    hostile = f"{EVIL}<script>alert(1)</script>{way_out}<p style=color:red>styled</p>"
    record(
        box.app.outbox,
        "mailgun",
        Accepted("a@example.com", ("eve@example.net",), "j", "m", EVIL, html=hostile),
    )
    page = open_as("ada", "/")
    watched = Watched(page)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Outbox").click()
    expect(page.get_by_role("tab", name="Mail")).to_contain_text("2")
    page.get_by_role("row", name="u…@example.com").get_by_role("button").click()
    frame = page.frame_locator("iframe")
    expect(frame.locator("body")).to_contain_text("Zoë")
    expect(page.get_by_role("complementary")).to_contain_text("message_id")
    page.get_by_role("button", name="Source").click()
    expect(page.locator("pre")).to_contain_text("<")

    page.get_by_label("Recipient").fill("example.net")
    expect(page.get_by_role("tab", name="Mail")).to_contain_text("1")
    page.get_by_role("row", name="e…@example.net").get_by_role("button").click()
    expect(frame.locator("p")).to_have_css("color", "rgb(255, 0, 0)")
    frame.get_by_role("link", name="out").click()
    expect(page.get_by_role("row", name="e…@example.net")).to_be_visible()
    no_sideways(page)
    assert watched.dialogs == 0
    assert {host for host in watched.hosts if host} == {urlsplit(site.url).netloc}


def test_who_may_not_see_payloads_sees_that_something_came_and_no_more(open_as: OpenAs) -> None:
    page = open_as("vi", "/outbox", width=375)
    expect(page.get_by_text("What was sent is shown to those with the right")).to_be_visible()
    expect(page.get_by_text("for those who may see payloads").first).to_be_visible()
    expect(page.get_by_text("example.com")).to_have_count(0)
    expect(page.get_by_label("Recipient")).to_have_count(0)
    no_sideways(page)
