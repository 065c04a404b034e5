"""Events to Segment's batch endpoint.

Guarantees: `messageId` is the event's id, by which Segment removes repeats.
Limits: Segment answers 200 to events that a tracking plan or a destination drops later; that is not seen
here. An event without a user gets its id as `anonymousId`, since Segment wants one of them.

Options: SEGMENT_WRITE_KEY, SEGMENT_HOST (`https://events.eu1.segmentapis.com` in Europe).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from corral.providers.choice import Surroundings
from corral.providers.http import ProviderClient
from corral.providers.verdict import Answer, Kind, Verdict
from corral.sandbox import keys
from corral.sinks.event import Event, Rejected, utc_text
from corral.sinks.judging import about_batch
from corral.sinks.splitting import Limits, deliver

#: 500 KB a batch, 32 KB an event.
LIMITS = Limits(batch=500_000, event=32_000, envelope=100)

#: Statuses that Segment's own libraries try again beside the usual ones.
_AGAIN = (410, 460)


class SegmentSink:
    """One source."""

    name = "segment"

    def __init__(self, *, host: str, write_key: str, missing: str = "", sandbox: bool = False) -> None:
        self._client = ProviderClient(
            self.name,
            base_url=host,
            classify=classify,
            headers={"Content-Type": "application/json"},
            auth=(write_key, ""),
            secrets=[write_key],
            missing=missing,
            sandbox=sandbox,
        )

    async def write(self, events: Sequence[Event]) -> list[Rejected]:
        """Send events."""
        parts = [msgspec.json.encode(as_segment(event)) for event in events]

        async def send(indexes: Sequence[int]) -> None:
            sent_at = utc_text(datetime.now(UTC)).encode()
            body = b'{"batch":[' + b",".join([parts[i] for i in indexes]) + b'],"sentAt":"' + sent_at + b'"}'
            await self._client.send("POST", "/v1/batch", repeatable=True, content=body)

        return await deliver(self.name, [len(part) for part in parts], LIMITS, send)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def from_settings(around: Surroundings) -> SegmentSink:
    """The source whose key is set, or the sandbox's."""
    key = around.settings.segment_write_key
    if around.plays(key):
        return SegmentSink(
            host=f"{around.sandbox_url}/segment", write_key=keys.SEGMENT_WRITE_KEY, sandbox=True
        )
    missing = "" if key.get_secret_value() else "there is no key; set SEGMENT_WRITE_KEY"
    return SegmentSink(host=around.settings.segment_host, write_key=key.get_secret_value(), missing=missing)


# Decisions


def as_segment(event: Event) -> dict[str, Any]:
    """An event as Segment takes it."""
    who = {"anonymousId": event.id} if event.user_id is None else {"userId": event.user_id}
    return {
        "type": "track",
        **who,
        "event": event.name,
        "properties": event.properties,
        "timestamp": utc_text(event.at),
        "messageId": event.id,
    }


def classify(answer: Answer) -> Verdict:
    """Segment's answers: their status alone counts, since an error's message is free text."""
    if answer.status in _AGAIN:
        return Verdict(Kind.RETRY, f"HTTP {answer.status}", after=answer.retry_after)
    return about_batch(answer)
