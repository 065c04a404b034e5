"""Administration and reading of a queue whose jobs wait in groups."""

from __future__ import annotations

from running_worker import MakeQueue

from corral import Flow


async def test_jobs_that_wait_in_groups_are_listed_as_waiting(make_queue: MakeQueue) -> None:
    queue = make_queue()
    first = await queue.add("build", 1)
    for number in range(4):
        await queue.add("build", number, group=f"tenant-{number % 2}")
    locked = await queue.add("build", 9, lock="user-7")
    parent = await Flow(queue, "sum", children=[Flow(queue, "part", delay=60)]).add()

    counts = await queue.counts()
    assert (counts["waiting"], counts["waiting-children"]) == (6, 1)
    oldest = await queue.browse.jobs("waiting", count=10, newest_first=False)
    assert oldest[0].id == first.id
    assert len(oldest) == 6
    assert {job.status for job in oldest} == {"waiting"}
    newest = await queue.browse.jobs("waiting", count=10, newest_first=True)
    assert [job.id for job in newest] == [job.id for job in oldest][::-1]
    paged = []
    for start in range(6):
        paged += await queue.browse.jobs("waiting", start=start, count=1, newest_first=False)
    assert [job.id for job in paged] == [job.id for job in oldest]
    assert [job.id for job in await queue.browse.jobs("waiting-children")] == [parent.id]

    found = await queue.browse.search(states=["waiting"], id=locked.id)
    assert [job.id for job in found.jobs] == [locked.id]
    assert found.total == 6


async def test_drain_removes_what_waits_in_groups(make_queue: MakeQueue) -> None:
    queue = make_queue()
    await queue.add("build", 1)
    await queue.add_many("build", range(700), group="tenant-1")
    await queue.add("build", 2, lock="user-7")
    later = await queue.add("build", 3, group="tenant-1", delay=60)
    assert await queue.admin.drain() == 702
    counts = await queue.counts()
    assert (counts["waiting"], counts["delayed"]) == (0, 1)
    assert await queue.get(later.id) is not None
    assert (await queue.groups.counts("tenant-1")).waiting == 0
