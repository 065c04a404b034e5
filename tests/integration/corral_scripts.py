"""Our scripts, called one batch at a time with a given clock: the other side of the differential tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import msgpack
from redis import Redis


@dataclass(frozen=True)
class Spec:
    """A job to add, in wire terms."""

    job_id: str = ""
    data: str = "{}"
    delay: int = 0
    priority: int = 0
    lifo: bool = False
    attempts: int = 0

    def options(self) -> dict[str, Any]:
        """The opts that a producer would send: what is not set is left out."""
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


@dataclass(frozen=True)
class Answer:
    problems: dict[str, int]
    fetched: list[tuple[str, str, dict[str, Any], int]]
    rate_ttl: int


class CorralQueue:
    def __init__(self, redis: Redis, prefix: str, name: str) -> None:
        self.base = f"{prefix}:{name}:"
        lua = files("corral.bullmq") / "lua"
        self._add = redis.register_script((lua / "add.lua").read_text())
        self._step = redis.register_script((lua / "step.lua").read_text())

    def _keys(self, *suffixes: str) -> list[str]:
        return [self.base + suffix for suffix in suffixes]

    def add(self, name: str, batch: list[Spec], *, now: int) -> list[str]:
        options = [json.dumps(s.options()) for s in batch]
        jobs = [
            [s.job_id, name, s.data, i + 1, s.delay, s.priority, s.lifo, 0, "", 0] for i, s in enumerate(batch)
        ]
        keys = self._keys("wait", "prioritized", "delayed", "active", "meta", "id", "pc", "marker", "events")
        answer = self._add(keys=keys, args=[msgpack.packb([self.base, now, options, jobs])])
        return [a if isinstance(a, str) else a[0] for a in answer]

    def step(
        self,
        token: str,
        *,
        now: int,
        lock_ms: int,
        worker: str,
        slots: int,
        limiter: dict[str, int] | None,
        settled: list[list[Any]],
    ) -> Answer:
        keys = self._keys(
            "wait", "active", "prioritized", "events", "stalled", "limiter", "delayed", "meta", "pc", "marker",
            "completed", "failed",
        )  # fmt: skip
        maximum, window = (limiter["max"], limiter["duration"]) if limiter else (0, 0)
        argument = [self.base, now, token, lock_ms, worker, slots, maximum, window, settled]
        problems, fetched, rate_ttl, *_ = self._step(keys=keys, args=[msgpack.packb(argument)])
        return Answer(
            dict(zip(problems[::2], problems[1::2], strict=True)),
            [(f[-1], f[1], json.loads(f[2]), int(f[5] or 0) + 1) for f in fetched],
            rate_ttl,
        )
