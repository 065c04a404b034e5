"""Keeps the managed keys in this process's keyring fresh, and tells Redis which of them were used.

One GET every REFRESH_SECONDS; the keys themselves are read when that says that one has changed. So a revoked
key is dead within REFRESH_SECONDS and the time Redis takes to answer, at most 3 s in all. While Redis is away
the last known keys go on; a process that has not read them yet answers 503 to keys that may be managed ones.

Emits: api_keys_loaded (keys), api_keys_not_read (warning, once an outage; error).
"""

from __future__ import annotations

import asyncio
import contextlib
import time

import structlog

from corral.api.auth import Keyring
from corral.api.lookup import answering
from corral.bullmq import api_keys as wire
from corral.bullmq.connection import Address, shared_client
from corral.credentials.records import grants
from corral.errors import RedisUnavailable

log = structlog.get_logger(__name__)

REFRESH_SECONDS = 2.0

#: Last uses are written so often, and are as coarse.
USED_SECONDS = 60.0


class KeyRefresh:
    """For one keyring, in one event loop."""

    def __init__(self, keyring: Keyring, address: Address, prefix: str) -> None:
        self._keyring = keyring
        self._address = address
        self._prefix = prefix
        self._task: asyncio.Task[None] | None = None
        self._loaded = False
        self._version: bytes | None = None
        self._away = False
        self._told = time.monotonic()

    async def start(self) -> None:
        """Read the keys once, as far as Redis is there, and go on in the background."""
        self._keyring.expect_managed()
        await self._turn()
        self._task = asyncio.create_task(self._go_on())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        with contextlib.suppress(RedisUnavailable):
            await self._tell_used()

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            await self._turn()

    async def _turn(self) -> None:
        try:
            await self._look()
            if time.monotonic() - self._told >= USED_SECONDS:
                await self._tell_used()
            self._away = False
        except RedisUnavailable as error:
            if not self._away:
                log.warning("api_keys_not_read", error=type(error.__cause__ or error).__name__)
            self._away = True
        except Exception:  # a fault of ours must not end it: no key could be revoked any more
            log.exception("api_keys_not_read")

    async def _look(self) -> None:
        client = shared_client(self._address)
        async with answering():
            version = await wire.version(client, self._prefix)
            if self._loaded and version == self._version:
                return
            self._version, texts, _ = await wire.read(client, self._prefix)
        found = grants(texts)
        self._keyring.manage(found)
        self._loaded = True
        if found:
            log.info("api_keys_loaded", keys=len(found))

    async def _tell_used(self) -> None:
        self._told = time.monotonic()
        used = [key for key in self._keyring.managed() if key.used]
        if not used:
            return
        minute = int(time.time() // 60 * 60)
        async with answering():
            await wire.note_used(shared_client(self._address), self._prefix, {key.id: minute for key in used})
        for key in used:
            key.used = False
