"""Single sign-on in a browser: from the sign-in page to another site and back, to the page asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dashboard_browser import PATIENCE
from dashboard_site import Site, seed
from playwright.sync_api import Browser, expect

from oidc_provider import CLIENT, SECRET, OidcProvider


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    """Under another name than the dashboard, so that it is another site."""
    with OidcProvider(host="localhost", asks=True) as started:
        yield started


@pytest.fixture(scope="module")
def site(provider: OidcProvider) -> Iterator[Site]:
    new = Site()
    provider.redirect_uri = f"{new.url}/oidc/callback"
    new.settings = {
        "CORRAL_DASHBOARD_URL": new.url,
        "CORRAL_DASHBOARD_OIDC_ISSUER": provider.issuer,
        "CORRAL_DASHBOARD_OIDC_CLIENT_ID": CLIENT,
        "CORRAL_DASHBOARD_OIDC_CLIENT_SECRET": SECRET,
        "CORRAL_DASHBOARD_OIDC_NAME": "Acme",
        "CORRAL_DASHBOARD_OIDC_ROLES": "ops:operator",
    }
    with new as started:
        started.do(seed)
        yield started


def test_from_the_sign_in_page_to_another_site_and_back(
    site: Site, provider: OidcProvider, browser: Browser
) -> None:
    context = browser.new_context(base_url=site.url)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    faults: list[str] = []
    page.on(
        "console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None
    )
    page.goto("/schedules")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.get_by_role("link", name="Sign in with Acme").click()
    expect(page).to_have_title("The provider")

    # Whoever has no group here comes back to the sign-in page, which says why.
    provider.claims["groups"] = ["choir"]
    page.get_by_role("link", name="I am Ada").click()
    expect(page.get_by_role("alert")).to_contain_text("None of your groups has a role here")
    assert page.url == f"{site.url}/"
    assert context.cookies(site.url) == []

    provider.claims["groups"] = ["ops"]
    page.goto("/schedules")
    page.get_by_role("link", name="Sign in with Acme").click()
    page.get_by_role("link", name="I am Ada").click()
    expect(page.get_by_role("heading", name="Schedules")).to_be_visible()
    assert page.url == f"{site.url}/schedules"
    (cookie,) = context.cookies(site.url)
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("corral", True, "Strict")
    expect(page.get_by_role("button", name="New schedule")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in with Acme")).to_be_visible()
    assert faults == []
    context.close()
