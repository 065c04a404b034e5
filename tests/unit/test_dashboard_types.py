"""The dashboard's client is made from the management API's description: it must be the one that is served."""

from __future__ import annotations

import json
from pathlib import Path

from corral.manage.routes import description

DOCUMENT = Path(__file__).parents[2] / "ui" / "openapi.json"


def test_the_description_that_the_pages_are_built_from_is_the_one_that_is_served() -> None:
    served = json.dumps(description(), indent=1) + "\n"
    assert DOCUMENT.read_text() == served, "Write it anew: .venv/bin/python tools/describe.py"
