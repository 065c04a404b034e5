"""Which tests stay together when several processes run the suite, and which come first."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from dealing import A_TEST, BY_PARAMETER, SECONDS, in_order, part_of, seconds

ROOT = Path(__file__).parents[2]

#: Of the folder whose tests are the shortest.
SHORT = "tests/unit/test_policy.py"


def ordered(*nodeids: str) -> list[str]:
    items: Any = [SimpleNamespace(nodeid=nodeid) for nodeid in nodeids]
    return [item.nodeid for item in in_order(items)]


def test_a_file_stays_together() -> None:
    assert part_of(f"{SHORT}::test_one[a::b]") == SHORT


def test_of_a_long_file_what_has_the_same_parameter_stays_together() -> None:
    for file in BY_PARAMETER:
        first, same, other, plain, plainer = (
            part_of(f"{file}::test_{name}") for name in ("one[a::b]", "two[a::b]", "one[c]", "three", "four")
        )
        assert first == same
        assert plain == plainer
        assert len({first, other, plain, file}) == 4


def test_the_longest_come_first_and_a_file_keeps_its_order() -> None:
    gil, page = "tests/acceptance/test_held_gil.py::test_b", "tests/docs/test_site.py::test_one"
    assert ordered(f"{SHORT}::test_z", f"{SHORT}::test_a", page, gil) == [
        gil,
        page,
        f"{SHORT}::test_z",
        f"{SHORT}::test_a",
    ]


def test_of_a_folder_many_tests_come_first() -> None:
    few, many = "tests/unit/test_aaa.py::test_one", [f"{SHORT}::test_{name}" for name in "ab"]
    assert ordered(few, *many) == [*many, few]


def test_what_is_named_takes_longer_than_its_folder_says() -> None:
    for part, measured in SECONDS.items():
        assert seconds(part, 1) == measured > seconds(f"{part}x", 1) > 0, part


def test_what_is_named_is_there() -> None:
    for name in (*SECONDS, *A_TEST, *BY_PARAMETER):
        assert (ROOT / name.partition("[")[0]).exists(), name
    assert {f"tests/{file.parts[-2]}/" for file in (ROOT / "tests").glob("*/test_*.py")} == set(A_TEST)
