"""Flows: a tree of jobs over any queues of one server, added as a whole or not at all.

    flow = Flow(reports, "build", Report(7), children=[
        Flow(pages, "render", Page(1)),
        Flow(pages, "render", Page(2), on_failure=OnFailure.IGNORE),
    ])
    job = await flow.add()

Children run first. When all have finished, their parent runs and finds their results in
`job.children_values()`. A child that fails for good fails its parent, unless its `on_failure` says otherwise.
Wire-compatible with BullMQ's FlowProducer: any node may run on a Node worker.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Unpack, cast

from corral.adding import AddOptions
from corral.bullmq.clock import server_ms
from corral.bullmq.flow_add import FlowJob, Parent, add_flow
from corral.bullmq.producer import NewJobs
from corral.data import encode
from corral.errors import ConfigurationError, FlowConflict, InvalidOptions, JobTooLarge
from corral.family import OnFailure
from corral.flow_options import FlowOptions, check_node
from corral.job import Job
from corral.queue import Queue

#: Jobs of one flow. They arrive as one: measured on a busy machine, each holds the server for 0.24 ms.
MAX_FLOW_JOBS = 2_000

#: Data of one flow.
MAX_FLOW_BYTES = 32 * 1_048_576


class Flow:
    """A job and its children, which are flows themselves.

    queue, name, data, options: as for `Queue.add`. The delay of a parent counts from its children's end.
    on_failure: what happens to the parent of this node when it fails for good.
    """

    def __init__(
        self,
        queue: Queue,
        name: str,
        data: Any = None,
        *,
        children: Sequence[Flow] = (),
        on_failure: OnFailure = OnFailure.FAIL_PARENT,
        **options: Unpack[FlowOptions],
    ) -> None:
        self.queue = queue
        self.name = name
        self.data = data
        self.children = tuple(children)
        self.on_failure = OnFailure(on_failure)
        self.options = options
        #: The node's job, once the flow has been added.
        self.job: Job | None = None

    async def add(self) -> Job:
        """Add the whole tree; when this returns, Redis has it. All nodes are checked before.

        One round trip, four if a node has a `job_id`. If a job of the root's `job_id` exists, it is returned
        as it is (`existed`), and nothing is added.
        Raises what `Queue.add` raises, and FlowConflict for a node whose job exists and does not fit in.
        """
        queue = self.queue
        nodes = list(_walk(self))
        if self.on_failure is not OnFailure.FAIL_PARENT:
            raise InvalidOptions(f"The root {self.name!r} has no parent, so it has no `on_failure`.")
        for node in nodes:
            check_node(node.options)
            check_same_server(queue, node.queue)
        raws = [encode(node.data) for node in nodes]
        if sum(map(len, raws)) > MAX_FLOW_BYTES:
            raise JobTooLarge(f"The flow's data is over {MAX_FLOW_BYTES:,} bytes. Pass references instead.")
        ready = [
            await node.queue.prepare(node.name, raw, cast("AddOptions", node.options))
            for node, raw in zip(nodes, raws, strict=True)
        ]
        jobs = _tree(nodes, ready)
        with queue.redis_errors():
            added = await add_flow(queue.client(), jobs, await server_ms(queue.client()))
        if not added:
            existing = await queue.get(jobs[0].id)
            if existing is None:
                raise FlowConflict(f"Job {jobs[0].id!r} ended just now. Add the flow again.")
            existing.existed = True
            return existing
        for node, job, raw in zip(nodes, jobs, raws, strict=True):
            node.job = Job(node.queue, job.id, node.name, raw)
        return cast("Job", self.job)

    def __repr__(self) -> str:
        return f"Flow({self.queue.name!r}, {self.name!r}, {len(self.children)} children)"


def _walk(root: Flow) -> Iterator[Flow]:
    """All nodes, each parent before its children. Raises InvalidOptions for a knot or too many."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            raise InvalidOptions(f"The node {node.name!r} is twice in the flow. Make a Flow for each job.")
        seen.add(id(node))
        if len(seen) > MAX_FLOW_JOBS:
            raise InvalidOptions(
                f"A flow has at most {MAX_FLOW_JOBS:,} jobs. Let the parent add further ones: job.add_child."
            )
        yield node
        waiting.extend(reversed(node.children))


def _tree(nodes: Sequence[Flow], ready: Sequence[NewJobs]) -> list[FlowJob]:
    made: list[FlowJob] = []
    parents: dict[int, Parent] = {}
    taken: set[str] = set()
    for node, new in zip(nodes, ready, strict=True):
        job_id = new.id or str(uuid.uuid4())
        keys = node.queue.keys()
        if keys.job(job_id) in taken:
            raise InvalidOptions(f"Two nodes of the flow have the `job_id` {job_id!r} in one queue.")
        taken.add(keys.job(job_id))
        job = FlowJob.of(new, keys, job_id, parents.get(id(node)), is_parent=bool(node.children))
        made.append(job)
        for child in node.children:
            parents[id(child)] = Parent(keys, job_id, child.on_failure)
    return made


def check_same_server(one: Queue, other: Queue) -> None:
    """Raise ConfigurationError for queues that no MULTI can hold."""
    if one.client() is not other.client():  # a process has one for each server
        raise ConfigurationError(
            f"Queues {one.name!r} and {other.name!r} are on different servers (or their redis_url differ). "
            "A flow needs one."
        )
    if one.keys().prefix != other.keys().prefix:
        raise ConfigurationError(
            f"Queues {one.name!r} and {other.name!r} have different prefixes. A flow needs one."
        )
