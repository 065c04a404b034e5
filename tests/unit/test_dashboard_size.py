"""What a browser loads before it shows anything: a size, not a time."""

from __future__ import annotations

import gzip
import re

import pytest

from corral.dashboard.pages import FOLDER

#: Compressed. More is felt on a telephone: a second of its radio, and of its processor.
MOST_BYTES = 250_000

_SCRIPT = re.compile(r'(?:src|href)="/(assets/[^"]+\.js)"')


@pytest.mark.skipif(not (FOLDER / "index.html").is_file(), reason="The pages are not built: make setup")
def test_the_scripts_of_the_first_load_stay_small() -> None:
    scripts = _SCRIPT.findall((FOLDER / "index.html").read_text())
    assert scripts
    sizes = {script: len(gzip.compress((FOLDER / script).read_bytes())) for script in scripts}
    assert sum(sizes.values()) < MOST_BYTES, sizes
