"""How pytest-xdist deals the tests to its processes: what takes long first, and in small parts.

A file's tests stay together, for their fixtures. Long files are dealt in parts where little is shared, so
that no process is left with all of it while the others have nothing more to do.
"""

from __future__ import annotations

from collections import Counter

import pytest
from xdist.scheduler import LoadFileScheduling

#: Long files of which only tests with the same parameter (a page, a Python) share what is dear to make.
BY_PARAMETER = (
    "tests/package/test_package.py",
    "tests/docs/test_examples.py",
    "tests/acceptance/test_bench_smoke.py",
)

#: Folders and files that take long for the number of their tests, the longest first. A file that is missing
#: here costs time at the end, when the processes that are done wait for the last one.
LONG = (
    "tests/acceptance/test_soak.py",
    "tests/package/",
    "tests/docs/",
    "tests/acceptance/test_bench_smoke.py",
    "tests/browser/",
    "tests/acceptance/",
    "tests/integration/test_manage_described.py",
    "tests/attacks/test_attack_public_api.py",
    "tests/examples/",
    "tests/interop/",
    "tests/integration/test_queue_machine.py",
    "tests/integration/test_differential.py",
    "tests/attacks/",
    "tests/integration/",
)


def part_of(nodeid: str) -> str:
    """The tests that go to one process together, by the name of one of them."""
    file, _, test = nodeid.partition("::")
    if file not in BY_PARAMETER:
        return file
    return f"{file}[{test.partition('[')[2]}"


def in_order(items: list[pytest.Item]) -> list[pytest.Item]:
    """As `LONG` has it; among equals, files of many tests first."""
    files = [item.nodeid.partition("::")[0] for item in items]
    many = Counter(files)
    ranks = {
        file: next((rank for rank, long in enumerate(LONG) if file.startswith(long)), len(LONG))
        for file in many
    }
    placed = {file: place for place, file in enumerate(many)}
    return [
        item
        for _, item in sorted(
            zip(files, items, strict=True),
            key=lambda pair: (ranks[pair[0]], -many[pair[0]], placed[pair[0]]),
        )
    ]


class Dealing(LoadFileScheduling):  # type: ignore[misc]  # xdist ships no types
    def _split_scope(self, nodeid: str) -> str:
        return part_of(nodeid)
