"""Which job a piece of code sees as the current one, slot by slot."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any

import pytest

from corral import current_job
from corral.worker import slots as slots_module
from corral.worker.slots import Slot, Slots

OTHER: contextvars.ContextVar[int] = contextvars.ContextVar("other", default=0)

Handler = Callable[[Any], Any]


async def run_in_one_slot(handler: Handler, jobs: int) -> list[int]:
    """Run jobs (plain numbers here) one after the other. Returns which cell each had, numbered."""
    cells: list[Any] = []
    done = asyncio.Event()

    async def run(slot: Slot, job: Any) -> None:
        assert current_job() is None, "the job before is still seen"
        slot.job_id, slot.cell.job = str(job), job
        cells.append(slot.cell)
        await handler(job)
        slot.job_id = None
        if len(cells) == jobs:
            done.set()

    slots = Slots(1, run)
    slots.submit(list(range(1, jobs + 1)))
    await done.wait()
    await slots.close(RuntimeError("torn down"))
    distinct: list[Any] = []
    for cell in cells:
        if not any(cell is known for known in distinct):
            distinct.append(cell)
    return [next(n for n, known in enumerate(distinct) if known is cell) for cell in cells]


def seen() -> Any:
    return current_job()


async def test_jobs_that_leave_nothing_behind_share_a_cell() -> None:
    """This is what makes it cheap."""
    saw: list[Any] = []

    async def handler(job: Any) -> None:
        saw.append(seen())

    assert await run_in_one_slot(handler, 5) == [0] * 5
    assert saw == [1, 2, 3, 4, 5]


async def leaves_a_task(job: Any, left: list[Any]) -> None:
    async def straggler() -> Any:
        first = seen()
        await asyncio.sleep(0)
        return first, seen()

    left.append(asyncio.create_task(straggler()))


async def leaves_a_task_and_waits(job: Any, left: list[Any]) -> None:
    await leaves_a_task(job, left)
    await asyncio.sleep(0)


async def leaves_a_task_and_binds(job: Any, left: list[Any]) -> None:
    OTHER.set(job)
    await leaves_a_task(job, left)


async def leaves_a_callback(job: Any, left: list[Any]) -> None:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: future.set_result((seen(), seen())))
    left.append(future)


@pytest.mark.parametrize(
    "leave", [leaves_a_task, leaves_a_task_and_waits, leaves_a_task_and_binds, leaves_a_callback]
)
@pytest.mark.parametrize("counted", [True, False])
async def test_what_is_left_behind_keeps_its_job(
    leave: Callable[..., Any], counted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots_module, "COPIES_ARE_COUNTED", counted)
    left: list[Any] = []

    async def handler(job: Any) -> None:
        assert OTHER.get() == 0
        await leave(job, left)

    await run_in_one_slot(handler, 5)
    assert await asyncio.gather(*left) == [(job, job) for job in range(1, 6)]


async def test_a_task_that_has_ended_costs_no_cell() -> None:
    async def handler(job: Any) -> None:
        if job == 2:
            contextvars.copy_context().run(seen)

    assert await run_in_one_slot(handler, 4) == [0] * 4


async def test_where_copies_are_not_counted_each_job_has_a_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots_module, "COPIES_ARE_COUNTED", False)

    async def handler(job: Any) -> None: ...

    assert await run_in_one_slot(handler, 3) == [0, 1, 2]
