"""Twilio's status callbacks, as the sandbox sends them: a form, signed as Twilio signs, tried twice again.

Limits: what is not taken within a few seconds is dropped; a text message is none the worse for it.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

import httpx2

from corral.providers.twilio_webhook import sign
from corral.sandbox import keys
from corral.sandbox.outbox import Outbox

#: Seconds between the tries.
WAITS = (0.5, 2.0)


class Callbacks:
    """Sends states; drops what was not sent yet when it is closed."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._tasks: set[asyncio.Task[None]] = set()

    def schedule(self, url: str, fields: dict[str, str], delay: float) -> None:
        """Report `fields` to `url`, `delay` seconds from now."""
        task = asyncio.get_running_loop().create_task(self._deliver(url, fields, delay))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Drop what was not sent yet."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _deliver(self, url: str, fields: dict[str, str], delay: float) -> None:
        await asyncio.sleep(delay)
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Twilio-Signature": sign(keys.TWILIO_AUTH_TOKEN, url, list(fields.items())),
        }
        result = ""
        async with httpx2.AsyncClient(trust_env=False, timeout=10.0) as client:
            for wait in (*WAITS, None):
                try:
                    response = await client.post(url, content=urlencode(fields), headers=headers)
                    result = str(response.status_code)
                except httpx2.HTTPError as error:
                    result = type(error).__name__
                if result.startswith("2") or wait is None:
                    break
                await asyncio.sleep(wait)
        self._outbox.record("twilio", "callback", result=result, state=fields["MessageStatus"])
