"""The story of `corral demo --incident`: an hour in which all is well, then Onfido's key is revoked. Pure."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any

from corral.bullmq.depths import Depth
from corral.bullmq.statistics import Entry
from corral.cli.demo_jobs import EVENT, MOMENT, NO_TEMPLATE, PASSPORT, PUSH, WELCOME
from corral.observe import buckets

MINUTES = 60

#: The same hour each time.
SEED = 20

#: What runs now, and for how many minutes before the incident.
RELEASE, RELEASED_MINUTES_AGO = "2.14.0", 14


@dataclass(frozen=True, slots=True)
class Past:
    """What a queue did in each minute of the hour before."""

    queue: str
    name: str
    #: Jobs a minute.
    rate: float
    failing: float
    #: Seconds, the middle ones.
    wait: float
    run: float


PAST = (
    Past("kyc-verification", "verify", 62, 0.004, 0.3, 2.1),
    Past("email", "send", 54, 0.004, 0.2, 0.3),
    Past("image-processing", "process", 96, 0.002, 0.4, 0.8),
    Past("notification", "send", 180, 0.0005, 0.1, 0.2),
    Past("analytics", "track", 2_400, 0.0, 0.5, 0.1),
)


def minutes_of(past: Past) -> list[Entry]:
    """What the queue's workers would have counted, a minute each, oldest first."""
    chance = random.Random(f"{SEED} {past.queue}")  # noqa: S311  # a story, no secret
    return [_minute(past, number, chance) for number in range(MINUTES)]


def _minute(past: Past, number: int, chance: random.Random) -> Entry:
    wave = 1 + 0.25 * math.sin(number / 9) + chance.uniform(-0.12, 0.12)
    ended = max(1, round(past.rate * wave))
    failed = sum(chance.random() < past.failing for _ in range(ended))
    entry = Entry({"arrived": ended, "started": ended, "completed": ended - failed, "failed": failed})
    for middle, counted in ((past.wait, entry.wait), (past.run, entry.run)):
        for _ in range(min(ended, 200)):
            bucket = buckets.index(chance.lognormvariate(math.log(middle), 0.55))
            counted[bucket] = counted.get(bucket, 0) + 1
    return entry


def depths_of(past: Past) -> list[Depth]:
    """How many of its jobs were there at the end of each minute, oldest first: a queue that keeps up."""
    chance = random.Random(f"{SEED} {past.queue} depth")  # noqa: S311  # a story, no secret
    usual = past.rate / 60 * past.wait
    return [
        Depth(
            waiting=round(usual * chance.uniform(0.4, 2.2)),
            active=round(past.rate / 60 * past.run * chance.uniform(0.7, 1.3)),
            oldest_ms=round(past.wait * chance.uniform(400, 1_900)),
        )
        for _ in range(MINUTES)
    ]


@dataclass(frozen=True, slots=True)
class Stream:
    """Jobs that come again and again, as long as the incident lasts."""

    queue: str
    name: str
    data: dict[str, Any]
    #: Sent at once.
    many: int
    #: Seconds between two sendings.
    every: float


STREAMS = (
    Stream("kyc-verification", "verify", PASSPORT, 2, 0.8),
    Stream("kyc-verification", "verify", PASSPORT | {"provider": "idenfy"}, 1, 2.0),
    Stream("email", "send", WELCOME, 1, 1.5),
    Stream("image-processing", "process", MOMENT, 1, 2.0),
    Stream("notification", "send", PUSH, 2, 0.7),
    Stream("analytics", "track", EVENT, 40, 1.0),
)

CORRUPT = "https://images.example.com/corrupt-landscape.jpg"

#: Once, when the key has been refused: identity checks pile up, a mail campaign meets its limit, and a
#: release has left a template out.
BURSTS = (
    Stream("kyc-verification", "verify", PASSPORT, 320, 0),
    Stream("email", "send", NO_TEMPLATE, 14, 0),
    Stream("email", "send", WELCOME, 240, 0),
    Stream("image-processing", "process", MOMENT | {"imageUrl": CORRUPT}, 6, 0),
)

#: Seconds of good weather before it.
CALM = 6.0

#: What the sandbox is told then: every call of Onfido is answered as with a revoked key.
REVOKED = {"provider": "onfido", "fault": "401", "times": 1_000_000}


def jobs_of(stream: Stream, number: int) -> list[dict[str, Any]]:
    """The body of one sending, each job of a person of its own."""
    jobs = []
    for place in range(stream.many):
        data = dict(stream.data)
        if "userId" in data:
            data["userId"] = f"user-{1000 + (number * stream.many + place) % 8000}"
        jobs.append({"name": stream.name, "data": data})
    return jobs
