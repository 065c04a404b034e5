"""The faults done to real processes, and written down as they happened."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable
from functools import partial

from bench.soak.crew import Api, Crew, Producer, end
from bench.soak.ledger import Ledger, Trouble
from bench.soak.plan import WORKERS, Fault, FaultKind
from bench.soak.world import PATIENCE_SECONDS, Servers, Single, Watched, until


class Breaker:
    """Does one fault after the other of each lane. `started`: the clock that `Fault.at` counts from."""

    def __init__(
        self, servers: Servers, crew: Crew, api: Api, producers: dict[str, Producer], ledger: Ledger
    ) -> None:
        self._servers = servers
        self._crew = crew
        self._api = api
        self._producers = producers
        self._ledger = ledger
        self._by_kind: dict[FaultKind, Callable[[Fault], Awaitable[None]]] = {
            FaultKind.WORKER_KILL: self._kill_worker,
            FaultKind.WORKER_FREEZE: self._freeze_worker,
            FaultKind.WORKER_STOP: self._stop_worker,
            FaultKind.WORKER_CUT: self._cut_worker,
            FaultKind.REDIS_KILL: self._kill_redis,
            FaultKind.REDIS_FREEZE: self._freeze_redis,
            FaultKind.FAILOVER_KILL: self._fail_over,
            FaultKind.FAILOVER_FREEZE: self._fail_over,
            FaultKind.FAILOVER_PLANNED: self._fail_over,
            FaultKind.PRODUCER_CUT: self._cut_producer,
            FaultKind.CLOCK: self._wrong_clock,
            FaultKind.API_RESTART: self._end_api,
            FaultKind.API_KILL: self._end_api,
            FaultKind.DEPLOY: self._deploy,
        }

    async def lane(self, faults: list[Fault], started: float) -> None:
        loop = asyncio.get_running_loop()
        for fault in faults:
            await asyncio.sleep(max(0, started + fault.at - loop.time()))
            await self._by_kind[fault.kind](fault)

    def _note(self, fault: Fault, began: float, process: int | None = None, ended: float = 0) -> None:
        """It has ended at `ended`, else now; it is over now."""
        now = time.time()
        detail = f"{fault.lane}, {fault.seconds:g} s"
        self._ledger.trouble(Trouble(fault.kind, began, ended or now, process, detail, now))

    # Workers

    async def _kill_worker(self, fault: Fault) -> None:
        slot = _slot(fault)
        async with self._crew.locks[slot]:
            process, began = self._crew.running[slot], time.time()
            process.kill()
            process.wait()
            self._note(fault, began, process.pid)
            await asyncio.sleep(fault.seconds)
            self._crew.replace(slot)

    async def _freeze_worker(self, fault: Fault) -> None:
        slot = _slot(fault)
        async with self._crew.locks[slot]:
            process, began = self._crew.running[slot], time.time()
            process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(fault.seconds)
            process.send_signal(signal.SIGCONT)
            self._note(fault, began, process.pid)

    async def _stop_worker(self, fault: Fault) -> None:
        slot = _slot(fault)
        async with self._crew.locks[slot]:
            await self._stop_and_replace(slot, fault)

    async def _stop_and_replace(self, slot: int, fault: Fault) -> None:
        process, began = self._crew.running[slot], time.time()
        await asyncio.to_thread(end, process)
        if process.returncode:
            said = f"worker {slot} was told to stop and ended with {process.returncode}"
            self._crew.surprises[process.pid] = said
        if fault.kind is FaultKind.WORKER_STOP:
            self._note(fault, began, process.pid)
        self._crew.replace(slot)

    async def _cut_worker(self, fault: Fault) -> None:
        assert isinstance(self._servers, Single)  # the plan has none of these elsewhere
        slot = _slot(fault)
        async with self._crew.locks[slot]:
            process, proxy, began = self._crew.running[slot], self._servers.proxies[fault.lane], time.time()
            proxy.drop()
            await asyncio.sleep(fault.seconds)
            proxy.heal()
            self._note(fault, began, process.pid)

    # Redis

    async def _kill_redis(self, fault: Fault) -> None:
        assert isinstance(self._servers, Single)
        server, began = self._servers.server, time.time()
        server.kill()
        await asyncio.sleep(fault.seconds)
        await asyncio.to_thread(server.start, PATIENCE_SECONDS)
        self._note(fault, began)

    async def _freeze_redis(self, fault: Fault) -> None:
        assert isinstance(self._servers, Single)
        server, began = self._servers.server, time.time()
        server.freeze()
        await asyncio.sleep(fault.seconds)
        server.thaw()
        self._note(fault, began)

    async def _fail_over(self, fault: Fault) -> None:
        """It has ended when another master takes writes; the lane goes on when all three are well."""
        servers = self._servers
        assert isinstance(servers, Watched)

        def fails_over() -> bool:
            servers.farm.fail_over()
            return True

        old, began = await asyncio.to_thread(servers.master), time.time()
        if fault.kind is FaultKind.FAILOVER_PLANNED:
            await asyncio.to_thread(until, fails_over)
        elif fault.kind is FaultKind.FAILOVER_KILL:
            old.kill()
        else:
            old.freeze()
        await asyncio.to_thread(until, lambda: servers.promoted(old))
        ended = time.time()
        await asyncio.sleep(fault.seconds)
        if fault.kind is FaultKind.FAILOVER_KILL:
            await asyncio.to_thread(old.start, PATIENCE_SECONDS)
        elif fault.kind is FaultKind.FAILOVER_FREEZE:
            old.thaw()
        await asyncio.to_thread(until, servers.whole)
        self._note(fault, began, ended=ended)

    # Who adds

    async def _cut_producer(self, fault: Fault) -> None:
        assert isinstance(self._servers, Single)
        proxy, began = self._servers.proxies["producer"], time.time()
        proxy.drop()
        await asyncio.sleep(fault.seconds)
        proxy.heal()
        self._note(fault, began)

    async def _wrong_clock(self, fault: Fault) -> None:
        began = time.time()
        self._producers["python"].tell(clock=fault.amount)
        await asyncio.sleep(fault.seconds)
        self._producers["python"].tell(clock=0)
        self._note(fault, began)

    async def _end_api(self, fault: Fault) -> None:
        began = time.time()
        if fault.kind is FaultKind.API_KILL:
            self._api.process.kill()
        await asyncio.to_thread(end, self._api.process)
        await asyncio.sleep(fault.seconds)
        self._api.start()
        self._note(fault, began)

    async def _deploy(self, fault: Fault) -> None:
        """Producers have the new release first; each worker is up before the next one is stopped."""
        began = time.time()
        self._crew.version += 1
        for producer in self._producers.values():
            producer.tell(version=self._crew.version)
        for slot in range(WORKERS):
            async with self._crew.locks[slot]:
                await self._stop_and_replace(slot, fault)
                with contextlib.suppress(TimeoutError):  # it ended at once: the conductor will note that
                    await asyncio.to_thread(until, partial(self._crew.is_up, slot), PATIENCE_SECONDS)
        self._note(fault, began)


def _slot(fault: Fault) -> int:
    return int(fault.lane.split()[1])
