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
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog
from redis.exceptions import RedisError

from corral.bullmq import consumer as wire
from corral.bullmq.consumer import Consumer, Settlement, Step
from corral.errors import LockLost, Snooze
from corral.queue import Queue
from corral.worker.deadlines import watch_deadlines
from corral.worker.execute import Executor
from corral.worker.locks import LockTable
from corral.worker.rescue import sweep_for_ever
from corral.worker.slots import Slots

log = structlog.get_logger(__name__)

#: Calls to step.lua under way at once. Measured: two gave 1.35 times the jobs of one, three no more.
CALLS_IN_FLIGHT = 2

#: With an empty queue, look again after this even if no marker came: a marker is a hint, not a promise.
POLL_SECONDS = 5.0

#: Waits between attempts to reach Redis again; the last repeats. Short, to be back within 5 s of its return.
RECONNECT_SECONDS = (0.05, 0.2, 0.5, 1.0)

#: A timer is at most so long, so that a wrong clock or a far job costs one idle look a minute.
LONGEST_TIMER_SECONDS = 60.0


@dataclass(slots=True)
class FeedState:
    """What a health check and a log line may say about a feed."""

    fetched: int = 0
    settled: int = 0
    lost: int = 0
    last_answer: float = 0.0
    #: Monotonic time since when Redis does not answer; None: it does.
    away_since: float | None = None


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
        stalled_seconds: float,
    ) -> None:
        self.queue = queue
        self.limit = slots
        self.state = FeedState(last_answer=time.monotonic())
        self._consumer = consumer
        self._worker = worker
        self._stalled_seconds = stalled_seconds
        self._loop = asyncio.get_running_loop()
        self.locks = LockTable(consumer.keys, self._locks_lost_in_thread)
        self._executor = Executor(queue, consumer, self.locks.held, self._finish, threads)
        self._slots = Slots(slots, self._executor.run)
        self._finished: list[Settlement] = []
        self._occupied = 0  # fetched and not ended
        self._reserved = 0  # asked for by calls under way
        self._more = True  # the queue may have jobs
        self._limited = False  # it has jobs, and the rate limit keeps them
        self._calls = 0
        self._sequence = 0
        self._lost_tokens: list[str] = []
        self._wake = asyncio.Event()
        self._watch = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._stopping = False
        self._draining = False
        self._failures = 0
        self._server_ahead = 0.0  # seconds by which Redis's clock is ahead of ours
        # One call never asks for all slots: the others' jobs run while it is under way.
        self._share = -(-slots // CALLS_IN_FLIGHT)

    # Life

    async def run(self, *, until_empty: bool) -> None:
        """Feed until `stop`, or until nothing waits or runs. Does not end on errors of Redis."""
        self._draining = until_empty
        helpers = [
            self._loop.create_task(self._watch_marker()),
            self._loop.create_task(watch_deadlines(self._slots)),
            self._loop.create_task(sweep_for_ever(self._consumer, self._stalled_seconds)),
        ]
        try:
            await asyncio.gather(*(self._call_loop() for _ in range(CALLS_IN_FLIGHT)))
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            if self._timer is not None:
                self._timer.cancel()
            await self._slots.close()

    def stop(self) -> None:
        """Fetch nothing more. Jobs that were fetched and have not started go back at once."""
        if self._stopping:
            return
        self._stopping = True
        for values in self._slots.take_back():
            self._give_back(values[0].decode())
        self._wake.set()

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
    def drained(self) -> bool:
        """Nothing runs and nothing is left to settle."""
        return not self._occupied and not self._finished and not self._calls

    # Calling

    async def _call_loop(self) -> None:
        while True:
            want = 0
            # A call that settles anyway looks for work too: that costs next to nothing.
            if not self._stopping and (self._more or self._finished):
                want = min(self.limit - self._occupied - self._reserved, self._share)
            if not self._finished and want <= 0:
                if self._is_over():
                    self._wake.set()  # the other loop ends as well
                    return
                self._wake.clear()
                self._watch.set()
                await self._wake.wait()
                continue
            await self._call(max(want, 0))

    def _is_over(self) -> bool:
        if not self.drained:
            return False
        return self._stopping or (self._draining and not self._more and not self._limited)

    async def _call(self, want: int) -> None:
        settled, self._finished = self._finished, []
        self._sequence += 1
        token = f"{self._worker}:{self._sequence}"
        self._reserved += want
        self._calls += 1
        try:
            if self._lost_tokens:
                await self._recover()
            step = await self._consumer.step(token, want, settled)
        except (RedisError, OSError, TimeoutError) as error:
            if want:
                self._lost_tokens.append(token)
            self._finished = settled + self._finished
            await self._wait_for_redis(error)
            return
        finally:
            self._reserved -= want
            self._calls -= 1
        self._answered()
        self._take(step, token, want)
        if settled:
            await self._settled(settled, step)
        if self._calls == 0 or self._more:
            self._wake.set()

    def _take(self, step: Step, token: str, want: int) -> None:
        jobs = step.jobs
        self._server_ahead = step.now_ms / 1000 - time.time()
        if want:
            self._more = len(jobs) == want
            self._limited = step.rate_ttl_ms > 0
            if not self._more:
                self._schedule(step)
        if not jobs:
            return
        held = self.locks.held
        for values in jobs:
            held[values[0].decode()] = token  # type: ignore[union-attr]  # the id is always there
        self._occupied += len(jobs)
        self.state.fetched += len(jobs)
        if self._stopping:
            for values in jobs:
                self._give_back(values[0].decode())  # type: ignore[union-attr]
        else:
            self._slots.submit(jobs)

    async def _settled(self, settled: list[Settlement], step: Step) -> None:
        held = self.locks.held
        self.state.settled += len(settled)
        problems = dict(step.problems) if step.problems else None
        if problems:
            by_id = {entry[0]: entry for entry in settled}
            for job_id, code in problems.items():
                if code == wire.NOT_PLAIN:
                    await self._settle_officially(by_id[job_id], step.now_ms)
                else:
                    self.state.lost += 1
                    log.warning("settlement_refused", queue=self.queue.name, job=job_id, code=code)
        for entry in settled:
            held.pop(entry[0], None)

    async def _settle_officially(self, entry: Settlement, now_ms: int) -> None:
        while True:
            try:
                code = await self._consumer.finish_officially(entry, now_ms=now_ms)
                break
            except (RedisError, OSError, TimeoutError) as error:
                await self._wait_for_redis(error)
        if code in (-4, -9):
            # BullMQ refuses to complete a job whose children are not through.
            reason = (
                "The job has children that are not finished." if code == -4 else "A child of the job failed."
            )
            failed = wire.failed(entry[0], entry[1], reason, "[]", self.queue.retention.failed, 1)
            await self._settle_officially(failed, now_ms)
        elif code < 0:
            self.state.lost += 1
            log.warning("settlement_refused", queue=self.queue.name, job=entry[0], code=code)

    def _finish(self, settlement: Settlement) -> None:
        self._occupied -= 1
        if settlement:
            self._finished.append(settlement)
        self._wake.set()

    def _give_back(self, job_id: str) -> None:
        self._finish(wire.put_back(job_id, self.locks.held[job_id]))

    # Waiting for work

    def _schedule(self, step: Step) -> None:
        """Set the timer for the next moment at which something may be due."""
        seconds = LONGEST_TIMER_SECONDS
        if step.rate_ttl_ms > 0:
            seconds = step.rate_ttl_ms / 1000
        elif step.next_due_ms > 0 and not step.stopped:
            seconds = max(0.0, (step.next_due_ms - step.now_ms) / 1000)
        elif not step.next_due_ms:
            return
        self._look_again_in(seconds)

    def _look_again_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(min(seconds, LONGEST_TIMER_SECONDS), self._look_again)

    def _look_again(self) -> None:
        self._more = True
        self._wake.set()

    async def _watch_marker(self) -> None:
        """Sleep on the marker whenever the queue was found empty and a slot is free."""
        while True:
            if self._more or self._occupied + self._reserved >= self.limit:
                self._watch.clear()
                await self._watch.wait()
                continue
            try:
                due = await self._consumer.wait_for_work(POLL_SECONDS)
            except (RedisError, OSError, TimeoutError) as error:
                await self._wait_for_redis(error)
                self._look_again()
                continue
            if due:
                seconds = due / 1000 - time.time() - self._server_ahead
                if seconds > 0.001:
                    self._look_again_in(seconds)
                    continue
            self._look_again()

    # Keeping jobs safe

    def _locks_lost_in_thread(self, ids: list[str]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nothing runs any more
            self._loop.call_soon_threadsafe(self._locks_lost, ids)

    def _locks_lost(self, ids: list[str]) -> None:
        lost = set(ids)
        for slot in self._slots.running():
            if slot.job_id in lost:
                slot.stop(LockLost(f"Job {slot.job_id} was taken over by another worker."))

    # Living without Redis

    async def _recover(self) -> None:
        tokens = self._lost_tokens
        ids = await self._consumer.recover(tokens)
        self._lost_tokens = [token for token in self._lost_tokens if token not in tokens]
        if ids:
            log.info("jobs_recovered", queue=self.queue.name, jobs=len(ids))

    async def _wait_for_redis(self, error: BaseException) -> None:
        now = time.monotonic()
        if self.state.away_since is None:
            self.state.away_since = now
            log.error("redis_lost", queue=self.queue.name, error=type(error).__name__)
        wait = RECONNECT_SECONDS[min(self._failures, len(RECONNECT_SECONDS) - 1)]
        self._failures += 1
        await asyncio.sleep(wait)

    def _answered(self) -> None:
        now = time.monotonic()
        if self.state.away_since is not None:
            log.info("redis_back", queue=self.queue.name, away_seconds=round(now - self.state.away_since, 1))
            self.state.away_since = None
            self._failures = 0
            self._more = True
        self.state.last_answer = now
