"""Analytics events: what is taken at the edge, and what a job becomes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from corral.data import decoder
from corral.errors import InvalidData
from corral.providers.errors import ProviderMisconfigured, ProviderPermanent, ProviderRetryable
from corral.queues.analytics import AnalyticsEvent, as_event, event_id_of, gravest, taken
from corral.sinks.event import utc_text
from corral.sinks.posthog import as_posthog, event_uuid
from corral.sinks.segment import as_segment

read = decoder(AnalyticsEvent)

EVENT = {"event": "opened", "userId": "user-42", "properties": {"n": 1}, "timestamp": "2026-01-02T03:04:05Z"}
ADDED = 1_767_323_045.678


def raw(**changes: Any) -> bytes:
    return msgspec.json.encode({k: v for k, v in (EVENT | changes).items() if v is not ...})


@pytest.mark.parametrize(
    ("timestamp", "text"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"),
        ("2026-01-02T03:04:05.6789+02:00", "2026-01-02T01:04:05.678Z"),
        (1_767_323_045_678, "2026-01-02T03:04:05.678Z"),
        ("2199-12-31T23:59:59-12:00", "2200-01-01T11:59:59.000Z"),
        (100_000_000_000, "1973-03-03T09:46:40.000Z"),
    ],
)
def test_a_timestamp_is_iso_or_milliseconds_and_ends_in_utc(timestamp: object, text: str) -> None:
    assert utc_text(as_event("7", ADDED, read(raw(timestamp=timestamp))).at) == text


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"timestamp": "2026-01-02T03:04:05"}, "timestamp"),  # no zone: whose clock?
        ({"timestamp": 1_767_323_045}, "timestamp"),  # seconds
        ({"timestamp": 7_258_118_400_000}, "timestamp"),
        ({"timestamp": "0001-01-01T00:00:00+14:00"}, "timestamp"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": None}, "timestamp"),
        ({"timestamp": ...}, "timestamp"),
        ({"timestamp": True}, "timestamp"),
        ({"event": ""}, "event"),
        ({"event": "x" * 201}, "event"),
        ({"event": 7}, "event"),
        ({"userId": ""}, "userId"),
        ({"userId": 7}, "userId"),
        ({"properties": ["a"]}, "properties"),
        ({"properties": ...}, "properties"),
        ({"eventId": ""}, "eventId"),
        ({"eventId": "x" * 101}, "eventId"),
    ],
)
def test_a_wrong_event_is_refused_with_its_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidData, match=field):
        read(raw(**changes))


def test_a_user_and_an_event_id_are_optional() -> None:
    event = as_event("evt-1", ADDED, read(raw(userId=...)))
    assert (event.user_id, event.id) == (None, "evt-1")
    assert as_event("evt-1", ADDED, read(raw(eventId="e-1"))).id == "e-1"
    assert utc_text(event.received_at) == "2026-01-02T03:04:05.678Z"


def test_an_id_that_redis_counted_is_not_taken_for_the_same_one_after_redis_was_emptied() -> None:
    assert event_id_of("17", ADDED) == "17-1767323045678"
    assert event_id_of("17", ADDED + 60) != event_id_of("17", ADDED)
    assert event_id_of("17", ADDED) == event_id_of("17", ADDED)


def test_an_operators_error_comes_before_a_passing_one_before_a_final_one() -> None:
    final, passing = ProviderPermanent("a", "r"), ProviderRetryable("b", "r")
    operators = ProviderMisconfigured("c", "r")
    assert gravest([final, passing, operators]) is operators
    assert gravest([final, passing]) is passing
    assert gravest([final, ValueError()]).__class__ is ValueError
    assert gravest([final]) is final


def test_a_job_without_checkpoints_has_its_event_nowhere() -> None:
    assert taken({}) == frozenset()
    assert taken({"sinks": ["sqlite"], "other": 1}) == {"sqlite"}


def test_posthog_gets_the_same_uuid_for_the_same_event() -> None:
    known = as_event("7", ADDED, read(raw(eventId="e-1")))
    sent = as_posthog(known)
    assert sent["uuid"] == event_uuid("e-1") == as_posthog(known)["uuid"] != event_uuid("e-2")
    assert (sent["distinct_id"], sent["properties"]) == ("user-42", {"n": 1})


def test_an_unknown_user_is_anonymous_for_posthog_and_segment() -> None:
    unknown = as_event("7", ADDED, read(raw(eventId="e-1", userId=...)))
    sent = as_posthog(unknown)
    assert (sent["distinct_id"], sent["properties"]["$process_person_profile"]) == ("e-1", False)
    message = as_segment(unknown)
    assert message["anonymousId"] == "e-1"
    assert "userId" not in message
    assert unknown.properties == {"n": 1}  # what another sink gets is not touched


def test_moments_have_milliseconds_and_z() -> None:
    assert utc_text(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000Z"
