"""The blocking face, from threads, forks and scripts."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from corral import JobContext, JobFailed, Queue, ResultTimeout, Retry, Worker
from corral.bullmq.connection import close_shared_clients
from corral.errors import ConfigurationError, InvalidData, RedisUnavailable
from corral.portal import close_portal
from redis_process import free_port


@pytest.fixture
def queue(redis_url: str) -> Iterator[Queue]:
    yield Queue("sync", redis_url=redis_url)
    close_portal()


async def drain(queue: Queue) -> None:
    try:
        await Worker(queue).run(until_empty=True)
    finally:
        await close_shared_clients()


def test_add_look_up_and_wait(queue: Queue) -> None:
    @queue.job("build")
    async def build(job: JobContext, data: int) -> int:
        await job.log(f"got {data}")
        if data == 13:
            raise ValueError("not this one")
        return data * 2

    job = queue.sync.add("build", 21, delay=0)
    bad = queue.sync.add("build", 13, remove_on_fail=False)
    more = queue.sync.add_many("build", [1, 2, 3])
    assert queue.sync.counts()["waiting"] == 5
    with pytest.raises(ResultTimeout):
        job.sync.result(timeout=0.01)
    for _ in range(3):  # the retries of the bad one come a second apart
        asyncio.run(drain(queue))
    assert job.sync.result(timeout=10) == 42
    assert [j.sync.result(timeout=10) for j in more] == [2, 4, 6]
    assert job.sync.logs() == ["got 21"]
    assert bad.sync.refresh().attempts_made >= 1
    assert queue.sync.run(queue.logs(job.id)) == ["got 21"]
    found = queue.sync.get(job.id)
    assert found is not None
    assert found.status == "completed"
    assert queue.sync.get("nobody") is None
    assert queue.sync.signal("approval:1", {"by": "someone"}) is False


def test_a_failed_job_raises(queue: Queue) -> None:
    @queue.job("build")
    async def build(job: JobContext, data: int) -> int:
        raise ValueError("not this one")

    job = queue.sync.add("build", 1, retry=Retry(attempts=1))
    asyncio.run(drain(queue))
    with pytest.raises(JobFailed, match="not this one"):
        job.sync.result(timeout=10)


def test_errors_come_through(queue: Queue) -> None:
    @queue.job("build")
    async def build(job: JobContext, data: int) -> None: ...

    with pytest.raises(InvalidData):
        queue.sync.add("build", "not a number")
    away = Queue("sync", redis_url=f"redis://127.0.0.1:{free_port()}")
    with pytest.raises(RedisUnavailable):
        away.sync.add("build", 1)


def test_many_threads_share_one_loop_and_few_connections(queue: Queue) -> None:
    with ThreadPoolExecutor(32) as threads:
        jobs = list(threads.map(lambda n: queue.sync.add("build", n), range(640)))
    assert len({job.id for job in jobs}) == 640
    assert sum(thread.name == "corral-sync" for thread in threading.enumerate()) == 1
    clients = queue.sync.run(connections(queue))
    assert clients <= 4
    assert queue.sync.counts()["waiting"] == 640


async def connections(queue: Queue) -> int:
    return len(await queue.client().client_list())


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_adds_by_itself(queue: Queue) -> None:
    """What a web server does that loads the application before it forks."""
    before = queue.sync.add("build", 1)
    child = os.fork()
    if child == 0:
        try:
            queue.sync.add("build", 2)
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    after = queue.sync.add("build", 3)
    assert [before.id, after.id] == ["1", "3"]
    assert queue.sync.counts()["waiting"] == 3


async def test_inside_an_event_loop_it_says_what_to_do(queue: Queue) -> None:
    with pytest.raises(ConfigurationError, match=r"await queue\.add"):
        queue.sync.add("build", 1)


def test_a_script_ends_cleanly(redis_url: str) -> None:
    script = """
import corral
queue = corral.Queue("sync")
print(queue.sync.add("build", {"n": 1}).id)
"""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env=os.environ | {"REDIS_URL": redis_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "1\n", "")
