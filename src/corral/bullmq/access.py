"""What a Redis user must be allowed to do for Corral, and a check of it when a worker starts.

Without the check, a missing right would show when the first job of some kind comes along, in the middle of a
night. Scripts name only their own right (`evalsha`), so each command inside them is tried on a scratch key.
"""

from __future__ import annotations

from typing import Any

import redis.asyncio as aioredis
from redis.exceptions import ResponseError

from corral.bullmq.failures import code, explain_refusal
from corral.bullmq.keys import QueueKeys
from corral.bullmq.scripts import ours
from corral.errors import ConfigurationError

#: Sent by Corral itself. `client|setinfo` (Redis 7.2) is sent too, and may be refused.
DIRECT = (
    "ping", "select", "eval", "evalsha", "script|load", "client|setname", "bzpopmin", "multi", "exec",
    "discard", "watch", "unwatch",
    "publish", "subscribe", "unsubscribe", "psubscribe", "punsubscribe", "xread", "xrevrange",
)  # fmt: skip

#: Sent by the scripts, Corral's and BullMQ's, and some by Corral itself.
SCRIPTED = (
    "del", "exists", "get", "hdel", "hexists", "hget", "hgetall", "hincrby", "hkeys", "hlen", "hmget",
    "hmset", "hset",
    "incr", "incrby", "lindex", "llen", "lpop", "lpos", "lpush", "lrange", "lrem", "lset", "ltrim", "mget",
    "pexpire", "pexpireat", "persist", "pttl", "rename", "rpop", "rpoplpush", "rpush", "sadd", "scard", "set",
    "sismember", "smembers", "srem", "sscan", "time", "type", "unlink", "xadd", "xdel", "xlen", "xrange",
    "xtrim", "zadd", "zcard", "zcount", "zlexcount", "zpopmin", "zrange", "zrangebylex", "zrangebyscore",
    "zrem", "zremrangebyrank", "zremrangebyscore", "zrevrange", "zrevrangebyscore", "zscore",
)  # fmt: skip


def acl_rules(prefix: str) -> list[str]:
    """The rights of a worker or producer, as ACL SETUSER takes them."""
    patterns = [f"~{prefix}:*", f"~corral:{prefix}:*", "&corral:*"]
    return ["resetkeys", "resetchannels", *patterns, "-@all", *(f"+{name}" for name in DIRECT + SCRIPTED)]


async def check_access(client: aioredis.Redis, blocking: aioredis.Redis, keys: QueueKeys) -> None:
    """Raise ConfigurationError that names what the user may not do. Four round trips, nothing is left behind.

    Also raises what redis-py raises for everything that is no question of rights.
    """
    own, corral = f"{keys.base}corral-access", f"corral:{keys.prefix}:{keys.name}:access"
    try:
        refused = await ours("access")(client, [own, corral], *SCRIPTED)
        missing = [f"+{name.decode()}" for name in refused]
        missing += await _try_direct(client, own)
        missing += await _try_blocking(blocking, own)
        await _try_channel(client)
    except ResponseError as error:
        if code(error) != "NOPERM":
            raise
        raise ConfigurationError(explain_refusal(error, f"queue {keys.name!r}")) from error
    if missing:
        raise ConfigurationError(
            f"The Redis user lacks rights for queue {keys.name!r}: {' '.join(missing)}. "
            "docs/engine/servers.md has the full list."
        )


async def _try_direct(client: aioredis.Redis, key: str) -> list[str]:
    tries: dict[str, tuple[Any, ...]] = {
        "ping": ("PING",),
        "eval": ("EVAL", "return 1", 0),
        "script|load": ("SCRIPT LOAD", "return 1"),
        "xread": ("XREAD", "STREAMS", key, "0"),
        "xrevrange": ("XREVRANGE", key, "+", "-"),
        "publish": ("PUBLISH", "corral:access", ""),
    }
    pipe = client.pipeline(transaction=False)
    for command in tries.values():
        pipe.execute_command(*command)
    replies = await pipe.execute(raise_on_error=False)
    return [
        f"+{name}"
        for name, reply in zip(tries, replies, strict=True)
        if isinstance(reply, Exception) and code(reply) == "NOPERM"
    ]


async def _try_blocking(blocking: aioredis.Redis, key: str) -> list[str]:
    try:
        # A negative time-out is refused at once, after the rights were looked at.
        await blocking.bzpopmin(key, -1)
    except ResponseError as error:
        if code(error) == "NOPERM":
            return ["+client|setname" if "client" in str(error) else "+bzpopmin"]
    return []


async def _try_channel(client: aioredis.Redis) -> None:
    async with client.pubsub() as pubsub:
        await pubsub.subscribe("corral:access")
        await pubsub.get_message(timeout=1)
