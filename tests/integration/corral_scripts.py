"""Our scripts behind a blocking face: the side of the differential tests that is under test.

Everything goes through the functions that Queue and Worker use, `Producer` and `Consumer`; only the clock
is given.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from corral.bullmq import settlement as wire
from corral.bullmq.connection import Address, blocking_client, pooled_client
from corral.bullmq.consumer import Consumer
from corral.bullmq.keys import QueueKeys
from corral.bullmq.line import Line
from corral.bullmq.producer import NewJobs, Producer
from corral.bullmq.settlement import Fetched, Settlement
from corral.policy import RateLimit


@dataclass(frozen=True)
class Spec:
    """Jobs to add, in wire terms: one with an id, or one for each text of `data`."""

    job_id: str = ""
    data: tuple[str, ...] = ("{}",)
    delay: int = 0
    priority: int = 0
    lifo: bool = False
    attempts: int = 0

    def options(self) -> dict[str, Any]:
        """The opts that a producer sends: what is not set is left out."""
        options: dict[str, Any] = {"attempts": self.attempts}
        if self.delay:
            options["delay"] = self.delay
        if self.priority:
            options["priority"] = self.priority
        if self.lifo:
            options["lifo"] = True
        if self.job_id:
            options["jobId"] = self.job_id
        return options


class Loop:
    """An event loop with its connections, for the whole test: Hypothesis runs thousands of steps on it."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self.run = self._runner.run
        address = Address(url, None)
        self.client = self.run(_called(pooled_client, address))
        self.blocking = self.run(_called(blocking_client, address, "differential"))

    def close(self) -> None:
        self.run(self.client.aclose())
        self.run(self.blocking.aclose())
        self._runner.close()


async def _called(make: Any, *args: Any) -> Any:
    """Some objects want a running loop when they are made."""
    return make(*args)


@dataclass(frozen=True)
class Answer:
    problems: dict[str, int]
    fetched: list[tuple[str, str, dict[str, Any], int]]
    #: What each fetched job is held by.
    tokens: list[str]
    rate_ttl: int


class CorralQueue:
    def __init__(
        self, loop: Loop, keys: QueueKeys, worker: str, lock_ms: int, limit: RateLimit | None, feed: str = ""
    ) -> None:
        """With a `feed`, jobs that never ran get no lock when they are fetched."""
        self._loop = loop
        line = loop.run(_called(Line, loop.client, None))
        self._producer = loop.run(_called(Producer, loop.client, keys, line))
        self._consumer = Consumer(
            loop.client,
            loop.blocking,
            keys,
            worker=worker,
            lock_seconds=lock_ms / 1000,
            rate_limit=limit,
            feed=feed,
        )

    def add(self, name: str, batch: list[Spec], *, now: int) -> list[str]:
        """Add in one call what the batch holds; the ids in order."""

        async def send() -> list[str]:
            groups = [
                NewJobs(
                    id=spec.job_id,
                    name=name,
                    options=json.dumps(spec.options()),
                    delay_ms=spec.delay,
                    priority=spec.priority,
                    lifo=spec.lifo,
                    timestamp_ms=now,
                    once_key="",
                    once_ms=0,
                    data=list(spec.data),
                )
                for spec in batch
            ]
            answers = await asyncio.gather(*map(self._producer.add, groups))
            return [job_id for answer in answers for job_id in answer.ids]

        return self._loop.run(send())

    def step(self, token: str, slots: int, settled: list[Settlement], *, now: int) -> Answer:
        record = self._consumer.next_record()
        step = self._loop.run(self._consumer.step(token, slots, settled, record=record, now_ms=now))
        jobs = [Fetched(*values) for values in step.jobs]
        tokens = [
            step.stamp if record and len(values) == wire.STAMPED_VALUES else token for values in step.jobs
        ]
        return Answer(dict(step.problems), [_fetched(job) for job in jobs], tokens, step.rate_ttl_ms)


def _fetched(job: Fetched) -> tuple[str, str, dict[str, Any], int]:
    """Id, data, opts, and which run this is."""
    started = int(job.attempts_started or 0) + 1
    return job.id, (job.data or b"").decode(), json.loads(job.options or b"null"), started
