"""What the browser tests do with a page."""

from __future__ import annotations

from collections.abc import Callable

from dashboard_site import PASSWORD
from playwright.sync_api import Page, expect

#: Milliseconds; a busy machine takes its time.
PATIENCE = 20_000

expect.set_options(timeout=PATIENCE)

#: Opens a page of the dashboard as this user: `open_as("vi", "/workers")`.
OpenAs = Callable[..., Page]


def go(page: Page, path: str) -> Page:
    page.goto(path)
    page.locator(".shell:not([aria-busy])").wait_for()
    return page


#: Colours that glide from one theme to the other are those of neither until they have arrived.
_IN_THEME = """
theme => {
  document.documentElement.dataset.theme = theme
  for (const one of document.getAnimations()) if (one instanceof CSSTransition) one.finish()
}
"""


def in_theme(page: Page, theme: str) -> None:
    """Its colours, without opening it again: a page that is opened is most of what a look costs."""
    page.evaluate(_IN_THEME, theme)


def sign_in(page: Page, user: str, password: str = PASSWORD) -> None:
    page.get_by_label("User name").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
