"""One job in a child process: what is sent there, who answers its questions, when its time starts."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import msgspec
import structlog

from corral.context import JobContext, Suspended
from corral.data import encode
from corral.definition import JobDefinition
from corral.errors import Snooze
from corral.tracing import carrier_of
from corral.worker.processes.child import ChildLost, ChildNotStarted
from corral.worker.processes.failures import pack
from corral.worker.processes.messages import QUESTIONS, Answer, Ask, Run
from corral.worker.processes.pool import ProcessPool
from corral.worker.slots import Slot

log = structlog.get_logger(__name__)

#: The machine has no room for a process: not the job's fault, so its attempt is not spent.
NO_PROCESS_SECONDS = 5.0


async def run_in_child(
    pool: ProcessPool, slot: Slot, definition: JobDefinition, context: JobContext, raw: bytes
) -> msgspec.Raw:
    """The handler's result. Raises what it raised, or ProcessDied; cancelled, its process is killed.

    The job's time limit starts when a child has it: waiting for a free one does not count.
    """
    loop = asyncio.get_running_loop()
    seconds = None if slot.deadline is None else slot.deadline - loop.time()
    slot.deadline = None

    async def answer(ask: Ask) -> Answer:
        return await _answer(context, ask)

    async def attempt() -> msgspec.Raw:
        async with pool.child() as child:
            if seconds is not None:
                slot.deadline = loop.time() + seconds
                context.deadline = time.time() + seconds
            return msgspec.Raw(await child.run(_run(definition, context, raw), answer))

    try:
        for _ in range(pool.size):
            with contextlib.suppress(ChildLost):  # killed while it had no job: the next one
                return await attempt()
        return await attempt()
    except (ChildNotStarted, ChildLost) as error:
        log.exception("child_not_started", queue=context.queue, job=context.id)
        raise Snooze(NO_PROCESS_SECONDS, str(error)) from error


def _run(definition: JobDefinition, context: JobContext, raw: bytes) -> Run:
    return Run(
        module=definition.handler.__module__,
        qualname=definition.handler.__qualname__,
        id=context.id,
        name=context.name,
        queue=context.queue,
        data=raw,
        attempt=context.attempt,
        attempts=context.attempts,
        enqueued_at=context.enqueued_at,
        deadline=context.deadline,
        checkpoints=encode(context.checkpoints),
        trace=carrier_of(),
    )


async def _answer(context: JobContext, ask: Ask) -> Answer:
    try:
        if ask.method not in QUESTIONS:
            raise AttributeError(ask.method)
        value: Any = await getattr(context, ask.method)(*msgspec.json.decode(ask.arguments))
        return Answer(ask.number, encode(value))
    except (Exception, Suspended) as error:  # the handler's business
        return Answer(ask.number, failure=pack(error))
