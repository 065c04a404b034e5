"""Our cron expressions against BullMQ's parsers: the same next runs, or a difference that is written down."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from node_process import BOTH_VERSIONS, Node, NodeFailed, NodeProcess

from corral.cron import next_runs
from corral.errors import InvalidOptions

pytestmark = BOTH_VERSIONS

#: Nights on which clocks move, and a day on which none does.
DAYS = [
    ("UTC", datetime(2026, 1, 15, 10, 20, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 3, 28, 19, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 24, 19, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 8, 1, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 1, tzinfo=UTC)),
    ("Pacific/Auckland", datetime(2026, 4, 4, 9, tzinfo=UTC)),
    ("Asia/Kolkata", datetime(2026, 6, 1, tzinfo=UTC)),
]

#: The older parser takes its time.
DAYS_FOR = {"6.7": DAYS, "5.81": DAYS[1:3]}

PATTERNS = [
    "* * * * *", "*/15 * * * *", "5/15 * * * *", "1-10/3 * * * *", "0 3 * * *", "30 2 * * *", "0 2 * * *",
    "15,45 2 * * *", "30 2,4 * * *", "30 2,3,4 * * *", "0 */2 * * *", "*/30 1-3 * * *", "0 * * * *",
    "0 0 * * *", "0 30 2 * * *", "*/20 * 2 * * *", "*/10 * * * * *", "0 12 * * 1-5", "0 12 * * MON-FRI",
    "0 0 13 * 5", "0 0 */2 * 1", "0 0 * * */2", "0 0 1-7 * 1", "0 0 1,15 * 3", "0 0 L * *", "0 0 L,15 * *",
    "0 0 L 2 *", "0 0 * * 5L", "0 0 * * 1L,3L", "0 0 * * 1#2", "0 0 * 2 1#5", "0 0 * * 7", "0 0 * * 5-7",
    "0 0 ? * 1", "0 0 29 2 *", "0 0 31 * *", "0 0 * JAN,jul sun", "0 0 0 1 1 *", "*/90 * * * *",
    "@secondly", "@minutely", "@hourly", "@daily", "@weekdays", "@weekends", "@weekly", "@monthly",
    "@yearly", "@annually",
]  # fmt: skip

REFUSED_BY_BOTH = [
    "60 * * * *", "0 0 32 * *", "0 0 30 2 *", "0 22-2 * * *", "0 0 * * FRI-MON", "0 0 15W * *", "0 0 LW * *",
    "0 0 * * L", "0 0 L-3 * *", "0 0 * * MON#1,WED#2", "0,0 * * * *", "@midnight", "x * * * *",
]  # fmt: skip

#: BullMQ's parser fills in what is missing, and puts a random number for H (that of 5.81 knows no H).
REFUSED_HERE_ONLY = {"6.7": ["", "* * *", "H * * * *"], "5.81": ["", "* * *"]}

#: The parser of BullMQ 5.81 is older.
REFUSED_BY_5_81 = {"@secondly", "@minutely", "@weekdays", "@weekends", "@annually", "0 0 * 2 1#5"}
REFUSED_BUT_BY_5_81 = {"0,0 * * * *"}


def ours(pattern: str, tz: str, after: datetime, count: int = 5) -> list[int]:
    return [round(run.timestamp() * 1000) for run in next_runs(pattern, tz, after, count)]


async def theirs(cron: NodeProcess, pattern: str, tz: str, after: datetime, count: int = 5) -> list[int]:
    runs: list[int] = await cron.call("next", pattern, tz, round(after.timestamp() * 1000), count)
    return runs


async def test_the_same_next_five_runs(node: Node, node_version: str) -> None:
    cron = await node("cron.mjs")
    for pattern in PATTERNS:
        if node_version == "5.81" and pattern in REFUSED_BY_5_81:
            with pytest.raises(NodeFailed):
                await theirs(cron, pattern, *DAYS[0])
            continue
        for tz, after in DAYS_FOR[node_version]:
            assert ours(pattern, tz, after) == await theirs(cron, pattern, tz, after), (pattern, tz, after)


async def test_the_same_runs_of_expressions_made_by_chance(node: Node, node_version: str) -> None:
    cron = await node("cron.mjs")
    seed = random.randrange(10_000)
    print(f"seed {seed}")  # noqa: T201  # shown when the test fails
    dice = random.Random(seed)
    for _ in range(300 if node_version == "6.7" else 40):
        pattern = _pattern(dice)
        tz, day = dice.choice(DAYS)
        after = day.replace(minute=dice.randrange(60), second=dice.randrange(60))
        assert ours(pattern, tz, after) == await theirs(cron, pattern, tz, after), (pattern, tz, after)


def _pattern(dice: random.Random) -> str:
    def field(lowest: int, highest: int) -> str:
        some = sorted(dice.sample(range(lowest, highest + 1), 3))
        return dice.choice(
            ["*", f"*/{dice.randint(2, max(2, highest // 2))}", f"{some[0]}", f"{some[0]}-{some[2]}",
             ",".join(map(str, some))]
        )  # fmt: skip

    fields = [field(0, 59), field(0, dice.choice([5, 23]))]
    fields += [field(1, 28) if dice.random() < 0.3 else "*", "*", field(0, 6) if dice.random() < 0.3 else "*"]
    return " ".join([field(0, 59), *fields] if dice.random() < 0.3 else fields)


async def test_all_hours_written_out_are_every_real_hour(node: Node) -> None:
    """Found by chance: over the hour that comes twice."""
    cron = await node("cron.mjs")
    after = datetime(2026, 11, 1, 1, 59, 3, tzinfo=UTC)
    runs = ours("4 0-23 * * *", "America/New_York", after)
    assert runs == ours("4 * * * *", "America/New_York", after)
    assert runs == await theirs(cron, "4 0-23 * * *", "America/New_York", after)


async def test_what_both_refuse(node: Node, node_version: str) -> None:
    cron = await node("cron.mjs")
    for pattern in REFUSED_BY_BOTH:
        with pytest.raises(InvalidOptions):
            ours(pattern, "UTC", DAYS[0][1])
        if node_version == "5.81" and pattern in REFUSED_BUT_BY_5_81:
            assert await theirs(cron, pattern, "UTC", DAYS[0][1])
            continue
        with pytest.raises(NodeFailed):
            await theirs(cron, pattern, "UTC", DAYS[0][1])


async def test_the_differences_that_are_written_down(node: Node, node_version: str) -> None:
    cron = await node("cron.mjs")
    for pattern in REFUSED_HERE_ONLY[node_version]:
        with pytest.raises(InvalidOptions):
            ours(pattern, "UTC", DAYS[0][1])
        assert await theirs(cron, pattern, "UTC", DAYS[0][1])

    # Clocks that move at midnight: the first of two times here, the second there (the first by BullMQ 5.81).
    havana = datetime(2026, 10, 31, 20, tzinfo=ZoneInfo("America/Havana"))
    same = ours("0 0 * * *", "America/Havana", havana, 1) == await theirs(
        cron, "0 0 * * *", "America/Havana", havana, 1
    )
    assert same == (node_version == "5.81")
    # Clocks that move by half an hour: that of 6.7 gives up.
    lord_howe = datetime(2026, 4, 5, 1, 5, tzinfo=ZoneInfo("Australia/Lord_Howe"))
    assert ours("0 2 * * *", "Australia/Lord_Howe", lord_howe, 1)
    if node_version == "5.81":
        assert await theirs(cron, "1-2 2 * * *", "Australia/Lord_Howe", lord_howe, 1)
        return
    with pytest.raises(NodeFailed, match="loop limit"):
        await theirs(cron, "1-2 2 * * *", "Australia/Lord_Howe", lord_howe, 1)
