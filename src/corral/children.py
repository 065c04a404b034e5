"""What a handler can do with the children of its job; `JobContext` inherits it.

A handler that waits for children is left and later run again from the top. It says `add_child` again then,
so a child's id is made from what it is (parent, queue, name, data): the second time it is the same child.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast

from corral.adding import AddOptions
from corral.bullmq import families
from corral.bullmq.clock import server_ms
from corral.bullmq.consumer import Consumer
from corral.bullmq.flow_add import FlowJob, Parent, add_child
from corral.data import encode
from corral.errors import ChildFailed, ConfigurationError, LockLost
from corral.family import ChildKey, OnFailure
from corral.flow_options import FlowOptions, check_node
from corral.job import Job

if TYPE_CHECKING:
    from corral.context import JobContext
    from corral.queue import Queue

Answer = TypeVar("Answer")

#: Fields of a job that remember children whose failure leaves no other trace.
CHILD_FIELD = "corral:child:"


class WaitingForChildren(BaseException):
    """Leaves the handler to wait for children. No Exception: a handler's `except` must not keep it."""


class Children:
    """Needs of a JobContext what is declared below."""

    __slots__ = ("_same",)

    #: How often this run added a child of the same queue, name and data.
    _same: dict[bytes, int] | None

    if TYPE_CHECKING:
        _consumer: Consumer
        _token: str
        id: str
        queue: str
        enqueued_at: float

        async def _ask(self, call: Awaitable[Answer]) -> Answer: ...
        async def _store(self, field: str, value: str) -> None: ...

    async def children_values(self) -> dict[ChildKey, Any]:
        """Results of the completed children as plain JSON, by (queue, id). One round trip.

        Raises CannotDecrypt for one that cannot be opened here.
        """
        values = await self._ask(families.values(self._consumer.client, self._consumer.keys, self.id))
        sealing = self._consumer.sealing
        if sealing is None:
            return values
        return {key: sealing.value("result", key.id, value, queue=key.queue) for key, value in values.items()}

    async def ignored_failures(self) -> dict[ChildKey, str]:
        """Why children failed whose failure this job survives (CONTINUE, IGNORE). One round trip."""
        return await self._ask(families.ignored(self._consumer.client, self._consumer.keys, self.id))

    async def add_child(
        self,
        queue: Queue,
        name: str,
        data: Any = None,
        *,
        on_failure: OnFailure = OnFailure.FAIL_PARENT,
        **options: Unpack[FlowOptions],
    ) -> Job:
        """Add a child to this job while it runs; then call `wait_for_children`. Two round trips, three
        with OnFailure.REMOVE.

        Said again with the same queue, name and data, as by a handler that is run again, it is the same
        child (`existed`); said twice in one run, it is two. Data that differs from run to run (a time, a
        random number) makes a new child each time: give those a `job_id`, or keep it in a checkpoint.
        Raises what `Queue.add` raises, FlowConflict, and LockLost if another worker has the job by now.
        """
        check_node(options)
        consumer = self._consumer
        if queue.keys().prefix != consumer.keys.prefix or queue.client() is not consumer.client:
            raise ConfigurationError(
                f"Queue {queue.name!r} is on another server or prefix than queue {self.queue!r} (or their "
                "redis_url differ). A child needs the same."
            )
        raw = encode(data)
        new = await queue.prepare(name, raw, cast("AddOptions", options))
        job_id = new.id or self._child_id(queue.name, name, raw)
        child = FlowJob.of(new, queue.keys(), job_id, Parent(consumer.keys, self.id, on_failure))
        await self._ask(consumer.lock_now(self.id, self._token))
        code = await self._ask(
            families.claim(consumer.client, consumer.keys, self.id, self._token, child.key)
        )
        if code == -2:
            raise LockLost(f"Job {self.id} in {self.queue!r} is no longer held by this worker. Stop.")
        if code == 0:
            now_ms = await self._ask(server_ms(consumer.client))
            await self._ask(add_child(consumer.client, child, now_ms))
            if on_failure is OnFailure.REMOVE:
                await self._store(CHILD_FIELD + child.key, "1")
        return Job(queue, job_id, name, raw, existed=code == 1)

    async def wait_for_children(self) -> None:
        """Wait until no child is pending, without holding a slot.

        Returns at once if none is. Else the handler is left here (its job goes to `waiting-children`, no
        attempt is spent) and run again from the top when the children have finished. One round trip.
        Raises ChildFailed if a child failed that fails this job.
        """
        count, failed = await self._ask(families.pending(self._consumer.client, self._consumer.keys, self.id))
        if failed is not None:
            raise child_failed(families.child_key(self._consumer.keys.prefix, failed))
        if count:
            raise WaitingForChildren

    def _child_id(self, queue: str, name: str, raw: bytes) -> str:
        """The n-th child of this queue, name and data has the same id in every run of this job."""
        if self._same is None:
            self._same = {}
        parts = (self._consumer.keys.job(self.id), f"{self.enqueued_at:.3f}", queue, name)
        digest = hashlib.sha256("\0".join(parts).encode() + b"\0" + raw).digest()
        count = self._same[digest] = self._same.get(digest, 0) + 1
        return str(uuid.UUID(bytes=hashlib.sha256(digest + str(count).encode()).digest()[:16], version=4))


def child_failed(child: ChildKey | None = None) -> ChildFailed:
    if child is None:
        return ChildFailed()
    return ChildFailed(
        f"Child {child.id} in queue {child.queue!r} failed. Retry it, then this job; or choose another "
        "on_failure for it."
    )


class ThreadChildren:
    """`Children` for a handler in a thread: the same, blocking."""

    if TYPE_CHECKING:
        _context: JobContext

        def _run(self, call: Any) -> Any: ...

    def children_values(self) -> dict[ChildKey, Any]:
        return cast("dict[ChildKey, Any]", self._run(self._context.children_values()))

    def ignored_failures(self) -> dict[ChildKey, str]:
        return cast("dict[ChildKey, str]", self._run(self._context.ignored_failures()))

    def add_child(
        self,
        queue: Queue,
        name: str,
        data: Any = None,
        *,
        on_failure: OnFailure = OnFailure.FAIL_PARENT,
        **options: Unpack[FlowOptions],
    ) -> Job:
        call = self._context.add_child(queue, name, data, on_failure=on_failure, **options)
        return cast("Job", self._run(call))

    def wait_for_children(self) -> None:
        self._run(self._context.wait_for_children())
