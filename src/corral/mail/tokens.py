"""Tokens that count once: what keeps a signed Mailgun webhook from being used again. Kept in Redis.

Guarantees: of any number of callers with one token, at the same time and in any process, one gets it. A
holder that died releases it after a minute.

Keys: `corral:<prefix>:mailgun-token-<hash>`, gone by themselves. Options: REDIS_URL, CORRAL_PREFIX.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncIterator

from redis.exceptions import RedisError

from corral.bullmq.connection import Address, shared_client
from corral.bullmq.failures import as_corral_error
from corral.bullmq.keys import mailgun_token_key
from corral.settings import Settings

#: Seconds that a token belongs to a caller who does not say how it ended.
HOLD_SECONDS = 60


class Tokens:
    """The tokens of one Redis and prefix."""

    def __init__(self, settings: Settings) -> None:
        self._address = Address.resolve(settings=settings)
        self._prefix = settings.prefix

    @contextlib.asynccontextmanager
    async def once(self, token: str, seconds: float) -> AsyncIterator[bool]:
        """Whether the token is new; it is used up for `seconds` unless what is inside raises.

        Two round trips for a new token, one for a used one. Raises RedisUnavailable.
        """
        client = shared_client(self._address)
        key = mailgun_token_key(self._prefix, token)
        try:
            new = bool(await client.set(key, "held", nx=True, ex=HOLD_SECONDS))
        except (RedisError, OSError) as error:
            raise as_corral_error(error, "the tokens of webhooks") from error
        if not new:
            yield False
            return
        try:
            yield True
        except BaseException:
            # The sender tries again with the same token. If Redis is away too, the hold ends by itself.
            with contextlib.suppress(RedisError, OSError):
                await client.delete(key)
            raise
        with contextlib.suppress(RedisError, OSError):
            await client.set(key, "used", ex=max(HOLD_SECONDS, math.ceil(seconds)))
