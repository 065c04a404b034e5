"""What operators do all day: each thing is done on the page, and Redis is asked whether it came to be."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from dashboard_browser import OpenAs, go
from dashboard_incident import seed_alert
from dashboard_site import Site
from playwright.sync_api import Locator, Page, expect

from corral import JobContext, Worker, audit
from corral.breakers import Breakers
from corral.bullmq import alerting, registry
from corral.bullmq.connection import close_shared_clients
from corral.credentials.managed import ManagedKeys
from corral.credentials.tokens import digest
from corral.data import decode_json
from corral.observe.alerts.storing import read_silences


def choose(page: Page, menu: Locator, choice: str) -> None:
    """Open the menu and take it."""
    menu.click()
    page.get_by_role("menuitem", name=choice).click()


async def assert_noted(site: Site, who: str, actions: Sequence[str]) -> None:
    """The newest entries of the audit log are these, and all of them are this one's."""
    queue = site.queue("reports")
    newest = await audit.entries(queue.client(), "bull", count=len(actions))
    assert [(entry.actor, entry.action) for entry in reversed(newest)] == [(who, one) for one in actions]
    await queue.close()


def test_a_key_is_rotated_and_the_old_one_is_taken_for_an_hour(open_as: OpenAs, site: Site) -> None:
    page = open_as("ada", "/settings?tab=keys")
    shown = page.get_by_label("Secret", exact=True)
    page.get_by_role("button", name="New key").click()
    page.get_by_label("Name, as logs").fill("till")
    page.get_by_role("button", name="Make the key").click()
    old = shown.input_value()
    page.get_by_role("button", name="I have it").click()

    choose(page, page.get_by_role("button", name="Rotate or revoke till"), "Rotate")
    form = page.get_by_role("dialog", name="Rotate till")
    form.get_by_label("The old one is taken for").select_option(label="1 hour")
    form.get_by_role("button", name="Rotate", exact=True).click()
    expect(shown).not_to_have_value(old)
    new = shown.input_value()
    page.get_by_role("button", name="I have it").click()
    rows = page.get_by_role("row", name="till")
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="being replaced")).to_have_count(1)
    expect(rows.filter(has_text="active")).to_have_count(1)

    async def both_are_taken(site: Site) -> None:
        queue = site.queue("reports")
        client = queue.client()
        after, before = [key for key in await ManagedKeys(client, "bull").list() if key.name == "till"]
        assert (after.state, before.state, before.replaced_by) == ("active", "replaced", after.id)
        assert before.expires is not None
        assert round(before.expires - after.created) == 3_600
        for key, secret in ((after, new), (before, old)):
            kept: Any = await client.hget("corral:bull::api-keys", key.id)
            assert decode_json(kept)["digest"] == digest(secret).hex()
        await queue.close()

    site.do(both_are_taken)
    site.do(lambda site: assert_noted(site, "user:ada", ("key.create", "key.rotate")))


def test_an_alert_is_silenced_its_silence_ended_and_the_channels_tested(open_as: OpenAs, site: Site) -> None:
    site.do(seed_alert)

    async def silent(*about: str) -> None:
        queue = site.queue("reports")
        _, rows = await alerting.silences(queue.client(), "bull")
        assert [f"{one.id} {one.reason} {one.by}" for one in read_silences(rows)] == list(about)
        await queue.close()

    page = open_as("olu", "/alerts")
    alert = page.get_by_role("row", name="onfido").filter(has=page.get_by_role("button"))
    alert.get_by_role("button", name="Silence").click()
    form = page.get_by_role("dialog", name="Silence breaker-open of onfido")
    form.get_by_label("4 hours").check()
    form.get_by_label("Why").fill("they know")
    form.get_by_role("button", name="Silence").click()
    expect(form).to_have_count(0)
    expect(alert.get_by_role("button", name="Silence")).to_have_count(0)
    silences = page.get_by_role("region", name="Silences")
    expect(silences).to_contain_text("they know")
    site.do(lambda _: silent("breaker-open:onfido they know user:olu"))

    silences.get_by_role("button", name="End it").click()
    expect(silences).to_have_count(0)
    expect(alert.get_by_role("button", name="Silence")).to_be_visible()
    site.do(lambda _: silent())

    page.get_by_role("button", name="Test the channels").click()
    expect(page.get_by_role("status").filter(has_text="took it in")).to_contain_text("log")
    did = ("alert.silence", "alert.unsilence", "alert.test")
    site.do(lambda site: assert_noted(site, "user:olu", did))


@contextmanager
def working(site: Site) -> Iterator[Future[None]]:
    """A worker named w-real in a thread of its own; it ends with the block, if it was not told to before."""
    stops: list[Callable[[], object]] = []

    async def work() -> None:
        parcels = site.queue("parcels")

        @parcels.job("pack")
        async def pack(job: JobContext, data: Any) -> None: ...

        worker = Worker(parcels, name="w-real", concurrency=2)
        loop = asyncio.get_running_loop()
        stops.append(lambda: loop.call_soon_threadsafe(worker.stop))
        await worker.run()
        await parcels.close()
        await close_shared_clients()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(asyncio.run, work())
        try:
            yield running
        finally:
            if not running.done():
                for stop in stops:
                    stop()


def test_a_worker_is_told_to_take_no_new_jobs_and_then_to_stop(open_as: OpenAs, site: Site) -> None:
    async def beats(*quiet: bool) -> None:
        parcels = site.queue("parcels")
        told = [decode_json(text) for text in await registry.read_beats(parcels.client(), "bull")]
        # Its process is in its name, for orders and beats.
        assert [beat["name"].split("@")[0] for beat in told] == ["w-real"] * len(quiet)
        assert [beat["quiet"] for beat in told] == list(quiet)
        await parcels.close()

    async def add(site: Site) -> None:
        parcels = site.queue("parcels")
        await parcels.add("pack", 1)
        await parcels.close()

    async def nobody_took_it(site: Site) -> None:
        parcels = site.queue("parcels")
        assert (await parcels.counts())["waiting"] == 1
        await parcels.close()

    page = open_as("olu", "/workers")
    with working(site) as running:
        row = page.get_by_role("row", name="w-real")
        expect(row).to_contain_text("Running")
        menu = page.get_by_role("button", name="Quiet or stop w-real")
        choose(page, menu, "Take no new jobs")
        page.get_by_role("dialog").get_by_role("button", name="Make it quiet").click()
        expect(page.get_by_text(re.compile("w-real.* told to take no new jobs"))).to_be_visible()
        expect(row).to_contain_text("Quiet: takes no new jobs")
        site.do(lambda _: beats(True))
        site.do(add)
        assert not running.done()

        choose(page, menu, "Stop")
        page.get_by_role("dialog").get_by_role("button", name="Stop it").click()
        expect(page.get_by_text(re.compile("w-real.* told to stop"))).to_be_visible()
        running.result(60)
    expect(page.get_by_role("heading", name="No worker runs")).to_be_visible()
    site.do(lambda _: beats())
    site.do(nobody_took_it)
    site.do(lambda site: assert_noted(site, "user:olu", ("worker.quiet", "worker.stop")))
    go(page, "/audit")
    expect(page.get_by_role("cell", name="worker.stop")).to_be_visible()


async def hold_a_job(site: Site) -> None:
    """As a worker leaves it whose provider's breaker is open."""
    email = site.queue("email")
    job = await email.add("send", 1, delay=3_600)
    await Breakers(site.redis.url).hold("onfido", "its key was revoked")
    until: Any = await email.client().zscore("bull:email:delayed", job.id)
    await email.client().zadd("corral:bull::breaker:onfido:held", {f"email:{job.id}": until})
    await email.close()


def test_a_breaker_is_resumed_from_the_overview(open_as: OpenAs, site: Site) -> None:
    async def stands(state: str) -> None:
        assert (await Breakers(site.redis.url).get("onfido")).state == state

    site.do(hold_a_job)
    page = open_as("olu")
    band = page.get_by_role("region", name="What is wrong")
    expect(band.get_by_role("heading")).to_contain_text("email is held")
    band.get_by_role("button", name="Test key and resume").click()
    # No key is here that a provider would take: who knows better says so.
    again = band.get_by_role("button", name="Resume all the same")
    expect(again).to_be_visible()
    site.do(lambda _: stands("open"))
    again.click()
    expect(page.get_by_text(re.compile("onfido.s breaker is closed"))).to_be_visible()
    expect(page.get_by_role("heading", name="email is held")).to_have_count(0)
    site.do(lambda _: stands("closed"))
    site.do(lambda site: assert_noted(site, "user:olu", ("breaker.resume",)))


def test_a_schedule_is_run_now_paused_and_resumed(open_as: OpenAs, site: Site) -> None:
    page = open_as("olu", "/schedules")
    row = page.get_by_role("row", name="nightly")
    menu = row.get_by_role("button", name="Run, pause")

    choose(page, menu, "Run now")
    said = page.get_by_text(re.compile(r"Job \d+ added to reports\."))
    expect(said).to_be_visible()
    number = re.findall(r"\d+", said.inner_text())[0]

    async def runs_now(site: Site) -> None:
        reports = site.queue("reports")
        job = await reports.get(number)
        assert job is not None
        assert (job.name, job.data) == ("build", {"month": "may"})
        assert (await reports.counts())["waiting"] == 1
        nightly = await reports.schedules.get("nightly")
        assert nightly is not None
        assert nightly.next_run is not None  # its own run is still to come
        await reports.close()

    site.do(runs_now)

    async def stands(*, paused: bool) -> None:
        reports = site.queue("reports")
        nightly = await reports.schedules.get("nightly")
        assert nightly is not None
        assert (nightly.paused, nightly.next_run is None) == (paused, paused)
        await reports.close()

    choose(page, menu, "Pause")
    expect(page.get_by_text("nightly paused.")).to_be_visible()
    expect(row).to_contain_text("paused")
    site.do(lambda _: stands(paused=True))
    choose(page, menu, "Go on")
    expect(page.get_by_text("nightly goes on.")).to_be_visible()
    expect(row).not_to_contain_text("paused")
    site.do(lambda _: stands(paused=False))
    did = ("schedule.run", "schedule.pause", "schedule.resume")
    site.do(lambda site: assert_noted(site, "user:olu", did))
