"""The sandbox's side of webhooks: signed over the raw bytes that are sent, tried again while the API is down.

Limits: at most six tries over half a minute; what is not delivered then is dropped and logged, and the job's
poll finds the outcome. Emits `sandbox_webhook_undelivered` (warning).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import msgspec
import structlog

from corral.sandbox.outbox import Outbox
from corral.sandbox.signing import signed_headers

log = structlog.get_logger(__name__)

#: Seconds between the tries.
WAITS = (0.5, 1.0, 2.0, 5.0, 20.0)


class Webhooks:
    """Sends webhooks to `{public_url}/webhooks/<provider>`."""

    def __init__(self, public_url: str, outbox: Outbox) -> None:
        self.public_url = public_url.rstrip("/")
        self._outbox = outbox
        self._tasks: set[asyncio.Task[None]] = set()

    def schedule(
        self, provider: str, delay: float, body: Callable[[], Any], headers: dict[str, str] | None = None
    ) -> None:
        """Send what `body` returns `delay` seconds from now."""
        task = asyncio.get_running_loop().create_task(self._deliver(provider, delay, body, headers or {}))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Drop what was not sent yet."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _deliver(
        self, provider: str, delay: float, body: Callable[[], Any], extra: dict[str, str]
    ) -> None:
        await asyncio.sleep(delay)
        raw = msgspec.json.encode(body())
        headers = {"Content-Type": "application/json", **signed_headers(provider, raw), **extra}
        async with httpx2.AsyncClient(trust_env=False, timeout=10.0) as client:
            for wait in (*WAITS, None):
                result = await self._post(client, f"{self.public_url}/webhooks/{provider}", raw, headers)
                if result.startswith("2"):
                    self._outbox.record(provider, "webhook", result=result)
                    return
                if wait is None:
                    break
                await asyncio.sleep(wait)
        self._outbox.record(provider, "webhook_undelivered", result=result)
        log.warning("sandbox_webhook_undelivered", provider=provider, result=result)

    async def _post(self, client: httpx2.AsyncClient, url: str, raw: bytes, headers: dict[str, str]) -> str:
        try:
            response = await client.post(url, content=raw, headers=headers)
        except httpx2.HTTPError as error:
            return type(error).__name__
        return str(response.status_code)
