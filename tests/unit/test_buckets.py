"""Logarithmic buckets: what they promise about quantiles and merging."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.observe import buckets

#: Seconds within the exact range.
times = st.floats(buckets.SMALLEST, buckets.LARGEST)
shares = st.floats(0.01, 1.0)


def counted(values: list[float]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for value in values:
        counts[buckets.index(value)] = counts.get(buckets.index(value), 0) + 1
    return counts


@given(st.lists(times, min_size=1), shares)
def test_a_quantile_is_within_three_per_cent_of_the_true_one(values: list[float], share: float) -> None:
    true = sorted(values)[max(1, math.ceil(share * len(values))) - 1]
    assert buckets.quantile(counted(values), share) == pytest.approx(true, rel=0.03)


@given(st.lists(times, min_size=1), st.lists(shares, min_size=1).map(sorted))
def test_several_quantiles_are_each_the_same_as_alone(values: list[float], several: list[float]) -> None:
    counts = counted(values)
    assert buckets.quantiles(counts, *several) == [buckets.quantile(counts, share) for share in several]


@given(st.lists(times), st.lists(times), st.lists(times))
def test_merging_is_counting_together(a: list[float], b: list[float], c: list[float]) -> None:
    assert buckets.merge(counted(a), counted(b), counted(c)) == counted(a + b + c)


@given(st.lists(times), st.lists(times))
def test_what_was_added_is_the_difference(before: list[float], added: list[float]) -> None:
    assert buckets.since(counted(before + added), counted(before)) == counted(added)


@given(st.floats(allow_nan=False))
def test_every_time_has_a_bucket_in_range(seconds: float) -> None:
    assert 0 <= buckets.index(seconds) <= buckets.LAST


@given(st.integers(1, buckets.LAST))
def test_a_bucket_holds_what_is_between_its_bounds(bucket: int) -> None:
    low, high = buckets.bounds(bucket)
    assert low < buckets.middle(bucket) < high
    assert buckets.index(buckets.middle(bucket)) == bucket


def test_nothing_has_no_quantile() -> None:
    assert buckets.quantile({}, 0.5) is None


def test_the_range_is_ten_microseconds_to_thirty_days() -> None:
    assert buckets.index(0.00001) == buckets.index(-1) == 0
    assert buckets.index(30 * 86_400) == buckets.index(1e9) == buckets.LAST
    assert buckets.LAST < 500
