"""The names of the jobs that events are about: only `added` carries one, others are looked up and kept."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable

from corral.events import Event
from corral.queue import Queue

#: Names that a process remembers, each some hundred bytes.
KEPT = 20_000


class JobNames:
    """Remembers the names of the jobs that were seen last."""

    def __init__(self) -> None:
        self._names: OrderedDict[tuple[str, str], str] = OrderedDict()

    def learn(self, queue: str, event: Event) -> None:
        name = event.fields.get("name")
        if event.name == "added" and event.job_id is not None and name is not None:
            self._keep(queue, event.job_id, name)

    def of(self, queue: str, job_id: str | None) -> str | None:
        return None if job_id is None else self._names.get((queue, job_id))

    async def look_up(self, seen: Iterable[tuple[Queue, str | None]]) -> None:
        """Ask for what is not known: one round trip for each queue. Raises what redis-py raises."""
        unknown: dict[Queue, dict[str, None]] = {}
        for queue, job_id in seen:
            if job_id is not None and (queue.name, job_id) not in self._names:
                unknown.setdefault(queue, {})[job_id] = None
        await asyncio.gather(*(self._ask(queue, list(ids)) for queue, ids in unknown.items()))

    async def _ask(self, queue: Queue, ids: list[str]) -> None:
        pipe = queue.client().pipeline(transaction=False)
        for job_id in ids:
            pipe.hget(queue.keys().job(job_id), "name")
        for job_id, name in zip(ids, await pipe.execute(), strict=True):
            if name is not None:  # a job that is gone may be added anew under its id
                self._keep(queue.name, job_id, name.decode(errors="replace"))

    def _keep(self, queue: str, job_id: str, name: str) -> None:
        self._names[queue, job_id] = name
        self._names.move_to_end((queue, job_id))
        if len(self._names) > KEPT:
            self._names.popitem(last=False)
