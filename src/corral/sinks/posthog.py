"""Events to PostHog's batch endpoint.

Guarantees: the `uuid` of an event is made from its id, so PostHog removes repeats. No `sent_at` is sent:
PostHog would correct the timestamps by it, each attempt a little differently, and then not see the repeat.
Limits: PostHog answers 200 before it stores; what it drops later (a quota, a filter) is not seen here.
An event without a user is sent as anonymous, its id as `distinct_id`.

Options: POSTHOG_API_KEY (the project's), POSTHOG_HOST (`https://eu.i.posthog.com`, one of your own).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from corral.providers.choice import Surroundings
from corral.providers.http import ProviderClient
from corral.providers.verdict import Answer, Kind, Verdict, safe_code
from corral.sandbox import keys
from corral.sinks.event import Event, Rejected, utc_text
from corral.sinks.judging import about_batch
from corral.sinks.splitting import Limits, deliver

#: PostHog takes 20 MiB a request; its own library aims at 5 MiB. 900 KiB an event.
LIMITS = Limits(batch=5 * 2**20, event=900 * 2**10, envelope=200)

_NAMESPACE = uuid.UUID("6e1f4a52-5f0e-4c53-9a53-2d0a7c1b8e90")

#: Codes of a 400 that are about the project, not about the events.
_ABOUT_PROJECT = frozenset({"invalid_project", "invalid_api_key", "missing_api_key"})


class PosthogSink:
    """One project."""

    name = "posthog"

    def __init__(self, *, host: str, api_key: str, missing: str = "", sandbox: bool = False) -> None:
        self._api_key = api_key
        self._head = b'{"api_key":%s,"historical_migration":false,"batch":[' % msgspec.json.encode(api_key)
        self._client = ProviderClient(
            self.name,
            base_url=host,
            classify=classify,
            headers={"Content-Type": "application/json"},
            secrets=[api_key],
            missing=missing,
            sandbox=sandbox,
        )

    async def write(self, events: Sequence[Event]) -> list[Rejected]:
        """Send events."""
        parts = [msgspec.json.encode(as_posthog(event)) for event in events]

        async def send(indexes: Sequence[int]) -> None:
            body = self._head + b",".join([parts[i] for i in indexes]) + b"]}"
            await self._client.send("POST", "/batch/", repeatable=True, content=body)

        return await deliver(self.name, [len(part) for part in parts], LIMITS, send)

    async def check(self) -> None:
        """Whether there is a project of this key. Raises as `write` does. One round trip.

        The batch endpoint takes any key, so the one for feature flags is asked, to evaluate none.
        """
        question = {"api_key": self._api_key, "distinct_id": "corral-check", "disable_flags": True}
        await self._client.send(
            "POST", "/flags/", params={"v": "2"}, repeatable=True, content=msgspec.json.encode(question)
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def from_settings(around: Surroundings) -> PosthogSink:
    """The project whose key is set, or the sandbox's."""
    key = around.settings.posthog_api_key
    if around.plays(key):
        return PosthogSink(host=f"{around.sandbox_url}/posthog", api_key=keys.POSTHOG_API_KEY, sandbox=True)
    missing = "" if key.get_secret_value() else "there is no key; set POSTHOG_API_KEY"
    return PosthogSink(host=around.settings.posthog_host, api_key=key.get_secret_value(), missing=missing)


# Decisions


def as_posthog(event: Event) -> dict[str, Any]:
    """An event as PostHog takes it."""
    properties = event.properties
    if event.user_id is None:
        properties = properties | {"$process_person_profile": False}
    return {
        "event": event.name,
        "distinct_id": event.user_id or event.id,
        "properties": properties,
        "timestamp": utc_text(event.at),
        "uuid": event_uuid(event.id),
    }


def event_uuid(event_id: str) -> str:
    """The UUID of an event id: always the same one."""
    return str(uuid.uuid5(_NAMESPACE, event_id))


def classify(answer: Answer) -> Verdict:
    """PostHog's answers: `code` tells a wrong project from a wrong event."""
    code = safe_code(answer.text("code"), answer.status)
    if not 200 <= answer.status < 300 and code in _ABOUT_PROJECT:
        return Verdict(Kind.MISCONFIGURED, code)
    return about_batch(answer, code)
