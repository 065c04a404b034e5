"""The site builds without a warning, and a browser that shows it asks no other host for anything."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from page_run import ROOT

#: What makes a browser fetch: an element and its attribute.
FETCHED = {
    ("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("video", "src"),
    ("audio", "src"), ("object", "data"), ("embed", "src"), ("use", "href"), ("image", "href"),
}  # fmt: skip
#: Links that are not only for people to follow.
RELATIONS = {"stylesheet", "icon", "preconnect", "dns-prefetch", "preload", "prefetch", "modulepreload"}


class Fetches(HTMLParser):
    """The addresses that a page makes a browser ask."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.found += [value for name, value in given.items() if (tag, name) in FETCHED]
        if tag == "link" and RELATIONS & set(given.get("rel", "").split()):
            self.found.append(given.get("href", ""))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT / "src"), "NO_MKDOCS_2_WARNING": "1", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.timeout(600)
def test_no_page_asks_another_host(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 70
    for page in pages:
        parser = Fetches()
        parser.feed(page.read_text())
        assert parser.found
        foreign = [address for address in parser.found if urlsplit(address).netloc]
        assert not foreign, f"{page.relative_to(site)}: {foreign}"
    for sheet in site.rglob("*.css"):
        foreign = re.findall(r"(?:@import|url\()\s*[\"']?((?:https?:)?//[^\"')]+)", sheet.read_text())
        assert not foreign, f"{sheet.relative_to(site)}: {foreign}"


@pytest.mark.timeout(600)
def test_the_pages_hold_what_they_are_to_hold(site: Path) -> None:
    hot = (site / "explanation" / "hot-path.html").read_text()
    assert '<svg class="states"' in hot, "the state diagram is no picture"
    assert 'class="mermaid"' not in "".join(page.read_text() for page in site.rglob("*.html"))
    library = (site / "reference" / "library.html").read_text()
    assert 'id="corral.queue.Queue.add_many"' in library
    assert "dead letters" in (site / "search" / "search_index.json").read_text()


def test_the_hook_draws_a_state_diagram() -> None:
    sys.path.insert(0, str(ROOT))
    try:
        from tools import state_diagrams as hook
    finally:
        sys.path.remove(str(ROOT))
    page = "before\n\n```mermaid\nstateDiagram-v2\n    [*] --> on: start <now>\n    on --> off\n```\nafter\n"
    drawn = hook.on_page_markdown(page)
    assert drawn.count('class="arrow"') == 2
    assert "start &lt;now&gt;" in drawn
    assert drawn.startswith("before")
    assert drawn.endswith("after\n")
