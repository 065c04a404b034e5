"""The feed of one queue: it fetches as many jobs as there are free slots and settles what has ended.

Two calls are kept in flight, so that Redis works while Python does. A call settles every job that ended
since the last one and fetches for every slot that is free, never more. With nothing to do, the feed sleeps
on the queue's marker and on a timer for the next delayed job.

Redis may go away at any time: what ended is kept and sent again (the lock token fences it), and jobs of a
fetch whose answer was lost are put back as soon as Redis answers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import structlog
from redis.exceptions import RedisError, ResponseError

from corral.bullmq import settlement as wire
from corral.bullmq.consumer import Consumer, Step
from corral.bullmq.failures import is_outage
from corral.bullmq.settlement import Settlement
from corral.errors import LockLost, Snooze
from corral.policy import Forget
from corral.queue import Queue
from corral.worker.around import Around
from corral.worker.breakers import Board
from corral.worker.deadlines import watch_deadlines
from corral.worker.desk import tend_desk
from corral.worker.execute import Executor
from corral.worker.idle import Idle
from corral.worker.janitor import keep_house
from corral.worker.locks import LockTable
from corral.worker.outage import Outage
from corral.worker.parents import watch_parents
from corral.worker.processes.pool import ProcessPool
from corral.worker.recurring import watch_schedules
from corral.worker.rescue import sweep_for_ever
from corral.worker.settling import Settling
from corral.worker.slots import Slots
from corral.worker.suspects import Suspects
from corral.worker.tally import Row, Tally

log = structlog.get_logger(__name__)

#: Calls to step.lua under way at once. Measured: two gave 1.35 times the jobs of one, three no more.
CALLS_IN_FLIGHT = 2

#: Jobs that one call fetches, and settles. One of this size holds the server for about 20 ms.
MOST_JOBS = 1_000

#: A job due within this is work for now: `Snooze(0)` is a delay of 1 ms.
SOON_MS = 2

#: Before a part of the feed that broke starts again.
FAULT_SECONDS = 0.5


class Feed:
    """Runs one queue's jobs until `stop`; see the module."""

    def __init__(
        self,
        queue: Queue,
        consumer: Consumer,
        *,
        slots: int,
        worker: str,
        threads: ThreadPoolExecutor,
        processes: ProcessPool,
        stalled_seconds: float,
        around: Around,
        tally: Tally,
        forget: Forget | None = None,
        board: Board | None = None,
        suspects: Suspects | None = None,
    ) -> None:
        self.queue = queue
        self.limit = slots
        self.tally = tally
        self.outage = Outage(queue.name)
        self._consumer = consumer
        self._worker = worker
        self._stalled_seconds = stalled_seconds
        self._loop = asyncio.get_running_loop()
        self.locks = LockTable(consumer.keys, self._locks_lost_in_thread)
        consumer.on_locked = self.locks.note_written
        self.settling = Settling(
            consumer,
            self.locks,
            self.outage,
            tally=tally,
            failed=queue.retention.failed,
            look_again=self._look_again,
        )
        self.state = self.settling.state
        self._forget = forget
        self._executor = Executor(
            queue,
            consumer,
            self.locks.held,
            self._finish,
            threads,
            processes,
            around,
            tally,
            forget,
            board,
            suspects,
        )
        self._slots = Slots(slots, self._executor.run)
        self._idle = Idle(
            consumer,
            self.outage,
            is_resting=self._is_resting,
            is_quiet=lambda: self.stopping,
            look_again=self._look_again,
        )
        self._occupied = 0  # fetched and not ended
        self._reserved = 0  # asked for by calls under way
        self._more = True  # the queue may have jobs
        self._plenty = False  # the last call that asked for some got all it asked for
        self._hints = 0  # how often something said so
        self._awaited = False  # it has jobs that the rate limit keeps, or that are due at once
        self._calls = 0
        self._sequence = 0
        self._lost_calls: list[tuple[str, str]] = []
        self._wake = asyncio.Event()
        self._stopping = False
        self._quiet = False
        self._draining = False
        # One call never asks for all slots: the others' jobs run while it is under way.
        self._share = min(-(-slots // CALLS_IN_FLIGHT), MOST_JOBS)

    # Life

    async def run(self, *, until_empty: bool) -> None:
        """Feed until `stop`, or until nothing waits or runs. Does not end on errors of Redis."""
        self._draining = until_empty
        parts: tuple[Callable[[], Awaitable[None]], ...] = (
            self._idle.watch,
            lambda: watch_deadlines(self._slots),
            lambda: sweep_for_ever(self._consumer, self._stalled_seconds, tally=self.tally),
            lambda: watch_parents(self.queue),
            lambda: keep_house(self.queue, forget=self._forget),
            lambda: tend_desk(self.queue),
        )
        if not until_empty:
            parts += (lambda: watch_schedules(self.queue, self._stalled_seconds),)
        helpers = [self._loop.create_task(self._keep_going(part)) for part in parts]
        try:
            await asyncio.gather(*(self._keep_going(self._call_loop) for _ in range(CALLS_IN_FLIGHT)))
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            self._idle.close()
            await self._slots.close(Snooze(0, "The worker stops."))
            await self._executor.batches.close()
            await self._settle_the_rest()

    async def _settle_the_rest(self) -> None:
        for slot in self._slots.running():  # it ignores its cancellation: like a thread's, its job runs twice
            if slot.job_id in self.locks.held:
                self._give_back(slot.job_id)
        await self.settling.send_the_rest()

    async def _keep_going(self, part: Callable[[], Awaitable[None]]) -> None:
        """Run a part to its end. A fault of ours in it is logged and the part starts again: a worker that
        goes on without one of its parts looks alive and does nothing, the worst of all failures.
        """
        while True:
            try:
                return await part()
            except Exception:
                self.state.faults += 1
                log.exception("feed_part_broke", queue=self.queue.name)
                await asyncio.sleep(FAULT_SECONDS)

    def stop(self) -> None:
        """Fetch nothing more. Jobs that were fetched and have not started go back at once."""
        if self._stopping:
            return
        self._stopping = True
        for values in self._slots.take_back():
            self._give_back(values[0])
        self._executor.batches.stop()
        self._wake.set()

    def quiet(self) -> None:
        """Fetch nothing more, and stay: for an operator who takes this worker out before stopping it."""
        self._quiet = True
        self._wake.set()

    def stop_job(self, job_id: str, reason: BaseException) -> bool:
        """Stop one job. False: it does not run here, or not yet."""
        slot = next((slot for slot in self._slots.running() if slot.job_id == job_id), None)
        if slot is not None:
            slot.stop(reason)
        return slot is not None

    def put_back_running(self) -> int:
        """End of the grace time: stop what runs and put it back unspent. Returns how many."""
        running = self._slots.running()
        for slot in running:
            slot.stop(Snooze(0, "The worker stops."))
        return len(running)

    @property
    def running(self) -> int:
        return self._occupied

    @property
    def stopping(self) -> bool:
        """It takes no new jobs."""
        return self._quiet or self._stopping

    def running_jobs(self) -> Iterator[tuple[str, bytes, int]]:
        """Id, name and start (the server's epoch milliseconds) of each job in a slot."""
        for slot in self._slots.all:
            if slot.job_id is not None:
                yield slot.job_id, slot.name, slot.since_ms

    @property
    def drained(self) -> bool:
        """Nothing runs and nothing is left to settle."""
        return not self._occupied and not self.settling.waiting and not self._calls

    # Calling

    async def _call_loop(self) -> None:
        while True:
            want = 0
            # A call that settles anyway looks for work too: that costs next to nothing.
            # A hint is mostly of one job: one call looks, and a second joins it if there were plenty.
            some = self._more and (self._plenty or not self._reserved)
            if not (self._stopping or self._quiet) and (some or self.settling.waiting):
                want = min(self.limit - self._occupied - self._reserved, self._share)
            if not self.settling.waiting and want <= 0:
                if self._is_over():
                    self._wake.set()  # the other loop ends as well
                    return
                self._wake.clear()
                self._idle.rest()
                await self._wake.wait()
                continue
            await self._call(max(want, 0))

    def _is_over(self) -> bool:
        if not self.drained:
            return False
        return self._stopping or (self._draining and not self._more and not self._awaited)

    async def _call(self, want: int) -> None:
        ended = self.settling.take(MOST_JOBS)
        self._sequence += 1
        token = f"{self._worker}:{self._sequence}"
        sent = self.locks.with_marks(ended.entries)
        record = self._consumer.next_record() if want else ""
        hints = self._hints
        self._reserved += want
        self._calls += 1
        try:
            if self._lost_calls:
                await self._recover()
            step = await self._consumer.step(token, want, sent, record=record)
        except (RedisError, OSError, TimeoutError) as error:
            if record:
                self._lost_calls.append((record, token))
            if not is_outage(error):  # Redis is there: one of the settlements is at fault
                self._answered()
                self.settling.set_aside(ended)
                raise
            self.settling.again(ended)
            await self.outage.wait(error)
            return
        except Exception:
            self.settling.set_aside(ended)
            raise
        finally:
            self._reserved -= want
            self._calls -= 1
        self._answered()
        self._take(step, token, want, hinted=hints != self._hints)
        if ended.entries:
            await self.settling.answered(ended, sent, step)
        if self._calls == 0 or self._more:
            self._wake.set()

    def _answered(self) -> None:
        if self.outage.answered():
            self._more = True
            self.tally.reconnects += 1

    def _take(self, step: Step, token: str, want: int, *, hinted: bool) -> None:
        jobs = step.jobs
        if want:
            # A hint that came while the call was under way may be of a job that the call did not see.
            self._plenty = len(jobs) == want
            self._more = hinted or self._plenty
            is_soon = 0 < step.next_due_ms <= step.now_ms + SOON_MS and not step.stopped
            self._awaited = step.rate_ttl_ms > 0 or is_soon
            self._idle.note(step, found_all=len(jobs) == want)
        if not jobs:
            return
        self.tally.pace()
        held, stamp = self.locks.held, step.stamp
        first = wire.STAMPED_VALUES if self._consumer.defers_locks else 0
        for values in jobs:
            held[values[0]] = stamp if len(values) == first else token
        self._executor.fetched_ms = step.now_ms
        self._occupied += len(jobs)
        self.state.fetched += len(jobs)
        if self._stopping or self._quiet:
            for values in jobs:
                self._give_back(values[0])
        else:
            self._slots.submit(jobs)

    def _finish(self, settlement: Settlement, row: Row | None) -> None:
        self._occupied -= 1
        if settlement:
            self.settling.waiting.append(settlement)
            self.settling.rows.append(row)
        self._wake.set()

    def _give_back(self, job_id: str) -> None:
        self._finish(wire.put_back(job_id, self.locks.held[job_id]), None)

    # Waiting for work

    def _is_resting(self) -> bool:
        # A quiet feed leaves the marker to others.
        return not (self._more or self._quiet) and self._occupied + self._reserved < self.limit

    def _look_again(self) -> None:
        self._hints += 1
        self._more = True
        self._wake.set()

    # Keeping jobs safe

    def _locks_lost_in_thread(self, lost: dict[str, str]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nothing runs any more
            self._loop.call_soon_threadsafe(self._locks_lost, lost)

    def _locks_lost(self, lost: dict[str, str]) -> None:
        held = self.locks.held
        for slot in self._slots.running():
            # A job that was settled and fetched again while the thread asked has another lock by now.
            if slot.job_id in lost and held.get(slot.job_id) == lost[slot.job_id]:
                slot.stop(LockLost(f"Job {slot.job_id} was taken over by another worker."))

    # Living without Redis

    async def _recover(self) -> None:
        calls = self._lost_calls.copy()  # the other call may lose one meanwhile
        try:
            ids = await self._consumer.recover(calls)
        except ResponseError as error:
            if is_outage(error):
                raise
            log.exception("recovery_broke", queue=self.queue.name)
            ids = []  # the sweep puts those jobs back
        self._lost_calls = [call for call in self._lost_calls if call not in calls]
        if ids:
            log.info("jobs_recovered", queue=self.queue.name, jobs=len(ids))
