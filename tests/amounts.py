"""How much is tried by a test that finds more the longer it runs: `CORRAL_TESTS=long` is for a night."""

from __future__ import annotations

import os

LONG = os.environ.get("CORRAL_TESTS") == "long"


def amount(usual: int, long: int) -> int:
    return long if LONG else usual
