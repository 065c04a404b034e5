"""Redis stops while a page is open: the page says so, keeps what it knew, offers nothing, and comes back."""

from __future__ import annotations

from dashboard_browser import OpenAs
from dashboard_site import Site, seed
from playwright.sync_api import expect


def test_it_says_so_keeps_what_it_knew_and_comes_back(open_as: OpenAs, site: Site) -> None:
    page = open_as("ada", "/schedules")
    row = page.get_by_role("row", name="nightly")
    expect(row).to_be_visible()
    expect(page.get_by_role("button", name="New schedule")).to_be_visible()
    site.redis.kill()
    expect(page.get_by_text("Redis does not answer since")).to_be_visible()
    expect(row).to_contain_text("at 03:00 on weekdays")
    expect(page.get_by_role("button", name="New schedule")).to_have_count(0)
    expect(page.get_by_role("button", name="Run, pause")).to_have_count(0)
    site.redis.start()
    # It lost everything, sessions included: the page asks to sign in again, and what is new is there.
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    site.do(seed)


def test_frozen_for_a_while_it_goes_on_by_itself(open_as: OpenAs, site: Site) -> None:
    page = open_as("olu", "/schedules")
    expect(page.get_by_role("button", name="New schedule")).to_be_visible()
    site.redis.freeze()
    expect(page.get_by_text("Redis does not answer since")).to_be_visible()
    expect(page.get_by_role("row", name="nightly")).to_be_visible()
    site.redis.thaw()
    expect(page.get_by_text("Redis does not answer since")).to_have_count(0)
    expect(page.get_by_role("button", name="New schedule")).to_be_visible()
