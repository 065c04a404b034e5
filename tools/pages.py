"""Photographs every page and dialog of the dashboard, light and dark, wide and narrow, to be looked at.

    tools/chromium.sh .venv/bin/python tools/pages.py FOLDER [PART OF A NAME ...]

Three dashboards are started: `corral demo --incident`, one of odd and large things (200 queues, a queue with
millions of jobs, long names, right-to-left and emoji), whose Redis is stopped at the end, and an empty one.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, BrowserContext, Error, FloatRect, Page, sync_playwright

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests" / folder) for folder in ("browser", ".")]

from dashboard_browser import sign_in  # noqa: E402  # of the tests
from dashboard_incident import seed_incident  # noqa: E402  # of the tests
from dashboard_site import PASSWORD, Site  # noqa: E402  # of the tests

Scheme = Literal["light", "dark"]

LOOKS: dict[str, tuple[Scheme, int]] = {
    "light": ("light", 1440), "dark": ("dark", 1440),
    "light-375": ("light", 375), "dark-375": ("dark", 375),
}  # fmt: skip

#: The whole of a page, but of a long list only its beginning.
TALLEST_PX = 3_200

#: Until the incident is bad enough.
GATHERING_SECONDS = 40

LONG = "a-queue-whose-name-somebody-made-of-everything-that-it-does-for-the-billing-team"

Steps = Callable[[Page], object]


@dataclass(frozen=True, slots=True)
class Shot:
    """path: of the page; or it is made of the path of a job in such a state: (queue, state)."""

    name: str
    path: str | tuple[str, str]
    steps: Steps = lambda _: None
    settle_ms: int = 700


def press(name: str) -> Steps:
    return lambda page: page.get_by_role("button", name=name).locator("visible=true").first.click()


def menu(button: str, choice: str) -> Steps:
    def steps(page: Page) -> None:
        page.get_by_role("button", name=button).locator("visible=true").first.click()
        page.get_by_role("menuitem", name=choice).first.click()

    return steps


def edit_limits(page: Page) -> None:
    """On a narrow screen what stands beside the jobs is behind one line."""
    fold = page.locator(".aside .fold-row")
    fold.or_(page.get_by_role("button", name="Edit", exact=True)).locator("visible=true").first.wait_for()
    if fold.is_visible():
        fold.click()
    page.get_by_role("button", name="Edit", exact=True).click()


def keys(*pressed: str) -> Steps:
    def steps(page: Page) -> None:
        for key in pressed:
            page.keyboard.press(key)
            page.wait_for_timeout(150)

    return steps


def choose_three(page: Page) -> None:
    for box in page.locator("tbody .check").all()[:3]:
        box.check()


def before_answers(page: Page) -> None:
    """The page as it is while the server has not answered."""
    page.route("**/api/v1/**", lambda _: None)
    page.reload()


MORE = "More: retry all, promote all, clean, drain, obliterate"
KYC = "/queues/kyc-verification"

INCIDENT = [
    Shot("overview", "/"),
    Shot("overview-loading", "/", before_answers),
    Shot("queue", KYC),
    Shot("queue-loading", KYC, before_answers),
    Shot("queue-healthy", "/queues/analytics?state=completed"),
    Shot("queue-failed", "/queues/email?state=failed"),
    Shot("queue-many", "/queues/email?state=failed", choose_three),
    Shot("dialog-bulk", KYC, menu(MORE, "Retry all dead letters")),
    Shot("dialog-clean", KYC, menu(MORE, "Clean by state and age")),
    Shot("dialog-obliterate", KYC, menu(MORE, "Obliterate the queue")),
    Shot("dialog-add", KYC, press("Add job")),
    Shot("dialog-limits", KYC, edit_limits),
    Shot("job-completed", ("image-processing", "completed")),
    Shot("job-failed", ("email", "failed")),
    Shot("job-waiting", ("email", "waiting")),
    Shot("job-loading", ("email", "failed"), before_answers),
    Shot("job-none", "/queues/email/jobs/no-such-job"),
    Shot("dialog-edit", ("email", "failed"), press("Edit and retry")),
    Shot("dead", "/dead"),
    Shot("dead-loading", "/dead", before_answers),
    Shot("dead-ignore", "/dead", press("Ignore until")),
    Shot("dead-running", "/dead", press("Retry")),
    Shot("dead-operations", "/dead?state=operations"),
    Shot("workers", "/workers"),
    Shot("schedules", "/schedules"),
    Shot("dialog-schedule", "/schedules", press("New schedule")),
    Shot("flows", "/flows"),
    Shot("events", "/events"),
    Shot("alerts", "/alerts"),
    Shot("alerts-rules", "/alerts", lambda page: page.get_by_role("link", name="Rules").or_(page.get_by_role("tab", name="Rules")).first.click()),  # noqa: E501  # a row of the table
    Shot("dialog-silence", "/alerts", press("Silence…")),
    Shot("audit", "/audit"),
    Shot("redis", "/redis"),
    Shot("outbox", "/outbox"),
    Shot("checklist", "/checklist"),
    *(Shot(f"settings-{tab}", f"/settings?tab={tab}") for tab in ("force", "keys", "users", "versions", "sessions", "appearance")),  # noqa: E501  # a row of the table
    Shot("dialog-key", "/settings?tab=keys", press("New key")),
    Shot("palette", "/", keys("/")),
    Shot("keys", "/", keys("?")),
    Shot("toast", KYC, press("Pause")),
    Shot("toast-undone", KYC, press("Resume")),
    Shot("no-page", "/nowhere"),
]  # fmt: skip

ODD = [
    Shot("odd-overview", "/"),
    Shot("odd-queue", f"/queues/{LONG}"),
    Shot("odd-millions", "/queues/imports"),
    Shot("odd-job", (LONG, "waiting")),
    Shot("odd-none", "/queues/no-such-queue"),
    Shot("odd-events", "/events"),
    Shot("odd-flows", "/flows"),
    Shot("odd-schedules", "/schedules"),
    Shot("odd-alerts", "/alerts"),
    Shot("odd-redis", "/redis"),
]

AWAY = [
    Shot(f"away-{path.strip('/').replace('/', '-') or 'overview'}", path)
    for path in ("/", "/dead", "/workers", "/queues/orders")
]

EMPTY = [
    Shot(f"empty-{path.strip('/') or 'overview'}", path)
    for path in ("/", "/dead", "/workers", "/schedules", "/flows", "/events", "/alerts", "/audit", "/redis")
]


def main() -> None:
    folder, wanted = Path(sys.argv[1]), sys.argv[2:]
    folder.mkdir(parents=True, exist_ok=True)

    def chosen(shots: list[Shot]) -> list[Shot]:
        return [shot for shot in shots if not wanted or any(part in shot.name for part in wanted)]

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        camera = Camera(browser, folder)
        if not wanted or "signin" in wanted or chosen(EMPTY):
            with Site() as site:
                camera.sign_in_page(site.url)
                camera.take(site.url, "ada", PASSWORD, chosen(EMPTY))
        if chosen(ODD) or chosen(AWAY):
            with Site() as site:
                site.do(seed_incident)
                site.do(seed_odd)
                camera.take(site.url, "ada", PASSWORD, chosen(ODD))
                camera.take(site.url, "ada", PASSWORD, chosen(AWAY), before=site.redis.kill)
        if chosen(INCIDENT):
            with incident() as said:
                time.sleep(GATHERING_SECONDS)
                camera.take(said["dashboard"], "operator", said["password"], chosen(INCIDENT))
        browser.close()


@contextmanager
def incident() -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "corral", "demo", "--incident", "--dashboard-port", "0", "--json"]
    demo = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert demo.stdout is not None
        yield json.loads(demo.stdout.readline())
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait()


async def seed_odd(site: Site) -> None:
    for number in range(200):
        queue = site.queue(
            f"tenant-{number % 20:02}-{('mail', 'export', 'sync', 'bill')[number % 4]}-{number:03}"
        )
        await queue.add_many("work", [{"tenant": number}] * (number % 7))
        await queue.close()
    odd, imports = site.queue(LONG), site.queue("imports")
    data = {
        "name": "שלום עולם", "greeting": "مرحبا بالعالم", "mood": "🐎🤠 yee-haw 👩‍👩‍👧‍👦", "long": "no-break-" * 40,  # noqa: E501  # a row of the table
        "nested": {"a": [1, 2.5, None, True, {"b": "c"}]}, "big": 12345678901234567890,
    }  # fmt: skip
    for number in range(3):
        await odd.add(
            "recalculate-the-invoices-of-every-customer-whose-contract-has-ended-in-this-quarter",
            data,
            job_id=f"{'0123456789' * 7}-{number}",
        )
    await odd.add("שלום-עולם 🐎", data)
    await imports.add_many("row", [{"row": number} for number in range(60)])
    for thousands in range(1_234):
        site.redis.client.lpush("bull:imports:wait", *(f"r{thousands}-{n}" for n in range(1_000)))
    for queue in (odd, imports):
        await queue.close()


class Camera:
    def __init__(self, browser: Browser, folder: Path) -> None:
        self.browser = browser
        self.folder = folder

    def sign_in_page(self, url: str) -> None:
        for look in LOOKS:
            context = self._context(look, url)
            page = context.new_page()
            page.goto("/")
            page.wait_for_timeout(300)
            self._save(page, "signin", look)
            if look == "light":
                sign_in(page, "ada", "wrong")
                page.get_by_role("alert").wait_for()
                self._save(page, "signin-wrong", look)
            context.close()

    def take(
        self,
        url: str,
        user: str,
        password: str,
        shots: list[Shot],
        before: Callable[[], object] | None = None,
    ) -> None:
        """before: what happens once each page is open."""
        if not shots:
            return
        context = self._context("light", url)
        page = context.new_page()
        page.goto("/")
        sign_in(page, user, password)
        page.locator(".shell:not([aria-busy])").wait_for()
        cookies, paths = context.cookies(), {shot.name: self._path(page, shot) for shot in shots}
        context.close()
        opened = []
        for look in LOOKS:
            context = self._context(look, url)
            context.add_cookies(cookies)  # type: ignore[arg-type]  # playwright's own answer
            for shot in shots:
                page = context.new_page()
                page.goto(paths[shot.name])
                page.wait_for_timeout(shot.settle_ms)
                if before:
                    opened.append((page, shot, look))
                else:
                    self._finish(page, shot, look)
            if not before:
                context.close()
        if before:
            before()
            time.sleep(8)
            for page, shot, look in opened:
                self._finish(page, shot, look)

    def _finish(self, page: Page, shot: Shot, look: str) -> None:
        try:
            shot.steps(page)
        except Error as wrong:
            print(f"{shot.name} {look}: {str(wrong).splitlines()[0]}", file=sys.stderr)
        page.wait_for_timeout(400)
        self._save(page, shot.name, look)
        page.close()

    def _save(self, page: Page, name: str, look: str) -> None:
        over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if over > 0:
            print(f"{name} {look}: {over} px too wide", file=sys.stderr)
        size = page.evaluate("[innerWidth, document.documentElement.scrollHeight]")
        shown: FloatRect = {"x": 0, "y": 0, "width": size[0], "height": min(size[1], TALLEST_PX)}
        page.screenshot(path=self.folder / f"{name}.{look}.png", full_page=True, clip=shown)

    def _path(self, page: Page, shot: Shot) -> str:
        if isinstance(shot.path, str):
            return shot.path
        queue, state = shot.path
        found = page.request.get(f"/api/v1/queues/{queue}/jobs?state={state}").json()
        jobs = found["jobs"]
        return f"/queues/{queue}/jobs/{jobs[0]['id']}" if jobs else f"/queues/{queue}"

    def _context(self, look: str, url: str) -> BrowserContext:
        scheme, width = LOOKS[look]
        context = self.browser.new_context(
            base_url=url,
            color_scheme=scheme,
            viewport={"width": width, "height": 900 if width > 400 else 812},
            reduced_motion="reduce",
        )
        context.set_default_timeout(4_000)
        return context


if __name__ == "__main__":
    main()
