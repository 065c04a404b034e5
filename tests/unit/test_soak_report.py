"""What a soak tells: its table and plot, and of one that failed its seed and what replays it."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from bench.soak import __main__ as program
from bench.soak.conductor import Options, Outcome
from bench.soak.ledger import Answer, Book, Run, Trouble
from bench.soak.picture import as_svg
from bench.soak.plan import FaultKind, World, draw
from bench.soak.report import as_markdown
from bench.soak.verdict import judge

OPTIONS = Options(seed=41, seconds=60, rate=10, world=World.SINGLE)
REPLAY = "python -m bench soak --world single --seed 41 --seconds 60 --rate 10"


def outcome(*, lost: bool = False, surprises: tuple[str, ...] = ()) -> Outcome:
    runs = (
        Run(0, "a", 1, 1, 101.0, 102.0),
        Run(0, "a", 2, 2, 110.0, 111.0),
        Run(1, "b", 1, 2, 111.5, 112.0),
    )
    book = Book(
        answers=(
            Answer(0, "python", "a", 100.5),
            Answer(1, "http", "b", 100.6),
            *([Answer(2, "node", "c", 100.7)] if lost else []),
        ),
        begun=runs,
        effects=runs,
        troubles=(Trouble(FaultKind.WORKER_KILL, 102.2, 102.2, 1), Trouble(FaultKind.REDIS_KILL, 105, 107)),
        memory=((101.0, "Redis", 5 * 2**20), (102.0, "API", 2**20), (102.0, "workers, each", 2**20)),
    )
    return Outcome(
        OPTIONS, book, judge(book, []), 100.0, 113.0, 114.0, "Valkey 8.1.8", "one server", (), list(surprises)
    )


def test_the_table_has_a_row_for_everything() -> None:
    text = as_markdown(outcome(), "plot.svg")
    for row in (
        "| enqueued (the add was answered) | 2 |",
        "| done once | 1 |",
        "| done twice: its process was killed while it ran | 1 |",
        "| **done twice without a reason** | 0 |",
        "| **lost** | 0 |",
        "| worker killed | 1 | - | - |",
        "| Redis killed | 1 | 3.0 | 3.0 |",
        "| Redis | 5.0 | 5.0 | 5.0 |",
    ):
        assert row in text
    assert "without a finished job: 9.0 s at 2 s, during: Redis killed, worker killed" in text
    assert REPLAY in text
    assert "(plot.svg)" in text


def test_what_is_lost_is_named() -> None:
    assert "| **lost** | 1: 2 |" in as_markdown(outcome(lost=True))


def test_the_plot_is_a_picture_with_a_band_for_each_fault() -> None:
    drawn = ElementTree.fromstring(as_svg(outcome()))
    titles = [title.text or "" for title in drawn.iter("{http://www.w3.org/2000/svg}title")]
    assert "Redis killed: 2.0 s" in titles
    assert "worker killed: 0.0 s" in titles


@pytest.mark.parametrize("trouble", [{"lost": True}, {"surprises": ("worker 0 ended by itself with 1",)}])
def test_a_run_that_failed_says_what_replays_it_and_exits_1(
    trouble: dict[str, object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, folder = ended(tmp_path, monkeypatch, **trouble)
    said = capsys.readouterr()
    assert code == 1
    assert said.out.startswith("seed 41\n")
    assert REPLAY in said.err
    assert folder.exists()


def test_a_good_run_exits_0_and_writes_its_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _ = ended(tmp_path, monkeypatch)
    assert code == 0
    assert "| **lost** | 0 |" in (tmp_path / "report.md").read_text()
    assert (tmp_path / "report.svg").read_text().startswith("<svg")


def ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **kind: object) -> tuple[int, Path]:
    """The command's exit code after a run with this outcome."""

    async def run(options: Options, folder: Path) -> Outcome:
        assert options == OPTIONS
        assert draw(options.seed, options.seconds, options.world)
        return outcome(**kind)  # type: ignore[arg-type]  # the parameters of the tests above

    monkeypatch.setattr(program, "run", run)
    folder = tmp_path / "ledger"
    given = ["--seed", "41", "--seconds", "60", "--rate", "10", "--report", str(tmp_path / "report.md")]
    return program.main([*given, "--keep", str(folder)]), folder
