"""Splitting a batch by size, and finding what a service refuses."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.providers.errors import ProviderMisconfigured, ProviderPermanent, ProviderRetryable
from corral.sinks.event import Rejected
from corral.sinks.splitting import AT_ONCE, Limits, deliver, split

WIDE = Limits(batch=10**6, event=10**6)


@given(
    sizes=st.lists(st.integers(1, 60), max_size=60),
    batch=st.integers(10, 100),
    event=st.integers(1, 60),
    envelope=st.integers(0, 9),
)
def test_every_event_is_in_one_request_that_fits_or_is_too_large(
    sizes: list[int], batch: int, event: int, envelope: int
) -> None:
    plan = split(sizes, Limits(batch=batch, event=event, envelope=envelope))
    assert sorted([*plan.too_large, *(i for group in plan.groups for i in group)]) == list(range(len(sizes)))
    assert [i for group in plan.groups for i in group] == sorted(i for group in plan.groups for i in group)
    for group in plan.groups:
        assert group
        assert envelope + sum(sizes[i] for i in group) + len(group) - 1 <= batch
    for index in plan.too_large:
        assert sizes[index] > event or sizes[index] + envelope > batch
    for one, two in zip(plan.groups, plan.groups[1:], strict=False):  # none that the one before had room for
        assert envelope + sum(sizes[i] for i in (*one, two[0])) + len(one) > batch


class Service:
    """Takes requests without a poisoned event, and at most `takes` events at once."""

    def __init__(self, poison: set[int], takes: int = 10**6, fails_after: int = 10**6) -> None:
        self.poison, self.takes, self.fails_after = poison, takes, fails_after
        self.stored: list[int] = []
        self.requests = 0

    async def send(self, indexes: Sequence[int]) -> None:
        self.requests += 1
        if self.requests > self.fails_after:
            raise ProviderRetryable("service", "too many requests", after=7)
        if len(indexes) > self.takes or self.poison & set(indexes):
            raise ProviderPermanent("service", "no")
        self.stored += indexes


def indexes(rejected: Sequence[Rejected], kind: type[Exception]) -> list[int]:
    return sorted(one.index for one in rejected if isinstance(one.error, kind))


@given(count=st.integers(1, 120), data=st.data())
async def test_bisecting_finds_exactly_the_poison(count: int, data: st.DataObject) -> None:
    poison = data.draw(st.sets(st.integers(0, count - 1)))
    service = Service(poison)
    rejected = await deliver("service", [1] * count, WIDE, service.send)
    assert indexes(rejected, ProviderPermanent) == sorted(poison)
    assert sorted(service.stored) == sorted(set(range(count)) - poison)
    assert service.requests <= 1 + 2 * len(poison) * count.bit_length()


async def test_a_request_that_is_too_large_is_halved() -> None:
    service = Service(set(), takes=100)
    assert await deliver("service", [1] * 500, WIDE, service.send) == []
    assert service.stored == list(range(500))


async def test_an_event_over_the_limit_is_refused_at_once_with_both_numbers() -> None:
    service = Service(set())
    rejected = await deliver("service", [5, 2_000, 5], Limits(batch=5_000, event=1_000), service.send)
    assert (service.stored, service.requests) == ([0, 2], 1)
    assert [one.index for one in rejected] == [1]
    assert isinstance(rejected[0].error, ProviderPermanent)
    assert "2,000 bytes; service takes 1,000" in str(rejected[0].error)


async def test_after_a_passing_error_what_is_stored_stays_and_the_rest_is_tried_again_later() -> None:
    service = Service({0}, fails_after=4)  # 0-7; 0-3 and 4-7; 0-1; then no more
    rejected = await deliver("service", [1] * 8, WIDE, service.send)
    assert service.stored == [4, 5, 6, 7]
    assert indexes(rejected, ProviderPermanent) == []  # which of the others is bad was not found yet
    assert indexes(rejected, ProviderRetryable) == [0, 1, 2, 3]
    assert service.requests == 5  # and it is left alone then


async def test_what_was_found_bad_before_a_passing_error_is_final() -> None:
    service = Service(set(range(8)), fails_after=11)  # 8; 2 times 4; 4 times 2; the first 4 alone
    rejected = await deliver("service", [1] * 8, WIDE, service.send)
    assert indexes(rejected, ProviderPermanent) == [0, 1, 2, 3]
    assert indexes(rejected, ProviderRetryable) == [4, 5, 6, 7]


async def test_a_wrong_key_is_the_error_of_all_without_asking_for_each() -> None:
    calls = 0

    async def send(_: Sequence[int]) -> None:
        nonlocal calls
        calls += 1
        raise ProviderMisconfigured("service", "no key")

    rejected = await deliver("service", [6] * 40, Limits(batch=10, event=10), send)
    assert indexes(rejected, ProviderMisconfigured) == list(range(40))
    assert calls == AT_ONCE


@pytest.mark.parametrize("sizes", [[], [11]])
async def test_nothing_to_send_sends_nothing(sizes: list[int]) -> None:
    service = Service(set())
    await deliver("service", sizes, Limits(batch=10, event=10), service.send)
    assert service.requests == 0
