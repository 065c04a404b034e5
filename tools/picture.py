"""Takes the two pictures of the overview in docs/operate/dashboard.md, from a real incident.

    tools/chromium.sh .venv/bin/python tools/picture.py

Starts `corral demo --incident`, waits until it is bad enough, and photographs what an operator sees.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, ViewportSize, expect, sync_playwright

DOCS = Path(__file__).resolve().parent.parent / "docs"
SIZE: ViewportSize = {"width": 1440, "height": 1000}
PATIENCE_MS = 120_000


def main() -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "corral", "demo", "--incident", "--dashboard-port", "0", "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert demo.stdout is not None
        said = json.loads(demo.stdout.readline())
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            photograph(browser, said["dashboard"], said["password"])
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait()


def photograph(browser: Browser, url: str, password: str) -> None:
    page = browser.new_page(viewport=SIZE, base_url=url)
    page.goto("/")
    page.get_by_label("User name").fill("operator")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Test key and resume")).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_timeout(40_000)  # jobs gather
    files: dict[Literal["light", "dark"], str] = {"light": "overview.png", "dark": "overview-dark.png"}
    for scheme, name in files.items():
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.reload()
        expect(page.get_by_role("button", name="Test key and resume")).to_be_visible(timeout=PATIENCE_MS)
        page.wait_for_timeout(1_500)
        page.screenshot(path=DOCS / name)


if __name__ == "__main__":
    main()
