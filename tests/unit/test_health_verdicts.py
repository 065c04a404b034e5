"""Are the processes of a host well, and do they take jobs? Also while some are drained, replaced or quiet."""

from __future__ import annotations

from typing import Any

import pytest

from corral.observe.health import STALE_SECONDS, judge, judge_ready

NOW = 1_000.0


def report(**more: Any) -> dict[str, Any]:
    return {"ok": True, "written_at": NOW, **more}


@pytest.mark.parametrize(
    ("reports", "wanted", "well", "ready"),
    [
        ([report()], 1, True, True),
        ([report(), report(draining=True)], 1, True, True),
        ([report(draining=True)], 1, False, False),
        ([report(ok=False), report(draining=True)], 1, False, False),
        ([report(quiet=True)], 1, True, False),
        ([report(stopping=True)], 0, True, False),
        ([report(written_at=NOW - STALE_SECONDS)], 1, False, False),
        ([report()], 2, False, False),
        ([], 0, True, False),
    ],
)
def test_what_is_drained_counts_neither_way(
    reports: list[dict[str, Any]], wanted: int, well: bool, ready: bool
) -> None:
    assert judge(reports, wanted, NOW)["ok"] is well
    assert judge_ready(reports, wanted, NOW)["ok"] is ready
