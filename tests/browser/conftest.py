"""A browser on a real dashboard. Each module has its own: the driver has an event loop while it lives."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from dashboard_browser import PATIENCE, OpenAs, go, sign_in
from dashboard_site import Site, seed
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

OURS = Path(__file__).resolve().parents[2] / ".venv/chromium/bin"

#: Nothing of the browser's own asks a server for something.
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic", "--no-first-run",
]  # fmt: skip

Theme = Literal["light", "dark"]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as started:
        started.do(seed)
        yield started


@pytest.fixture(scope="module")
def browser(site: Site) -> Iterator[Browser]:
    """Wants the site so that it outlives the browser."""
    program = shutil.which("chromium") or shutil.which("chromium", path=str(OURS))
    assert program, "There is no chromium here. Run the tests with `make test`, or through tools/chromium.sh."
    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=program, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def sessions() -> dict[str, list[Any]]:
    """Cookies of who has signed in: each attempt counts towards the throttle."""
    return {}


@pytest.fixture
def open_as(site: Site, browser: Browser, sessions: dict[str, list[Any]]) -> Iterator[OpenAs]:
    opened: list[BrowserContext] = []

    def open_page(user: str, path: str = "/", *, theme: Theme = "light", width: int = 1440) -> Page:
        context = browser.new_context(
            color_scheme=theme,
            viewport={"width": width, "height": 900},
            base_url=site.url,
            storage_state={"cookies": sessions.get(user, []), "origins": []},
        )
        opened.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        if user not in sessions:
            page.goto("/")
            sign_in(page, user)
            page.locator(".shell:not([aria-busy])").wait_for()
            sessions[user] = context.cookies()
        return go(page, path)

    yield open_page
    for context in opened:
        context.close()
