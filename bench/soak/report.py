"""What a run found, as Markdown. Pure."""

from __future__ import annotations

from bench.soak.conductor import Outcome
from bench.soak.service import Gap, longest_gap, memory, recoveries


def as_markdown(outcome: Outcome, plot: str | None = None) -> str:
    """The table of numbers, then faults and recoveries, then memory."""
    options = outcome.options
    lines = [
        f"### Seed {options.seed}, {options.world}, {options.seconds:g} s",
        "",
        (
            f"{outcome.world}, {outcome.server}; {options.rate:g} jobs a second from three producers; "
            f"{len(outcome.book.troubles)} faults. Replay: `{options.command}`"
        ),
        "",
    ]
    if plot:
        lines += [f"![The run with seed {options.seed}]({plot})", ""]
    lines += [*_numbers(outcome), "", *_service(outcome), "", *_recoveries(outcome), "", *_memory(outcome)]
    return "\n".join(lines) + "\n"


def _numbers(outcome: Outcome) -> list[str]:
    verdict = outcome.verdict
    lines = [
        "| what became of the numbers | jobs |",
        "|---|---|",
        f"| enqueued (the add was answered) | {verdict.answered:,} |",
        f"| done once | {verdict.once:,} |",
    ]
    lines += [f"| done twice: {why} | {len(numbers):,} |" for why, numbers in sorted(verdict.twice.items())]
    lines += [f"| **done twice without a reason** | {_with_numbers(verdict.unexplained)} |"]
    lines += [f"| dead letters: {why} | {len(numbers):,} |" for why, numbers in sorted(verdict.dead.items())]
    if verdict.dead_wrongly:
        lines += [f"| **dead letters that should be none** | {_with_numbers(verdict.dead_wrongly)} |"]
    if verdict.condemned_wrongly:
        lines += [f"| **taken for killers, and cannot be** | {_with_numbers(verdict.condemned_wrongly)} |"]
    if verdict.unfinished:
        places = sorted({place for _, place in verdict.unfinished})
        numbers = [number for number, _ in verdict.unfinished]
        lines += [f"| **not done yet: {', '.join(places)}** | {_with_numbers(numbers)} |"]
    lines += [
        f"| answered by a master that was replaced, added by {who} | {len(numbers):,} |"
        for who, numbers in sorted(verdict.lost_with_master.items())
    ]
    lines += [f"| **lost** | {_with_numbers(verdict.lost)} |"]
    lines += [
        f"| in the dead letters, and done: {why} | {len(numbers):,} (counted above) |"
        for why, numbers in sorted(verdict.dead_and_done.items())
    ]
    open_adds = f"{verdict.unanswered:,}, of which {verdict.unanswered_done:,} were done"
    lines += [f"| add not answered: may be in or not | {open_adds} |"]
    if verdict.invented:
        lines += [f"| **done, though nobody added it** | {_with_numbers(verdict.invented)} |"]
    lines += [f"| **{surprise}** | |" for surprise in outcome.surprises]
    return lines


def _with_numbers(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:10])) + (", …" if len(numbers) > 10 else "")
    return f"{len(numbers):,}: {shown}" if numbers else "0"


def _service(outcome: Outcome) -> list[str]:
    book = outcome.book
    done = [run.ended or run.began for run in book.effects if (run.ended or 0) <= outcome.produced]
    answered = sorted(answer.at for answer in book.answers if answer.job is not None)
    return [
        (
            f"Longest gap without a finished job: {_gap(longest_gap(done, book.troubles), outcome)}. "
            f"Longest gap without an answered add: {_gap(longest_gap(answered, book.troubles), outcome)}. "
            f"Empty {outcome.drained - outcome.produced:.0f} s after the last add."
        ),
    ]


def _gap(gap: Gap, outcome: Outcome) -> str:
    during = f", during: {', '.join(gap.during)}" if gap.during else ""
    return f"{gap.seconds:.1f} s at {gap.at - outcome.started:.0f} s{during}"


def _recoveries(outcome: Outcome) -> list[str]:
    lines = ["| fault | times | recovered, median s | longest s |", "|---|---|---|---|"]
    for one in recoveries(outcome.book):
        median = "-" if one.median is None else f"{one.median:.1f}"
        longest = "-" if one.longest is None else f"{one.longest:.1f}"
        lines.append(f"| {one.kind} | {one.count} | {median} | {longest} |")
    return lines


def _memory(outcome: Outcome) -> list[str]:
    lines = ["| memory, MiB | second quarter | last quarter | most |", "|---|---|---|---|"]
    lines += [
        f"| {one.what} | {one.early:.1f} | {one.late:.1f} | {one.most:.1f} |" for one in memory(outcome.book)
    ]
    return lines
