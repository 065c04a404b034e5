"""The page of workers: what each has done, in whose place it runs, and all of them against need over time."""

from __future__ import annotations

import re
import time
from typing import Any

from dashboard_browser import OpenAs
from dashboard_site import Site
from playwright.sync_api import expect

from corral.bullmq import fleets, registry
from corral.bullmq.fleets import Fleet
from corral.data import encode
from corral.scaling import ScalingDecision, keep_decision


def beat(name: str, **more: Any) -> dict[str, Any]:
    now = time.time()
    return {
        "name": name, "host": "h", "pid": 7, "version": "v1", "queues": ["email"], "slots": 4, "busy": 0,
        "beat_at": now, "started_at": now - 60, **more,
    }  # fmt: skip


async def seed_fleet(site: Site) -> None:
    """A worker that tells all, one of an older version, three minutes of history, and a growth."""
    email, now_ms = site.queue("email"), round(time.time() * 1000)
    client = email.client()
    told = {"done": 1_234, "done_per_second": 801.2, "replaces": "4711, ended by SIGKILL"}
    for worker in (beat("w-new", **told), beat("w-old")):
        await registry.write_beat(client, "bull", worker["name"], encode(worker), seconds=600)
    # The dashboard notes the present minute by itself.
    for minutes, fleet in ((3, Fleet(3, 41)), (2, Fleet(5, 46)), (1, Fleet(5, 32))):
        await fleets.write(client, "bull", fleet, now_ms - minutes * 60_000)
    grown = ScalingDecision(
        host="h", pid=1, before=3, after=5, reason="3→5: email backlog 2,310", queue="email", obstacle="",
        room=9, inputs={},
    )  # fmt: skip
    await keep_decision(client, "bull", grown)
    await email.close()


async def forget_fleet(site: Site) -> None:
    """The dashboard may have looked already."""
    email = site.queue("email")
    for key in [key async for key in email.client().scan_iter("corral:bull::fleet*")]:
        await email.client().delete(key)
    await email.close()


def test_workers_tell_what_they_did_and_stand_against_need(open_as: OpenAs, site: Site) -> None:
    site.do(forget_fleet)
    page = open_as("vi", "/workers")
    section = page.locator("section", has=page.get_by_role("heading", name="Workers against need"))
    expect(section).to_contain_text("Too little is recorded yet")

    site.do(seed_fleet)
    page = open_as("vi", "/workers")
    new = page.get_by_role("row", name="w-new")
    expect(new).to_contain_text("801a second")
    expect(new.get_by_title("1,234 attempts since its start completed or failed")).to_be_visible()
    expect(new).to_contain_text("In place of 4711, ended by SIGKILL")
    old = page.get_by_role("row", name="w-old")
    expect(old.get_by_role("cell").nth(3)).not_to_contain_text("a second")
    expect(old).not_to_contain_text("In place of")

    section = page.locator("section", has=page.get_by_role("heading", name="Workers against need"))
    chart = section.get_by_role("img")
    expect(chart).to_have_attribute(
        "aria-label", re.compile("last hour: needed .* 4.6 at most, running .* 5 at most")
    )
    expect(chart).to_have_attribute("aria-label", re.compile("3 → 5 workers for email"))
    section.get_by_text("As a table").click()
    rows = section.get_by_role("table").get_by_role("row")
    expect(rows.filter(has_text="3.2")).to_contain_text("5")
    section.get_by_role("button", name="24 h").click()
    expect(chart).to_have_attribute("aria-label", re.compile("last 24 hours: needed .*5 at most"))
    expect(page.get_by_text("email backlog 2,310")).to_be_visible()


def test_on_a_narrow_screen_they_tell_it_too(open_as: OpenAs, site: Site) -> None:
    site.do(seed_fleet)
    page = open_as("vi", "/workers", width=375)
    new = page.get_by_role("row", name="w-new")
    expect(new.get_by_title("1,234 attempts")).to_contain_text("801")
    expect(new.get_by_text("In place of 4711, ended by SIGKILL")).to_be_visible()
    expect(new.get_by_text("v1").locator("visible=true")).to_be_visible()
    expect(page.get_by_role("heading", name="Workers against need")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
