"""Stored script on every page, in every text that a stranger could have put there: none of it runs.

A script that ran would call `window.ran`, open a dialog, ask another host or be refused by the content
security policy; each of the four is watched. And the text is there, as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from dashboard_browser import OpenAs, go
from dashboard_site import Site
from playwright.sync_api import Dialog, Page, expect

from corral import Flow, JobContext, Retry, Worker, audit
from corral.bullmq import registry
from corral.data import encode
from corral.dedup import Dedup

#: One of each kind; together they are in each text. All call `ran` where they are not shown as text.
SCRIPTS = (
    "<img/src=x/onerror=ran()>",
    "</script><script>ran()</script>",
    "javascript:ran()",
    '"><svg onload=ran()>',
    "{{constructor.constructor('ran()')()}}",
    "${ran()}",
    "<a href='javascript:ran()'>a</a>",
    "<img src='https://evil.test/x'>",
)
EVIL = " ".join(SCRIPTS)
#: For names that take no white space and no long text.
SHORT = "<img/src=x/onerror=ran()>"


async def fill(site: Site) -> None:
    """Jobs, schedules, a worker, an audit entry, a dead letter's note: each text is a script."""
    name = f"q-{SHORT}"
    queue = site.queue(name)

    @queue.job(EVIL)
    async def evil(job: JobContext, data: Any) -> Any:
        await job.log(EVIL)
        await job.progress({EVIL: EVIL})
        if data.get("fails"):
            raise ValueError(EVIL)
        return {EVIL: [EVIL]}

    data = {EVIL: EVIL, "list": [EVIL], "url": "javascript:ran()"}
    await queue.add(EVIL, {**data, "fails": True}, retry=Retry(attempts=1), job_id=f"failed-{SHORT}")
    await queue.add(EVIL, data, job_id=f"done-{SHORT}")
    await Worker(queue, concurrency=1).run(until_empty=True)
    await queue.add(EVIL, data, delay=3_600, job_id=f"later-{SHORT}")
    await queue.add(EVIL, data, group=SHORT, job_id=f"grouped-{SHORT}")
    await queue.add(EVIL, data, dedup=Dedup(SHORT))
    await Flow(queue, EVIL, data, children=[Flow(queue, EVIL, data)]).add()
    await queue.schedules.upsert(f"schedule-{SHORT}", EVIL, every=3_600, data=data)
    client = queue.client()
    running = {"queue": name, "id": SHORT, "name": EVIL, "started_at": 1.0}
    worker: dict[str, Any] = {
        "name": f"w-{SHORT}", "host": EVIL, "pid": 7, "version": SHORT, "queues": [name], "slots": 3,
        "busy": 1, "jobs": [running], "beat_at": 1.0, "started_at": 1.0,
    }  # fmt: skip
    await registry.write_beat(client, "bull", worker["name"], encode(worker), seconds=600)
    await audit.record(client, "bull", f"user:{SHORT}", EVIL, EVIL, {EVIL: EVIL})
    await queue.dead.index()
    (group,) = (await queue.dead.groups()).groups
    await queue.dead.note(group.id, EVIL, actor=f"user:{SHORT}")
    await queue.close()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as started:
        started.do(fill)
        yield started


WATCH = """
window.ran = () => { window.sawScript = (window.sawScript ?? 0) + 1 };
document.addEventListener('securitypolicyviolation', (event) => {
  (window.refused ??= []).push(event.violatedDirective + ' ' + event.blockedURI)
});
"""


def pages() -> list[tuple[str, str]]:
    """Each page, and a part of a script that has to be seen there; "" where none of it is shown."""
    queue = quote(f"q-{SHORT}", safe="")

    def at(job: str) -> str:
        return quote(f"{job}-{SHORT}", safe="")

    return [
        ("/", SHORT),
        (f"/queues/{queue}", SHORT),
        (f"/queues/{queue}?state=failed", SHORT),
        (f"/queues/{queue}?state=delayed", SHORT),
        (f"/queues/{queue}/jobs/{at('failed')}", SHORT),
        (f"/queues/{queue}/jobs/{at('done')}", SHORT),
        (f"/queues/{queue}/jobs/{at('grouped')}", SHORT),
        ("/dead", SHORT),
        ("/workers", SHORT),
        ("/schedules", SHORT),
        ("/audit", SHORT),
        ("/events", SHORT),
        ("/flows", SHORT),
        ("/outbox", ""),
        ("/settings", ""),
        ("/alerts", ""),
        ("/redis", ""),
        ("/checklist", ""),
    ]


def routes_of_the_page() -> set[str]:
    """The pages that there are, by the first part of their address."""
    from pathlib import Path

    source = (Path(__file__).parents[2] / "ui/src/main.tsx").read_text()
    return {path.split("/")[1] for path in re.findall(r"path: '(/[^']*)'", source)}


def test_no_stored_script_runs_on_any_page(open_as: OpenAs, site: Site) -> None:
    page = open_as("ada", "/")
    page.add_init_script(WATCH)
    hosts: set[str] = set()
    dialogs: list[str] = []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))

    def dismiss(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    seen = {path.split("?")[0].split("/")[1] for path, _ in pages()}
    assert routes_of_the_page() - {"$"} <= seen, "a page that is not attacked"
    for path, text in pages():
        go(page, path)
        if text:
            expect(page.locator("main")).to_contain_text(text)
        page.wait_for_load_state("networkidle")
        open_everything(page)
        assert_nothing_ran(page, path)
    assert dialogs == []
    assert {host for host in hosts if host} == {f"127.0.0.1:{site.port}"}


def open_everything(page: Page) -> None:
    """What a page hides until somebody asks: the details of a row."""
    for summary in page.locator("main details:not([open]) > summary").all()[:5]:
        summary.click()


def assert_nothing_ran(page: Page, path: str) -> None:
    assert page.evaluate("window.sawScript ?? 0") == 0, path
    assert page.evaluate("window.refused ?? []") == [], path
    made = "main img, main script, main iframe, [onerror], [onload], [href^='javascript:' i], [src*='evil']"
    assert page.locator(made).count() == 0, path
