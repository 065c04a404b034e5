# ruff: noqa: E501 - payloads are read best as rows
"""Arguments at the edge of what our Lua scripts are given: by the library's own builders, on a real Redis.

Either a clear error of ours, or the job is there as it was meant: found by its id, with its name and data, in
no key but its queue's. The state machine over all operations is tests/integration/test_queue_machine.py.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import redis as sync_redis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from corral import Queue, Worker
from corral.bullmq.connection import close_shared_clients
from corral.errors import CorralError, RedisUnavailable
from corral.portal import close_portal

HOSTILE = [
    ":", "a:b", "bull:other:1", "{x}", "{", "}", "{}{}", "*", "?", "[a-z]", "\\", "'", '"', "');redis.call('FLUSHALL')--",
    "\0", "a\0b", "\r\n", "*3\r\n$3\r\nSET\r\n", "%s%n", "..", "/", " ", "\u00e9", "e\u0301", "\U0001f600", "\u202e",
    "\ufeff", "0", "-1", "1e999", "nan", "9" * 30, "meta", "wait", "lock", "x" * 65_536, "\u00e9" * 40_000, "\ud800",
]  # fmt: skip

texts = st.sampled_from(HOSTILE) | st.text(max_size=40)
numbers = st.sampled_from(
    [0, -1, 1, 0.5, 2**21 - 1, 2**21, 2**31, 2**53, 2**53 + 1, 2**64, 1e300, float("inf"), float("-inf"), float("nan")]
) | st.floats() | st.integers(-(2**70), 2**70)  # fmt: skip

options = st.fixed_dictionaries(
    {},
    optional={
        "job_id": texts,
        "idempotency_key": texts,
        "group": texts,
        "delay": numbers,
        "priority": numbers,
        "timeout": numbers,
        "ttl": numbers,
        "lifo": st.booleans(),
        "remove_on_complete": st.booleans() | numbers,
        "remove_on_fail": st.booleans() | numbers,
        "keep_logs": numbers,
    },
)


@pytest.fixture(scope="module")
def queue(redis_server: str) -> Iterator[Queue]:
    made = Queue("arguments", redis_url=redis_server, prefix="bull")
    yield made
    close_portal()


@seed(7)
@settings(max_examples=250, database=None, suppress_health_check=list(HealthCheck))
@given(name=texts, given_options=options, data=st.none() | st.integers() | st.text(max_size=20))
def test_extreme_arguments_are_refused_or_mean_what_they_say(
    queue: Queue, redis_server: str, name: str, given_options: dict[str, Any], data: Any
) -> None:
    with sync_redis.Redis.from_url(redis_server) as client:
        client.flushall()
        client.set("bull:other:1", "not ours")
        try:
            job = queue.sync.add(name, data, **given_options)
        except RedisUnavailable:
            raise  # Redis did not understand what we sent
        except CorralError:
            assert client.keys("bull:arguments:[0-9]*") == []
        except UnicodeEncodeError:
            assert any("\ud800" <= c <= "\udfff" for c in f"{name}{data}{given_options}")
        else:
            found = queue.sync.get(job.id)
            assert found is not None
            assert (found.name, found.data) == (name, data)
            if "job_id" in given_options:
                assert job.id == given_options["job_id"]
        assert client.get("bull:other:1") == b"not ours"
        strangers = [
            key
            for key in client.keys("*")
            if not key.startswith((b"bull:arguments:", b"corral:")) and key != b"bull:other:1"
        ]
        assert strangers == []


async def test_jobs_with_hostile_names_and_ids_run_to_their_end(redis_url: str) -> None:
    """What was taken also gets through fetching, settling and looking up."""
    queue = Queue("hostile", redis_url=redis_url, prefix="bull")
    ran: list[int] = []

    for number, text in enumerate(HOSTILE):
        if not text.isascii() and "\ud800" in text:
            continue
        try:
            queue.job(text)(_handler(ran, number))
        except CorralError:
            continue
    taken = []
    for number, text in enumerate(HOSTILE):
        ways: tuple[dict[str, Any], ...] = ({}, {"job_id": text}, {"group": text}, {"idempotency_key": text})
        for more in ways:
            with contextlib.suppress(CorralError, UnicodeEncodeError):
                taken.append(await queue.add(text, number, **more))
    assert len(taken) > len(HOSTILE)
    async with asyncio.timeout(120):
        await Worker(queue, concurrency=10).run(until_empty=True)
    for job in taken:
        assert (await job.refresh()).status == "completed", (job.id[:40], job.failed_reason)
    assert len(ran) >= len({job.id for job in taken})
    await queue.close()
    await close_shared_clients()


def _handler(ran: list[int], number: int) -> Any:
    async def handle(job: Any, data: int) -> None:
        ran.append(number)

    return handle
