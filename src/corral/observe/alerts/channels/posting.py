"""JSON to an operator's URL: the common half of the channels that speak HTTP."""

from __future__ import annotations

from typing import Any

from corral.data import encode
from corral.observe.alerts.channels.channel import SEND_SECONDS
from corral.providers.guarded import GuardedPoster
from corral.providers.verdict import by_status, raise_for


class JsonPoster:
    """Posts to one URL. `name` is what errors call it; none of them has more of the URL than its host."""

    def __init__(self, name: str, poster: GuardedPoster, url: str) -> None:
        self._name = name
        self._poster = poster
        self._url = url

    async def post(self, body: Any) -> str:
        """Returns the status of a 2xx answer. Raises the provider errors: retryable for 408, 429 and 5xx."""
        headers = {"Content-Type": "application/json"}
        posted = await self._poster.post(self._url, encode(body), headers, timeout=SEND_SECONDS)
        # The answer's body is a stranger's text and might repeat our secret: its status says enough.
        raise_for(self._name, by_status(posted.answer), f"the receiver answered {posted.status}")
        return str(posted.status)

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()
