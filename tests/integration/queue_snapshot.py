"""All that a queue has in Redis, in a form that two queues can be compared by."""

from __future__ import annotations

import json
from typing import Any, cast

from redis import Redis

JSON_FIELDS = {"data", "opts", "returnvalue", "stacktrace", "progress"}
READ = {
    "string": "GET",
    "list": "LRANGE",
    "set": "SMEMBERS",
    "zset": "ZRANGE",
    "hash": "HGETALL",
    "stream": "XRANGE",
}
BOUNDS = {"list": (0, -1), "zset": (0, -1, "WITHSCORES"), "stream": ("-", "+")}


def snapshots(redis: Redis, *bases: str) -> list[dict[str, Any]]:
    """Everything under each queue's prefix, by suffix; three round trips, since tests take thousands."""
    keys: list[str] = sorted(cast("list[str]", redis.keys("*")))
    pipe: Any = redis.pipeline(transaction=False)
    for key in keys:
        pipe.type(key)
    types = dict(zip(keys, pipe.execute(), strict=True))
    for key, kind in types.items():
        pipe.execute_command(READ[kind], key, *BOUNDS.get(kind, ()))
    values = {k: plain(k, types[k], v) for k, v in zip(keys, pipe.execute(), strict=True)}
    return [{k.removeprefix(b): v for k, v in values.items() if k.startswith(b)} for b in bases]


def plain(key: str, kind: str, value: Any) -> Any:
    match kind:
        case "string":
            return "(held)" if key.endswith(":lock") else value
        case "set":
            return sorted(value)
        case "hash":
            return {k: json.loads(v) if k in JSON_FIELDS else v for k, v in value.items()}
        case "stream":
            return [fields for _, fields in value]
        case _:
            return value


def comparable(state: dict[str, Any]) -> dict[str, Any]:
    """Without the marker and `drained` events: they are advisory, and compared apart."""
    result = dict(state)
    result["events"] = [e for e in state.get("events", []) if e["event"] != "drained"]
    result.pop("marker", None)
    return result


def markers(state: dict[str, Any]) -> set[str]:
    return {member for member, _ in state.get("marker", [])}


def differences(ours: dict[str, Any], official: dict[str, Any]) -> list[str]:
    """One line a key that differs, short enough to read in a shrunken example."""
    keys = sorted({*ours, *official})
    return [f"{k}: {ours.get(k)} is not {official.get(k)}" for k in keys if ours.get(k) != official.get(k)]
