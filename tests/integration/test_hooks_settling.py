"""The delivery of a hook is added by the very call that settles its job: every way a job ends, and none other."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import ChildFailed, Dedup, Flow, JobContext, Queue, Retry, Unrecoverable, Webhook
from corral.bullmq import settlement as wire
from corral.bullmq.connection import shared_client
from corral.bullmq.consumer import Consumer
from corral.hooks import DELIVERY_OPTIONS, DELIVERY_RETRY, HookRules
from corral.policy import Keep
from corral.queues.webhooks import Delivery
from eventually import eventually

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
URL = "https://receiver.example.org/in?k=1"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORRAL_WEBHOOK_SECRET", SECRET)


@pytest.fixture
async def deliveries(make_queue: MakeQueue) -> Queue:
    """The queue `webhooks`, whose jobs stay where they are."""
    made = make_queue("webhooks")
    await made.admin.obliterate(force=True)
    return made


async def told(deliveries: Queue) -> list[Delivery]:
    """What waits to be delivered, in order."""
    page = await deliveries.browse.jobs("waiting", limit=100)
    jobs = [await deliveries.get(job.id) for job in page.jobs]
    return [msgspec.json.decode(job.raw, type=Delivery) for job in jobs if job is not None]


async def succeed(job: JobContext, data: Any) -> dict[str, Any]:
    return {"got": data}
