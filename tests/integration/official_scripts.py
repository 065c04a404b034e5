"""The official scripts, called the way the official package calls them: one job a call.

This is the reference side of the differential tests. KEYS and ARGV follow `bullmq/scripts.py` of the
installed package, with the worker's name added (`pb`), which the Node package sends and the Python one
does not.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any

from msgspec import msgpack
from redis import Redis


@cache
def load(name: str) -> str:
    """The text of one official script, e.g. `moveToFinished`."""
    commands = files("bullmq") / "commands"
    (script,) = (f for f in commands.iterdir() if re.fullmatch(rf"{name}-\d+\.lua", f.name))
    return script.read_text()


#: What moveToActive and moveToFinished begin with.
FEED_KEYS = (
    "wait", "active", "prioritized", "events", "stalled", "limiter", "delayed", "paused", "meta", "pc",
)  # fmt: skip


class OfficialQueue:
    """One queue, driven by official scripts alone. Times are given in milliseconds."""

    def __init__(self, redis: Redis, prefix: str, name: str) -> None:
        self.redis = redis
        self.base = f"{prefix}:{name}:"
        self._scripts: dict[str, Any] = {}

    def _run(self, script: str, keys: list[str], args: list[Any]) -> Any:
        """Suffixes become keys; a suffix that starts with a dot is a job's key."""
        if script not in self._scripts:
            self._scripts[script] = self.redis.register_script(load(script))
        full = [self.base + key.removeprefix(".") for key in keys]
        return self._scripts[script](keys=full, args=args)

    # Adding

    def add(
        self, name: str, data: str, opts: dict[str, Any], *, job_id: str, now: int, dedup: str | None = None
    ) -> str:
        dedup_key = dedup and f"{self.base}de:{dedup}"
        arguments = msgpack.encode([self.base, job_id, name, now, None, None, None, None, dedup_key])
        args = [arguments, data, msgpack.encode(opts), now]
        if opts.get("delay"):
            keys = ["marker", "meta", "id", "delayed", "completed", "events"]
            return str(self._run("addDelayedJob", keys, args))
        if opts.get("priority"):
            keys = ["marker", "meta", "id", "prioritized", "delayed", "completed", "active", "events", "pc"]
            return str(self._run("addPrioritizedJob", keys, args))
        keys = ["wait", "paused", "meta", "id", "completed", "delayed", "active", "events", "marker"]
        return str(self._run("addStandardJob", keys, args))

    # Working

    def fetch(
        self, token: str, *, now: int, lock_ms: int, worker: str, limiter: dict[str, int] | None
    ) -> tuple[str | None, dict[str, str], int]:
        """(job id, its hash, milliseconds until the rate limit allows more) of one moveToActive."""
        options = {"token": token, "lockDuration": lock_ms, "limiter": limiter, "name": worker}
        args = [self.base, now, msgpack.encode(options)]
        raw, job_id, rate_ttl, _ = self._run("moveToActive", [*FEED_KEYS, "marker"], args)
        if not raw:
            return None, {}, int(rate_ttl)
        return job_id, dict(zip(raw[::2], raw[1::2], strict=True)), 0

    def finish(
        self,
        job_id: str,
        token: str,
        *,
        now: int,
        target: str,
        value: str,
        keep: dict[str, float],
        attempts: int,
        fields: list[str] | None = None,
    ) -> int:
        """moveToFinished without fetching the next job."""
        keys = [
            "wait",
            "active",
            "prioritized",
            "events",
            "stalled",
            "limiter",
            "delayed",
            "paused",
            "meta",
            "pc",
        ]
        keys = [*FEED_KEYS, target, f".{job_id}", f"metrics:{target}", "marker"]
        options = {
            "token": token,
            "keepJobs": keep,
            "limiter": None,
            "lockDuration": 30_000,
            "attempts": attempts,
            "maxMetricsSize": "",
            "fpof": False,
            "cpof": False,
            "idof": False,
            "rdof": False,
        }
        prop = "returnvalue" if target == "completed" else "failedReason"
        args = [job_id, now, prop, value, target, "", self.base, msgpack.encode(options)]
        args += [msgpack.encode(fields)] if fields else []
        return int(self._run("moveToFinished", keys, args))

    def retry_now(self, job_id: str, token: str, *, now: int, lifo: bool, fields: list[str]) -> int:
        keys = ["active", "wait", "paused", f".{job_id}", "meta", "events", "delayed", "prioritized", "pc"]
        push = "RPUSH" if lifo else "LPUSH"
        args = [self.base, now, push, job_id, token, msgpack.encode(fields)]
        return int(self._run("retryJob", [*keys, "marker", "stalled"], args))

    def delay(
        self, job_id: str, token: str, *, now: int, delay_ms: int, spend: bool, fields: list[str]
    ) -> int:
        """moveToDelayed; `spend` counts the attempt."""
        keys = [
            "marker",
            "active",
            "prioritized",
            "delayed",
            f".{job_id}",
            "events",
            "meta",
            "stalled",
            "wait",
        ]
        packed = msgpack.encode(fields) if fields else ""
        args = [self.base, now, job_id, token, delay_ms, "0" if spend else "1", packed, "0"]
        return int(self._run("moveToDelayed", [*keys, "wait", "limiter", "pc"], args))

    def put_back(self, job_id: str, token: str) -> int:
        keys = ["active", "wait", "stalled", "paused", "meta", "limiter", "prioritized", "marker", "events"]
        return int(self._run("moveJobFromActiveToWait", keys, [job_id, token, self.base + job_id]))

    # Steering

    def pause(self) -> None:
        keys = ["wait", "paused", "meta", "prioritized", "events", "delayed", "marker"]
        self._run("pause", keys, ["paused", "1"])

    def resume(self) -> None:
        keys = ["paused", "wait", "meta", "prioritized", "events", "delayed", "marker"]
        self._run("pause", keys, ["resumed", "1"])
