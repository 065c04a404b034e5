"""What a queue can say and do about parents and children of its jobs; `Queue` inherits it.

The children of a job may be in other queues of the same server and prefix.
"""

# ruff: noqa: PLC0415  # what adding a job does not need is imported where it is asked for (decision 7)

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING

from corral.bullmq.clock import server_ms
from corral.errors import InvalidOptions, JobNotFound, WrongState

if TYPE_CHECKING:
    import redis.asyncio as aioredis

    from corral.bullmq.keys import QueueKeys
    from corral.family import (
        Child,
        ChildCounts,
        ChildrenPage,
        FlowNode,
        RetriedChildren,
        StuckParent,
        WaitingPage,
    )
    from corral.sealing import Sealing

#: Jobs that `Queue.flow` shows at most.
MAX_SHOWN = 1_000

#: Waiting parents that one `Queue.stuck_parents` looks at.
MAX_LOOKED = 2_000


class Relations:
    """Needs `name`, `client`, `keys` and `redis_errors` of a Queue."""

    if TYPE_CHECKING:
        name: str

        def client(self) -> aioredis.Redis: ...
        def keys(self) -> QueueKeys: ...
        @property
        def sealing(self) -> Sealing: ...
        def redis_errors(self) -> contextlib.AbstractContextManager[None]: ...

    async def flow(self, job_id: str, depth: int = 10, limit: int = 20) -> FlowNode | None:
        """A job with its children and their states, or None. One round trip a level.

        depth: levels below the job; limit: children shown of each job (failed ones first, then pending ones),
        1,000 jobs in all. `counts` of a node tells what there is besides. Raises RedisUnavailable.
        """
        from corral.bullmq import flow_read

        if depth < 0 or limit < 1:
            raise InvalidOptions(f"flow(depth={depth}, limit={limit}): at least 0 levels and 1 child.")
        with self.redis_errors():
            return await flow_read.tree(
                self.client(), self.keys(), job_id, depth=depth, limit=limit, most=MAX_SHOWN
            )

    async def whole_flow(
        self, job_id: str, depth: int = 10, limit: int = 20, most: int = 200
    ) -> FlowNode | None:
        """The flow that a job belongs to, from its root, or None. One round trip a level, up and down.

        As `flow`; the way from the root to the job is in it whatever the bounds. The root is what is left
        of it: a parent that is gone is not climbed over. Raises RedisUnavailable.
        """
        from corral.bullmq import flow_read
        from corral.bullmq.keys import QueueKeys

        with self.redis_errors():
            client, prefix = self.client(), self.keys().prefix
            way = await flow_read.climb(client, self.keys(), job_id)
            root = QueueKeys(prefix, way[0].queue)
            return await flow_read.tree(client, root, way[0].id, depth=depth, limit=limit, most=most, way=way)

    async def children_nodes(
        self, job_id: str, cursor: str | None = None, count: int = 100
    ) -> tuple[list[FlowNode], str | None]:
        """A page of `children` with their states and counts, and the next cursor. Two round trips."""
        from corral.bullmq import flow_read

        page = await self.children(job_id, cursor, count)
        with self.redis_errors():
            found = await flow_read.nodes(self.client(), self.keys().prefix, page.children)
        return found, page.cursor

    async def children(self, job_id: str, cursor: str | None = None, count: int = 100) -> ChildrenPage:
        """A page of a job's children: completed, ignored, failed, then pending. One round trip.

        count: about so many; Redis gives small collections whole. A child that ends while you page may
        come twice or not at all. Raises InvalidOptions for a cursor that no page gave.
        """
        from corral.bullmq import families
        from corral.family import ChildrenPage

        if count < 1:
            raise InvalidOptions(f"count={count}: at least one child.")
        with self.redis_errors():
            try:
                page = await families.children_page(self.client(), self.keys(), job_id, cursor, count)
            except ValueError:
                raise InvalidOptions(f"cursor={cursor!r}: pass the cursor of the page before.") from None
        return ChildrenPage([_opened(self.sealing, child) for child in page.children], page.cursor)

    async def children_counts(self, job_id: str) -> ChildCounts:
        """How many children a job has in each state. One round trip."""
        from corral.bullmq import families

        with self.redis_errors():
            return await families.counts(self.client(), self.keys(), job_id)

    async def remove_child_dependency(self, job_id: str) -> bool:
        """Part a job of this queue from its parent, which no longer waits for it. Two round trips.

        The parent runs if nothing else is pending. False: the job has no parent that waits for it.
        Raises JobNotFound.
        """
        from corral.bullmq import families

        with self.redis_errors():
            code = await families.remove_dependency(self.client(), self.keys(), job_id)
        if code == -1:
            raise JobNotFound(f"Job {job_id} is not in queue {self.name!r}.")
        return code == 0

    async def remove_unprocessed_children(self, job_id: str) -> None:
        """Remove the pending children of a job, and theirs; those that run stay. One round trip.

        A parent that waits runs if nothing is pending then.
        """
        from corral.bullmq import families

        with self.redis_errors():
            await families.remove_unprocessed(self.client(), self.keys(), job_id)

    async def stuck_parents(self, older_than: float = 60.0, limit: int = 100) -> list[StuckParent]:
        """Parents that wait for what will not happen, the longest first, with the reason.

        older_than: seconds that they have waited; limit: parents returned. Two round trips for each 20
        parents; of the 2,000 oldest, with 100 pending children of each by chance.
        Release them with `release_parent`, or retry the child. Raises RedisUnavailable.
        """
        from corral.bullmq import flow_waiting, stuck

        if limit < 1:
            raise InvalidOptions(f"limit={limit}: at least one parent.")
        keys = self.keys()
        found: list[StuckParent] = []
        with self.redis_errors():
            before = await server_ms(self.client()) - round(older_than * 1000)
            for start in range(0, MAX_LOOKED, flow_waiting.LOOK_BATCH):
                batch = await stuck.waiting_parents(
                    self.client(), keys, before, start, flow_waiting.LOOK_BATCH
                )
                if batch:
                    found += await stuck.stuck_among(self.client(), keys, batch)
                if len(found) >= limit or len(batch) < flow_waiting.LOOK_BATCH:
                    break
        return found[:limit]

    async def waiting_parents(self, start: int = 0, count: int = 20) -> WaitingPage:
        """Jobs that wait for children, the longest first, each with what it waits for, and whether in vain.

        count: 100 at most. Four round trips, two more for each 20. Raises RedisUnavailable.
        """
        from corral.bullmq import flow_waiting

        if start < 0 or not 1 <= count <= 100:
            raise InvalidOptions(f"waiting_parents(start={start}, count={count}): 1 to 100 from 0 on.")
        with self.redis_errors():
            return await flow_waiting.page(self.client(), self.keys(), start, count)

    async def count_waiting_parents(self) -> int:
        """How many jobs wait for children. One round trip."""
        from corral.bullmq import flow_waiting

        with self.redis_errors():
            return await flow_waiting.count(self.client(), self.keys())

    async def stuck_among(self, job_ids: Sequence[str]) -> list[StuckParent]:
        """Which of these jobs wait for children in vain. One round trip, and two for each 20."""
        from corral.bullmq import flow_waiting

        with self.redis_errors():
            return await flow_waiting.stuck_of(self.client(), self.keys(), job_ids)

    async def retry_children(self, job_id: str) -> RetriedChildren:
        """Retry the failed children of a job that waits for them, or that they failed: then it waits again,
        and so do those above it. Ignored failures are retried as well. A child without a policy too.

        At most 500 at once; some five round trips. Raises JobNotFound, and WrongState if the job has gone on.
        """
        from corral.bullmq import flow_read, flow_retry
        from corral.family import RetriedChildren

        with self.redis_errors():
            client, keys = self.client(), self.keys()
            way = (await flow_read.climb(client, keys, job_id))[::-1]
            job, *above = await flow_read.plain_nodes(client, keys.prefix, way)
            if job.status == flow_read.GONE:
                raise JobNotFound(f"Job {job_id} is not in queue {self.name!r}.")
            if job.status not in ("waiting-children", "failed"):
                raise WrongState(
                    f"Job {job_id} in {self.name!r} neither waits for its children nor has failed: it is "
                    f"{job.status}. Retry the children one by one."
                )
            failed, left = await flow_retry.failed_children(client, keys, job_id)
            if not failed:
                return RetriedChildren(0, 0, 0)
            # Above a parent that still waits, nothing failed because of it.
            parents = [node.key for node in takewhile(lambda node: node.status == "failed", [job, *above])]
            done = await flow_retry.retry(client, keys.prefix, failed, parents, await server_ms(client))
        return replace(done, left=left)

    async def release_parent(self, job_id: str) -> bool:
        """Let a stuck parent go on without the children that cannot tell it anything. One round trip.

        Children that are gone, failed or left count as ignored failures (`job.ignored_failures()`), those
        that completed unnoticed as completed. False: other children are still pending; the parent runs when
        they are through. Raises JobNotFound if no such job waits for children.
        """
        from corral.bullmq import families

        with self.redis_errors():
            now_ms = await server_ms(self.client())
            code = await families.release(self.client(), self.keys(), job_id, now_ms)
        if code < 0:
            raise JobNotFound(f"No job {job_id} of queue {self.name!r} waits for children.")
        return code == 1


def _opened(sealing: Sealing, child: Child) -> Child:
    value = sealing.shown("result", child.key.id, child.value, queue=child.key.queue)
    return child if value is child.value else replace(child, value=value)
