"""The sum over worker processes never falls, whatever becomes of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.observe import process_folder
from corral.observe.counted import BOUNDS, Counted, Histogram, OfName, OfQueue, Present, ProcessNumbers
from corral.observe.process_folder import NumbersFile, ProcessFolder, is_alive
from eventually import eventually

NOW = 1_000.0


def numbers(pid: int, completed: int, *, at: float = NOW, **present: Any) -> ProcessNumbers:
    of_name = OfName({"completed": completed}, Histogram((completed,) + (0,) * len(BOUNDS), completed / 2))
    return ProcessNumbers(
        pid, at, Counted({"email": OfQueue({"send": of_name})}, completed / 10), Present(**present)
    )


class Host:
    """Processes that a test starts, lets write and ends."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.alive: set[int] = set()
        self.folder = ProcessFolder(folder, self.alive.__contains__)

    def write(self, name: str, written: ProcessNumbers) -> None:
        self.alive.add(written.pid)
        (self.path / f"{written.pid}-{name}.numbers").write_bytes(msgspec.json.encode(written))

    def completed(self, now: float = NOW) -> int:
        queue = self.folder.together(now).counted.queues.get("email")
        return queue.names["send"].outcomes["completed"] if queue else 0

    def files(self) -> list[str]:
        return sorted(path.name for path in self.path.iterdir())


def test_processes_add_up(tmp_path: Path) -> None:
    host = Host(tmp_path)
    assert host.completed() == 0
    host.write("a", numbers(11, 3, slots={"email": 4}, busy={"email": 1}, loop_lag_seconds=0.2))
    host.write("b", numbers(12, 4, slots={"email": 4}, busy={"email": 4}, loop_lag_seconds=0.1))
    seen = host.folder.together(NOW)
    assert seen.processes == 2
    assert seen.present == Present({"email": 8}, {"email": 5}, 0.2)
    of_name = seen.counted.queues["email"].names["send"]
    assert (of_name.outcomes["completed"], of_name.wait.counts[0], of_name.wait.seconds) == (7, 7, 3.5)
    assert seen.counted.cpu_seconds == 0.7


def test_what_an_ended_process_did_stays_and_its_file_goes(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.write("a", numbers(11, 3, slots={"email": 4}))
    host.alive.discard(11)
    for _ in range(3):  # it is added once
        assert host.completed() == 3
    assert host.files() == []
    assert host.folder.together(NOW).processes == 0
    assert host.folder.together(NOW).present.slots == {}
    host.write("b", numbers(12, 1))
    assert host.completed() == 4


def test_a_pid_that_comes_again_is_another_process(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.write("a", numbers(11, 3))
    host.write("b", numbers(11, 1))
    assert host.completed() == 4


def test_a_process_that_stands_still_keeps_its_counts_and_has_no_slots(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.write("a", numbers(11, 3, slots={"email": 4}))
    late = host.folder.together(NOW + 60)
    assert (late.processes, late.present.slots) == (0, {})
    assert host.completed(NOW + 60) == 3
    host.write("a", numbers(11, 5, at=NOW + 61, slots={"email": 4}))
    assert host.completed(NOW + 61) == 5


def test_what_is_no_report_is_passed_over(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.write("a", numbers(11, 3))
    host.alive.add(12)
    (tmp_path / "12-b.numbers").write_bytes(b'{"pid": 12')
    (tmp_path / "host-1.json").write_text("{}")
    assert host.completed() == 3


@given(
    st.lists(
        st.tuples(st.sampled_from(["work", "die", "scrape"]), st.integers(1, 3), st.integers(0, 5)),
        max_size=30,
    )
)
def test_the_sum_never_falls(steps: list[tuple[str, int, int]]) -> None:
    """Whatever order processes work, die and are scraped in; and at the end nothing they wrote is missing."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        host, lives, done = Host(Path(folder)), dict.fromkeys((1, 2, 3), 0), dict.fromkeys((1, 2, 3), 0)
        seen, total = 0, 0
        for what, pid, jobs in steps:
            if what == "work":
                done[pid] += jobs
                total += jobs
                host.write(str(lives[pid]), numbers(pid, done[pid]))
            elif what == "die":
                # The next of this pid starts only after a scrape, or is told apart by its file.
                host.alive.discard(pid)
                lives[pid] += 1
                done[pid] = 0
            else:
                assert seen <= host.completed() == total
                seen = total
        assert host.completed() == total
        assert len(host.files()) <= sum(lives.values()) + 3


async def test_files_of_ended_processes_go_though_nobody_scrapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_folder, "TIDY_SECONDS", 0.001)
    host = Host(tmp_path)
    host.write("a", numbers(11, 3))
    host.alive.discard(11)
    async with host.folder.tidied():
        await eventually(lambda: not host.files())
    assert host.completed() == 3


def test_a_process_writes_its_own_file_in_one_step(tmp_path: Path) -> None:
    file = NumbersFile(tmp_path)
    for completed in (1, 2):
        file.write(numbers(os.getpid(), completed))
    (only,) = tmp_path.iterdir()
    assert only.name.startswith(f"{os.getpid()}-")
    assert ProcessFolder(tmp_path).together(NOW).counted.queues["email"].names["send"].outcomes == {
        "completed": 2
    }
    assert NumbersFile(tmp_path)._path != file._path


def test_who_is_alive() -> None:
    assert is_alive(os.getpid())
    assert is_alive(1)
    assert not is_alive(2**22 - 1) or Path(f"/proc/{2**22 - 1}").exists()
