"""Batches: one call of a handler for many jobs, each of which keeps its own lock, attempt and end.

`Batch` says how jobs are collected; `BatchJob` is what the handler gets for each of them. A job that fails
does not touch the others: the handler calls `job.fail(error)`, or returns the error in the job's place.
"""

from __future__ import annotations

import asyncio
import collections.abc
import functools
import math
import operator
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, Union

from corral.context import JobContext, ThreadJobContext
from corral.errors import ConfigurationError, InvalidInput, InvalidOptions

#: Each job of a batch holds a slot; above this, jobs are better made bigger.
MAX_BATCH_SIZE = 10_000

_SEQUENCES = (list, collections.abc.Sequence)


@dataclass(frozen=True, slots=True)
class Batch:
    """Jobs of one name are collected: up to `size`, or until `linger` seconds after the first."""

    size: int = 100
    linger: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.size <= MAX_BATCH_SIZE:
            raise InvalidOptions(f"Batch(size={self.size}): choose 1 to {MAX_BATCH_SIZE} jobs.")
        if not 0 <= self.linger < math.inf:
            raise InvalidOptions(f"Batch(linger={self.linger}): seconds, 0 or more.")


class BatchJob(JobContext):
    """A job of a batch. `deadline` is that of the whole batch: the earliest of its jobs'."""

    __slots__ = ("_fail",)

    def __init__(self, context: JobContext, fail: Callable[[BaseException], None]) -> None:
        for name in JobContext.__slots__:
            setattr(self, name, getattr(context, name))
        self._fail = fail

    def fail(self, error: BaseException) -> None:
        """This job failed with `error`, as if its handler had raised it; the others go on. No round trip.

        `Unrecoverable`, `RetryAfter` and `Snooze` mean what they always do. What is returned for the job
        does not count any more, nor a second error.
        """
        self._fail(_checked(error))

    async def wait_for(self, signal: str, timeout: float) -> NoReturn:  # noqa: ARG002, ASYNC109  # JobContext's signature
        """Raises InvalidInput: a batch cannot sleep until a signal comes for one of its jobs."""
        raise InvalidInput(NO_WAITING)


class ThreadBatchJob(ThreadJobContext):
    """`BatchJob` for a handler in a thread."""

    def __init__(self, job: BatchJob, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(job, loop)
        self._fail = job._fail  # noqa: SLF001  # the same, seen from a thread

    def fail(self, error: BaseException) -> None:
        self._loop.call_soon_threadsafe(self._fail, _checked(error))


NO_WAITING = "A job of a batch cannot wait for a signal. Use a queue without a batch, or fail it with Snooze."


def _checked(error: Any) -> BaseException:
    if not isinstance(error, BaseException):
        raise InvalidInput(f"fail() takes an exception, not a {type(error).__name__}.")
    return error


def item_type(title: str, annotation: Any) -> Any:
    """The type of one job's data, from the annotation of all: `list[Track]`."""
    if annotation is Any:
        return Any
    if annotation in _SEQUENCES:
        return Any
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) not in _SEQUENCES or len(arguments) != 1:
        raise ConfigurationError(
            f"{title} gets the data of a whole batch: annotate it as list[DataType], not {annotation}."
        )
    return arguments[0]


def result_item_type(title: str, annotation: Any) -> Any:
    """The type of one job's result, from `list[R] | None`. Errors among the R are no results."""
    sides = [side for side in _sides(annotation) if side is not type(None)]
    if not sides:
        return type(None)
    if len(sides) > 1:
        raise ConfigurationError(f"{title} returns a list with a place for each job, or None.")
    results = [side for side in _sides(item_type(title, sides[0])) if not _is_error(side)]
    return functools.reduce(operator.or_, results) if results else Any


def _sides(annotation: Any) -> tuple[Any, ...]:
    is_union = typing.get_origin(annotation) in (Union, types.UnionType)
    return typing.get_args(annotation) if is_union else (annotation,)


def _is_error(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseException)
