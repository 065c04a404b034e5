"""A dashboard with something on every page: jobs in every state, dead letters, workers, a firing alert."""

from __future__ import annotations

import time
from typing import Any

from dashboard_site import Site, seed

from corral import Flow, JobContext, Unrecoverable, Worker
from corral.breakers import Breakers
from corral.bullmq import alerting, registry
from corral.data import encode
from corral.observe.alerts.ledger import ChannelHealth, Ledger
from corral.observe.alerts.machine import Alert, Event
from corral.observe.alerts.storing import encoded

#: A job that is there to be looked at, in the queue `orders`.
FAILED_JOB = "order-17"


async def seed_incident(site: Site) -> None:
    """All of `seed`, and what it lacks."""
    await seed(site)
    await _orders(site)
    await _workers(site)
    await seed_alert(site)
    breakers = Breakers(site.redis.url)
    await breakers.hold("onfido", "its key was revoked")


async def _orders(site: Site) -> None:
    orders = site.queue("orders")

    @orders.job("charge")
    async def charge(job: JobContext, data: dict[str, Any]) -> dict[str, bool]:
        await job.log("charging")
        if data["card"] == "expired":
            raise Unrecoverable("card_declined: the card is expired")
        return {"paid": True}

    for number in range(3):
        await orders.add("charge", {"card": "expired", "user": {"id": number}})
    await orders.add("charge", {"card": "expired", "user": {"id": 17}}, job_id=FAILED_JOB)
    await orders.add("charge", {"card": "good", "items": list(range(12))}, job_id="order-18")
    await Worker(orders, concurrency=2).run(until_empty=True)
    await orders.add("charge", {"card": "good"}, delay=3_600, job_id="order-19")
    await orders.add("charge", {"card": "good"}, job_id="order-20", priority=3)
    child = Flow(orders, "charge", {"card": "good"}, delay=3_600)
    await Flow(orders, "charge", {"card": "good"}, children=[child]).add()
    await orders.close()


async def _workers(site: Site) -> None:
    email = site.queue("email")
    for name, version in (("w-1", "v2.14.0"), ("w-2", "v2.13.2"), ("w-3", "v2.14.0")):
        beat = {
            "name": name, "host": f"host-{name[-1]}", "pid": 7, "version": version,
            "queues": ["email", "orders"], "slots": 8, "busy": 1, "memory_bytes": 90_000_000,
            "beat_at": time.time(), "started_at": time.time() - 600,
            "jobs": [{"queue": "email", "id": "7", "name": "send", "started_at": time.time() - 5}],
            "places": {"email": [4, 1], "orders": [4, 0]},
        }  # fmt: skip
        await registry.write_beat(email.client(), "bull", name, encode(beat), seconds=900)
    await email.close()


async def seed_alert(site: Site) -> None:
    """The breaker of onfido fires, and somebody was told."""
    now = time.time()
    email = site.queue("email")
    fires = Alert(
        rule="breaker-open", subject="onfido", state="firing", value=1, detail="HTTP 401; 3 jobs are held",
        since=now - 300, fired_at=now - 240, told_at=now - 240,
    )  # fmt: skip
    waits = Alert(rule="waiting", subject="email", state="pending", value=1_200, since=now - 30)
    ledger = Ledger(
        at=now,
        alerts=(fires, waits),
        channels={"slack": ChannelHealth(sent=1, failed_at=now - 60, error="HTTP 500")},
    )
    told = Event(
        at=now - 240, kind="fired", rule="breaker-open", subject="onfido", severity="critical", value=1,
        summary="The breaker of onfido is open.",
    )  # fmt: skip
    await alerting.take_lease(email.client(), "bull", "web-1:7:abc", need_state=False)
    await alerting.commit(email.client(), "bull", "web-1:7:abc", encoded(ledger), [encoded(told)])
    await email.close()
