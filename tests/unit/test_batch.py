"""Batches: their bounds, when one is ready, and how many slots they take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from corral import Batch, JobContext, Queue
from corral.batch import item_type, result_item_type
from corral.errors import ConfigurationError, InvalidOptions
from corral.worker.batches import check_not_mixed, ready, slots_of


@pytest.mark.parametrize("options", [{"size": 0}, {"size": 10_001}, {"linger": -1}, {"linger": math.inf}])
def test_bounds(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidOptions, match=next(iter(options))):
        Batch(**options)


@pytest.mark.parametrize(
    ("waiting", "lingered", "count"),
    [(0, False, 0), (4, False, 0), (4, True, 4), (5, False, 5), (12, False, 5), (12, True, 5), (0, True, 0)],
)
def test_a_batch_is_ready_when_it_is_full_or_has_lingered(waiting: int, lingered: bool, count: int) -> None:
    assert ready(waiting, Batch(size=5), lingered=lingered) == count


@pytest.mark.parametrize(
    ("annotation", "item"),
    [(list[int], int), (Sequence[int], int), (list, Any), (Any, Any), (list[int | None], int | None)],
)
def test_the_type_of_one_jobs_data(annotation: Any, item: Any) -> None:
    assert item_type("The handler", annotation) == item


@pytest.mark.parametrize("annotation", [int, dict[str, int], tuple[int, int]])
def test_data_of_a_batch_is_a_list(annotation: Any) -> None:
    with pytest.raises(ConfigurationError, match="list"):
        item_type("The handler", annotation)


@pytest.mark.parametrize(
    ("annotation", "item"),
    [
        (None, type(None)),
        (type(None), type(None)),
        (Any, Any),
        (list[int] | None, int),
        (list[int | str | ValueError], int | str),
        (list[int | None], int | None),
        (list[Exception], Any),
    ],
)
def test_the_type_of_one_jobs_result(annotation: Any, item: Any) -> None:
    assert result_item_type("The handler", annotation if annotation is not None else type(None)) == item


def test_a_result_is_a_list_or_nothing() -> None:
    with pytest.raises(ConfigurationError, match="list"):
        result_item_type("The handler", list[int] | list[str])


def with_batches(queue: Queue, *sizes: int) -> Queue:
    for size in sizes:

        @queue.job(f"of-{size}", batch=Batch(size=size))
        async def track(jobs: list[JobContext], data: list[int]) -> None: ...

    return queue


@pytest.mark.parametrize(
    ("concurrency", "sizes", "slots"), [(None, [500], 1_000), (3, [500], 2_000), (None, [500, 10], 1_020)]
)
def test_a_batch_can_fill_while_others_run(concurrency: int | None, sizes: list[int], slots: int) -> None:
    queue = with_batches(Queue("events", concurrency=concurrency), *sizes)
    assert slots_of(queue, concurrency=20) == slots


def test_slots_of_a_queue_without_batches() -> None:
    assert slots_of(Queue("events", concurrency=5), concurrency=20) == 5
    assert slots_of(Queue("events"), concurrency=20) == 20


def test_batches_share_their_queue_with_no_other_jobs() -> None:
    queue = with_batches(Queue("events"), 5)
    check_not_mixed(queue)

    @queue.job("flush")
    async def flush(job: JobContext) -> None: ...

    with pytest.raises(ConfigurationError, match=r"'events'.*flush"):
        check_not_mixed(queue)
