"""Redis stops while a page is open: the page says so, keeps what it knew, offers nothing, and comes back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dashboard_browser import OpenAs
from dashboard_site import Site, seed
from playwright.sync_api import expect


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Its Redis has everything again when it is started again, sessions included."""
    with Site("--appendonly", "yes", "--dir", str(tmp_path_factory.mktemp("redis"))) as started:
        started.do(seed)
        yield started


def test_it_says_so_keeps_what_it_knew_and_comes_back(open_as: OpenAs, site: Site) -> None:
    page = open_as("ada", "/schedules")
    row = page.get_by_role("row", name="nightly")
    down = page.get_by_text("Redis does not answer since")
    expect(row).to_be_visible()
    expect(page.get_by_role("button", name="New schedule")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    page.evaluate("window.neverReloaded = true")
    site.redis.kill()
    expect(down).to_be_visible()
    expect(row).to_contain_text("at 03:00 on weekdays")
    expect(page.get_by_role("button", name="New schedule")).to_have_count(0)
    expect(page.get_by_role("button", name="Run, pause")).to_have_count(0)
    site.redis.start()
    expect(down).to_have_count(0)
    expect(row).to_be_visible()
    expect(page.get_by_role("button", name="New schedule")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    assert page.evaluate("window.neverReloaded"), "It comes back without a reload"
