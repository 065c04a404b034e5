"""The options that a job of a flow may have. No I/O."""

from __future__ import annotations

from corral.adding import AddOptions, ManyOptions
from corral.errors import InvalidOptions

#: Options that the official add scripts carry. What needs a script of ours has no place in a flow.
_CARRIED = frozenset(
    (
        "at", "delay", "job_id", "keep_logs", "lifo", "max_data_bytes", "priority", "remove_on_complete",
        "remove_on_fail", "retry", "timeout", "ttl", "webhook",
    )
)  # fmt: skip


class FlowOptions(ManyOptions, total=False):
    """Options of a node: those of `Queue.add` but for `idempotency_key`, whose part a `job_id` plays here."""

    #: A leaf of this id that exists already becomes the child; a root that exists is returned as it is.
    job_id: str | None


def check_node(options: FlowOptions) -> None:
    """Raise InvalidOptions for an option of `Queue.add` that a job of a flow cannot have."""
    for name in options:
        if name in AddOptions.__optional_keys__ and name not in _CARRIED:
            raise InvalidOptions(
                f"A job of a flow takes no {name!r}. Against adding twice, give it a `job_id` of your own."
            )
