"""How many more processes fit into the host's memory, and what a process takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from corral.worker.memory import LEAST_BYTES, Memory, group_memories, memories, room_for, tree_bytes

MB = 1024 * 1024


@pytest.mark.parametrize(
    ("seen", "process", "room"),
    [
        ([Memory(1_000 * MB, 900 * MB)], 200 * MB, 4),
        ([Memory(1_000 * MB, 900 * MB), Memory(600 * MB, 300 * MB)], 200 * MB, 1),
        ([Memory(1_000 * MB, 90 * MB)], 10 * MB, 0),
        ([Memory(1_000 * MB, 900 * MB)], 0, 800 * MB // LEAST_BYTES),
    ],
)
def test_the_narrowest_counts_and_a_tenth_stays_free(seen: list[Memory], process: int, room: int) -> None:
    assert room_for(seen, process) == room


def test_control_groups_with_a_limit_are_read_up_to_the_top(tmp_path: Path) -> None:
    top, group = tmp_path / "top", tmp_path / "top" / "service" / "worker"
    group.mkdir(parents=True)
    for folder, limit in ((top, "max"), (group.parent, str(500 * MB)), (group, str(300 * MB))):
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text(f"{120 * MB}\n")
        (folder / "memory.stat").write_text(f"anon 5\ninactive_file {20 * MB}\n")
    assert group_memories(group, top) == [Memory(300 * MB, 200 * MB), Memory(500 * MB, 400 * MB)]
    assert group_memories(tmp_path / "elsewhere", top) == []


def test_of_this_machine_and_this_process() -> None:
    assert all(memory.total > 0 for memory in memories())
    assert tree_bytes(os.getpid()) > MB
    assert tree_bytes(2**22 + 1) == 0
