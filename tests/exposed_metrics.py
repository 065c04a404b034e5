"""Everything that Corral exposes, with samples in each family: what board, rules and docs are held to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import Metric

from corral.api.scraping import other_families
from corral.api.traffic import Traffic
from corral.observe.counted import Counted, OfName, OfQueue, Present
from corral.observe.prometheus import job_families, present_families, process_families
from corral.observe.standing import (
    BreakerStanding,
    QueueStanding,
    ServerStanding,
    Standing,
    WorkerStanding,
)
from corral.observe.standing_metrics import standing_families

STATES = ("waiting", "active", "delayed", "prioritized", "completed", "failed", "waiting-children")

STANDING = Standing(
    at=1_000.0,
    queues={
        "email": QueueStanding(
            queue="email",
            counts=dict(zip(STATES, range(1, 8), strict=True)),
            paused=True,
            held={"sendgrid": 2},
            oldest_waiting_seconds=12.5,
            late_schedules={"daily": 30.0, "weekly": 90.0},
        )
    },
    workers=(
        WorkerStanding(
            name="w-1",
            host="w",
            pid=1,
            version="1",
            queues=("email",),
            slots=5,
            busy=2,
            places={"email": (5, 2)},
        ),
        WorkerStanding(
            name="w-2",
            host="w",
            pid=2,
            version="1",
            queues=("email", "kyc"),
            slots=5,
            busy=5,
            places={"email": (3, 2), "kyc": (2, 3)},
        ),
    ),
    breakers=(BreakerStanding(name="sendgrid", state="half-open", held=2),),
    server=ServerStanding(memory_bytes=100, memory_limit_bytes=1_000, connected_clients=7),
)

COUNTED = Counted({"email": OfQueue({"send": OfName({"completed": 3, "failed": 1})}, 1, 2, 3)}, 4.5)
PRESENT = Present({"email": 5}, {"email": 2}, 0.1)


def families() -> Iterator[Metric]:
    """What the API and a worker's health port answer, without what is Python's own."""
    traffic = Traffic()
    traffic.observe("POST", "/verify-kyc", 202, 0.001)
    traffic.begin_stream("GET", "/v1/queues/{queue}/events", 200)
    yield from other_families(is_up=True, left_out=0)
    yield from standing_families([STANDING], {"email": 8})
    yield from traffic.collect()
    yield from job_families(COUNTED)
    yield from present_families(PRESENT)
    yield from process_families(COUNTED, processes=2, restarts=1, memory_bytes=1_000)


def labels_by_sample(given: Iterable[Metric]) -> dict[str, set[str]]:
    """Names as Prometheus stores them (with _total, _bucket, …), and the labels of each."""
    found: dict[str, set[str]] = {}
    for family in given:
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def labels_by_name(given: Iterable[Metric]) -> dict[str, set[str]]:
    """Names as people call them: a histogram by its own name, a counter with its _total."""
    found: dict[str, set[str]] = {}
    for family in given:
        assert family.samples, f"{family.name} has no sample here"
        name = family.name + ("_total" if family.type == "counter" else "")
        found[name] = {label for sample in family.samples for label in sample.labels} - {"le"}
    return found
