"""Deadlines: one look at all running jobs now and then, instead of a timer for each."""

from __future__ import annotations

import asyncio

from corral.errors import AttemptTimeout
from corral.worker.slots import Slots

#: How often running jobs are held against their deadline; an attempt may run over by this much.
WATCH_SECONDS = 0.05


async def watch_deadlines(slots: Slots) -> None:
    """Stop every job that is past its deadline, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        now = loop.time()
        for slot in slots.all:
            if slot.deadline is not None and now >= slot.deadline:
                slot.stop(
                    AttemptTimeout(
                        f"The attempt of job {slot.job_id} took longer than its time limit and was stopped."
                    )
                )
