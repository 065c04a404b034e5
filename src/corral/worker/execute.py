"""Running one job: read what was fetched, call its handler, turn the end into a settlement."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any

import structlog
from redis.exceptions import RedisError

from corral.bullmq import settlement as wire
from corral.bullmq.cancel import pending
from corral.bullmq.codec import decode_options, whole
from corral.bullmq.consumer import Consumer
from corral.bullmq.settlement import Fetched, Settlement
from corral.children import WaitingForChildren
from corral.context import CHECKPOINT_FIELD, JobContext, Suspended
from corral.data import encode
from corral.definition import JobDefinition
from corral.errors import (
    AttemptTimeout,
    ChildFailed,
    CorralError,
    Held,
    InvalidData,
    JobCancelled,
    LockLost,
    UndecodableData,
    Unrecoverable,
)
from corral.forgetting import is_reduced, reduced
from corral.hook_settings import rules_of
from corral.policy import Forget
from corral.queue import Queue
from corral.sealing import START_BYTES as SEALED
from corral.tracing import attempt_of, is_recording, note_outcome
from corral.worker.around import Around
from corral.worker.batches import Batches
from corral.worker.breakers import Board
from corral.worker.ending import Ending
from corral.worker.invoke import Invoker
from corral.worker.outcome import Plan, plan, refuse_expired
from corral.worker.parents import leave_for_children
from corral.worker.processes.pool import ProcessPool
from corral.worker.recurring import make_next_run
from corral.worker.slots import Slot
from corral.worker.suspects import SUSPECT_FIELD, Suspects, is_refused, mark_of, refuse_killers
from corral.worker.tally import Row, Tally
from corral.worker.unwrapping import held_in, suspended_in

log = structlog.get_logger(__name__)

#: Why a job that was retried too late fails.
FORGOTTEN = (
    "The job ended earlier and its data was removed then (Forget), so it cannot run again: add it anew. {}"
)

#: Options texts remembered; a queue's jobs mostly share one.
PLAN_CACHE = 1_000


class Executor:
    """Runs the jobs of one queue. `finish(settlement, row)` receives exactly one entry for each job run."""

    def __init__(
        self,
        queue: Queue,
        consumer: Consumer,
        held: dict[str, str],
        finish: Callable[[Settlement, Row | None], None],
        threads: ThreadPoolExecutor,
        processes: ProcessPool,
        around: Around,
        tally: Tally,
        forget: Forget | None = None,
        board: Board | None = None,
        suspects: Suspects | None = None,
    ) -> None:
        self._queue = queue
        self._forget = forget
        self._consumer = consumer
        self._held = held
        self._finish = finish
        self._invoker = Invoker(threads, processes)
        self.batches = Batches(queue, threads)
        self._around = around
        self._board = board
        self._suspects = suspects or Suspects()
        self._tally = tally
        self._rows = tally.by_name
        self._hooks = rules_of(queue)
        self._sealing = queue.sealing
        self._seals = self._sealing.active
        self._plans: dict[bytes | None, Plan] = {}
        self._names: dict[bytes, JobDefinition | None] = {}
        self._loop = asyncio.get_running_loop()
        #: The server's clock at the last fetch, epoch ms: a worker's own may be wrong, and would expire all.
        self.fetched_ms = 0

    async def run(self, slot: Slot, values: list[Any]) -> None:
        """Run one job to its settlement. Never raises."""
        job = Fetched(*values)
        job_id = job.id
        del values  # ten thousand jobs at once would keep their list for nothing
        token = self._held.get(job_id)
        if token is None:  # lost between fetch and start: another worker has it
            self._finish([], None)
            return
        name = job.name
        row = self._rows.get(name) or self._tally.row(name)
        row.started += 1
        if job.attempts_started is not None and whole(job.attempts_started):
            row.restarted += 1
        slot.name, slot.since_ms, slot.job_id = name, self.fetched_ms, job_id
        settlement: Settlement | None = None
        plan = self._plans.get(job.options) or self._plan(job.options)
        weight, began = 0, 0.0
        if row.started >= row.next_timed:
            weight, began = self._time_start(row, job, plan), perf_counter()
        try:
            if job.held is not None and self._board is not None:
                self._board.starting(f"{self._queue.name}:{job_id}", job.held, self.fetched_ms / 1000)
            if job.stalled_count is not None:
                settlement = await self._suspected(slot, job, job_id, token, plan)
            elif plan.trace is None and not is_recording():
                settlement = await self._attempt(slot, job, job_id, token, plan)
            else:
                settlement = await self._traced(slot, job, job_id, token, plan)
        except asyncio.CancelledError:
            # The worker is being torn down without grace: the job goes back as it was.
            settlement = wire.put_back(job_id, token)
        except Exception:  # a fault of ours must cost one job, never the slot
            log.exception("job_run_broke", queue=self._queue.name, job=job_id)
            settlement = wire.put_back(job_id, token)
        finally:
            slot.job_id = slot.deadline = slot.stopped_by = None
            if slot.task is not None and slot.task.cancelling():
                await _forget_cancellations(slot.task)
            if job.held is not None and self._board is not None:
                completed = settlement is not None and settlement[2] == wire.COMPLETED
                self._board.ended(f"{self._queue.name}:{job_id}", completed=completed)
        if settlement is None:
            if self._held.get(job_id) == token:
                del self._held[job_id]
            settlement = []
        elif plan.targets is not None:
            wire.tell(settlement, job, plan.targets)
        if weight:
            row.time_end(perf_counter() - began, weight)
        self._finish(settlement, row)

    async def _suspected(
        self, slot: Slot, job: Fetched, job_id: str, token: str, plan: Plan
    ) -> Settlement | None:
        """As `_attempt`, for a job that stalled: in its turn, unless it will not run, or in a batch."""
        definition = self._names.get(job.name) or self._definition(job.name)
        if is_refused(job) or definition is None or definition.batch is not None:
            return await self._traced(slot, job, job_id, token, plan)
        mark = _Mark(self._consumer, job, job_id, token)
        try:
            async with self._suspects.turn(mark, whole(job.stalled_count)):
                return await self._traced(slot, job, job_id, token, plan)
        except LockLost:  # while it waited
            self._lost(job_id)
            return None

    def _time_start(self, row: Row, job: Fetched, plan: Plan) -> int:
        if whole(job.attempts_started):
            return row.time_start(None)
        added_ms = whole(job.timestamp) or self.fetched_ms
        return row.time_start((self.fetched_ms - added_ms) / 1000 - plan.delay)

    def _ending(self, job: Fetched, job_id: str, token: str) -> Ending:
        plan = self._plans.get(job.options) or self._plan(job.options)
        return Ending(self._queue.name, job, job_id, token, plan, whole(job.attempts_made) + 1)

    async def _traced(
        self, slot: Slot, job: Fetched, job_id: str, token: str, plan: Plan
    ) -> Settlement | None:
        name, attempt = job.name.decode(errors="replace"), whole(job.attempts_made) + 1
        with attempt_of(self._queue.name, name, job_id, attempt, plan.trace) as span:
            settlement = await self._attempt(slot, job, job_id, token, plan)
            note_outcome(span, "lost" if settlement is None else wire.outcome(settlement))
            return settlement

    async def _attempt(
        self, slot: Slot, job: Fetched, job_id: str, token: str, plan: Plan
    ) -> Settlement | None:
        if job.cancel is not None and (cancelled := pending(job.cancel)) is not None:
            return self._ending(job, job_id, token).cancelled(JobCancelled(cancelled))
        try:
            if job.scheduler is not None:
                await make_next_run(self._queue, job, job_id)
            definition = self._names.get(job.name) or self._definition(job.name)
            if job.deferred_failure is not None or job.stalled_count is not None:
                refuse_killers(job, in_batches=definition is not None and definition.batch is not None)
            if plan.ttl is not None and not whole(job.attempts_started):
                refuse_expired(plan, float(job.timestamp or self.fetched_ms), self.fetched_ms)
            if definition is None:
                self._tally.look_at_unknown(job.name.decode(errors="replace"))
                return self._ending(job, job_id, token).hold(self.fetched_ms / 1000)
            context = self._context(slot, job, token, plan, definition)
            if definition.call is not None:
                result = await definition.call(slot, definition, context, context.data)
            elif definition.isolation == "async":
                result = await (
                    definition.handler(context, context.data)
                    if definition.takes_data
                    else definition.handler(context)
                )
            else:
                result = await self._invoker.outside(slot, definition, context, context.data)
            value = "null" if result is None else self._encode_result(job_id, result)
            left = None if self._forget is None else self._left_of(job, context)
            return wire.completed(job_id, token, value, plan.completed, left)
        except Suspended as wait:
            return self._ending(job, job_id, token).suspended(wait, self._consumer.keys.prefix)
        except WaitingForChildren:
            return await self._leave_for_children(slot, job, job_id, token)
        except asyncio.CancelledError:
            reason = slot.stopped_by
            if reason is None:
                # Nobody stopped this job: something that the handler awaited was cancelled.
                return self._ending(job, job_id, token).error(
                    CorralError("The handler was cancelled from inside: a task it awaited was cancelled.")
                )
            if isinstance(reason, LockLost):
                self._lost(job_id)
                return None
            if isinstance(reason, JobCancelled):
                return self._ending(job, job_id, token).cancelled(reason)
            if not isinstance(reason, AttemptTimeout):
                return self._ending(job, job_id, token).stopped(reason)
            return self._ending(job, job_id, token).error(reason)
        except LockLost:
            self._lost(job_id)
            return None
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # sys.exit() in a handler ends its attempt, not the worker
            inner = suspended_in(error)
            if isinstance(inner, WaitingForChildren):
                return await self._leave_for_children(slot, job, job_id, token)
            if inner is not None:
                return self._ending(job, job_id, token).suspended(inner, self._consumer.keys.prefix)
            return await self._raised(slot, job, job_id, token, error)

    def _context(
        self, slot: Slot, job: Fetched, token: str, plan: Plan, definition: JobDefinition
    ) -> JobContext:
        """What the handler gets, with its data read and its time begun.

        Apart from `_attempt`, whose frame lives as long as the job: what is only needed here would stay in
        it, 64 bytes for each job in flight (by `tracemalloc`).
        """
        data: Any = job.data if job.data is not None else b"null"
        try:
            if data.startswith(SEALED):
                data = self._sealing.open("data", definition.name, data)
            read = data if definition.isolation == "process" else definition.decode_data(data)
        except InvalidData as error:
            raise UndecodableData(FORGOTTEN.format(error) if is_reduced(data) else str(error)) from error
        timeout = plan.timeout
        if timeout is not None:
            slot.deadline = self._loop.time() + timeout
        context = JobContext(
            self._consumer,
            token,
            job_id=job.id,
            name=definition.name,
            data=read,  # in a process, it is read there
            attempt=whole(job.attempts_made) + 1,
            attempts=plan.retry.attempts,
            enqueued_at=float(job.timestamp or 0) / 1000,
            deadline=None if timeout is None else time.time() + timeout,
            checkpoint=job.checkpoint,
            wait=job.wait,
            keep_logs=plan.keep_logs,
        )
        slot.cell.job = context
        return context

    def _lost(self, job_id: str) -> None:
        log.warning("lock_lost", queue=self._queue.name, job=job_id)
        self._tally.lost_locks += 1

    def _left_of(self, job: Fetched, context: JobContext) -> list[str]:
        """What is written over a completed job whose queue forgets."""
        assert self._forget is not None  # noqa: S101  # for the type checker; the caller has looked
        data = None if job.data is None else self._sealing.show("data", context.name, job.data)
        left = reduced(data, self._forget.keep)
        if self._seals:
            left = self._sealing.seal("data", context.name, left.encode())
        fields = ["data", left]
        return [*fields, CHECKPOINT_FIELD, "{}"] if context.has_checkpoint else fields

    def _encode_result(self, job_id: str, result: Any) -> str:
        try:
            raw = encode(result)
        except InvalidData as error:
            # The work is done; doing it again would end the same way.
            raise Unrecoverable(f"The handler's return value cannot be kept. {error}") from error
        return self._sealing.seal("result", job_id, raw) if self._seals else raw.decode()

    async def _raised(
        self, slot: Slot, job: Fetched, job_id: str, token: str, error: BaseException
    ) -> Settlement:
        if isinstance(slot.stopped_by, JobCancelled):  # it met the cancellation with an error of its own
            return self._ending(job, job_id, token).cancelled(slot.stopped_by)
        held = held_in(error)
        if held is None or self._board is None:
            return self._ending(job, job_id, token).error(error)
        return await self._hold(self._board, job, job_id, token, held)

    async def _hold(self, board: Board, job: Fetched, job_id: str, token: str, error: Held) -> Settlement:
        if error.opening is None:  # raised by what asks no breaker
            verdict = await board.open(
                error.breaker, "configuration", error.reason, f"{self._queue.name}:{job_id}"
            )
            if verdict is None:
                return self._ending(job, job_id, token).error(error)
            error.opening = verdict.opening
        ending = self._ending(job, job_id, token)
        return ending.held(error, error.opening, board, self.fetched_ms / 1000)

    async def _leave_for_children(
        self, slot: Slot, job: Fetched, job_id: str, token: str
    ) -> Settlement | None:
        slot.deadline = None  # the attempt goes on when the children have finished
        left = await leave_for_children(self._consumer, job_id, token)
        if isinstance(left, ChildFailed):
            return self._ending(job, job_id, token).error(left)
        return left

    def _plan(self, options: bytes | None) -> Plan:
        if len(self._plans) >= PLAN_CACHE:
            self._plans.clear()
        queue = self._queue
        made = plan(
            decode_options(options), queue.retry, queue.timeout, queue.retention, queue.ttl, self._hooks
        )
        self._plans[options] = made
        return made

    def _definition(self, name: bytes) -> JobDefinition | None:
        definition = self._queue.jobs.get(name.decode(errors="replace"))
        if definition is not None:
            definition = self._around.prepare(definition, self._invoker.outside, self.batches.call)
            self._names[name] = definition
        return definition


class _Mark:
    """The mark of one suspect. A round trip each."""

    def __init__(self, consumer: Consumer, job: Fetched, job_id: str, token: str) -> None:
        self._consumer = consumer
        self._job_id = job_id
        self._token = token
        self._text = mark_of(job)

    async def write(self) -> None:
        if not await self._store(self._text):
            raise LockLost(f"Job {self._job_id} was taken over by another worker.")

    async def remove(self) -> None:
        await self._store("")

    async def _store(self, text: str) -> bool:
        try:
            return await self._consumer.store(self._job_id, self._token, SUSPECT_FIELD, text)
        except (RedisError, OSError, TimeoutError):
            return True  # unmarked: it will not be found guilty


async def _forget_cancellations(task: asyncio.Task[None]) -> None:
    """What was meant for one job must not reach the next: the count, and one that is still under way."""
    while task.cancelling():
        task.uncancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)
