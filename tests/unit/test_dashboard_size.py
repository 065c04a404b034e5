"""What a browser loads before it shows anything: a size, not a time."""

from __future__ import annotations

import gzip

import pytest

from corral.dashboard.pages import FOLDER

#: Compressed. More is felt on a telephone: a second of its radio, and of its processor.
MOST_BYTES = 250_000


@pytest.mark.skipif(not (FOLDER / "index.html").is_file(), reason="The pages are not built: make setup")
def test_all_scripts_of_the_page_stay_small() -> None:
    scripts = sorted((FOLDER / "assets").glob("*.js"))
    assert scripts
    sizes = {script.name: len(gzip.compress(script.read_bytes())) for script in scripts}
    assert sum(sizes.values()) < MOST_BYTES, sizes
