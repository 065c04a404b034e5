"""From how everything stands to what Prometheus reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families as parse
from prometheus_client.registry import CollectorRegistry

from corral.observe.prometheus import Families
from corral.observe.standing import BreakerStanding, QueueStanding, Standing
from corral.observe.standing_metrics import standing_families
from exposed_metrics import STANDING


def samples(standings: Sequence[Standing], added: Mapping[str, int]) -> dict[tuple[str, ...], float]:
    """As they arrive: written and read again."""
    registry = CollectorRegistry()
    registry.register(Families(standing_families(standings, added)))
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in parse(generate_latest(registry).decode())
        for sample in family.samples
    }


def test_everything_that_stands() -> None:
    seen = samples([STANDING], {"email": 8})
    assert seen["bullmq_queue_waiting", "email"] == 1 + 4
    assert seen["corral_queue_jobs", "email", "waiting-children"] == 7
    assert seen["corral_queue_jobs_added_total", "email"] == 8
    assert seen["corral_queue_oldest_waiting_seconds", "email"] == 12.5
    assert seen["corral_dead_letters", "email"] == 6
    assert seen["corral_queue_paused", "email"] == 1
    assert seen["corral_queue_held_jobs", "sendgrid", "email"] == 2
    assert seen["corral_queue_schedules_late", "email"] == 2
    assert seen["corral_queue_schedule_late_seconds", "email"] == 90
    assert seen["corral_queue_workers", "email"] == 2
    assert seen["corral_queue_slots", "email"] == 8
    assert seen["corral_queue_busy", "email"] == 4
    assert seen["corral_breaker_open", "sendgrid"] == 1
    assert seen["corral_redis_memory_bytes",] == 100
    assert seen["corral_redis_memory_limit_bytes",] == 1_000
    assert seen["corral_redis_persistence_ok",] == 1
    assert seen["corral_redis_clients",] == 7


def test_an_idle_queue_has_zeros() -> None:
    seen = samples([Standing(at=1.0, queues={"idle": QueueStanding(queue="idle")})], {"idle": 0})
    for name in (
        "bullmq_queue_waiting", "corral_queue_oldest_waiting_seconds", "corral_queue_paused",
        "corral_queue_workers", "corral_queue_schedule_late_seconds", "corral_dead_letters",
        "corral_queue_jobs_added_total",
    ):  # fmt: skip
        assert seen[name, "idle"] == 0
    assert not [key for key in seen if key[0].startswith(("corral_redis", "corral_breaker"))]


@pytest.mark.parametrize(("state", "is_open"), [("open", 1), ("half-open", 1), ("closed", 0)])
def test_a_breaker(state: str, is_open: int) -> None:
    standing = Standing(at=1.0, breakers=(BreakerStanding(name="onfido", state=state),))
    assert samples([standing], {})["corral_breaker_open", "onfido"] == is_open


def test_a_failing_server() -> None:
    assert STANDING.server is not None
    failing = replace(STANDING, server=replace(STANDING.server, persistence_failing=True))
    assert samples([failing], {})["corral_redis_persistence_ok",] == 0


def test_two_servers_with_a_breaker_of_the_same_name() -> None:
    """A series may be there once only: Prometheus refuses the scrape otherwise."""
    other = Standing(
        at=1.0,
        queues={"kyc": QueueStanding(queue="kyc", counts={"waiting": 3})},
        workers=STANDING.workers[1:],
        breakers=(BreakerStanding(name="sendgrid", state="closed"),),
    )
    names = [
        (sample.name, *sorted(sample.labels.items()))
        for family in standing_families([STANDING, other], {"email": 1, "kyc": 1})
        for sample in family.samples
    ]
    assert len(set(names)) == len(names)
    seen = samples([STANDING, other], {})
    assert seen["corral_breaker_open", "sendgrid"] == 1
    assert (seen["bullmq_queue_waiting", "email"], seen["bullmq_queue_waiting", "kyc"]) == (5, 3)
    assert seen["corral_redis_clients",] == 7


@pytest.mark.parametrize("name", ['a"b', "back\\slash", "\\n", '"} 1', "schön", "{}", "\ufffd"])
def test_names_arrive_as_they_are(name: str) -> None:
    standing = Standing(
        at=1.0,
        queues={name: QueueStanding(queue=name, counts={"waiting": 1}, held={name: 2})},
        breakers=(BreakerStanding(name=name, state="open"),),
    )
    seen = samples([standing], {name: 1})
    assert seen["bullmq_queue_waiting", name] == 1
    assert seen["corral_queue_held_jobs", name, name] == 2
    assert seen["corral_breaker_open", name] == 1


def test_every_family_is_there_without_anything_to_tell() -> None:
    told = {family.name for family in standing_families([], {})}
    assert told == {family.name for family in standing_families([STANDING], {})}
