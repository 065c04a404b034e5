"""Times counted in fixed logarithmic buckets: small, mergeable by addition, quantiles within 3 %. Pure.

Counts are a mapping from bucket to number, so that only buckets with something in them cost anything. The
same time falls into the same bucket in every process and for ever: what is kept in Redis knows buckets by
their numbers alone, so that other bounds would make it unreadable.

Exact to (GROWTH - 1) / (GROWTH + 1), 2.92 %, between SMALLEST and LARGEST seconds; what is outside counts as
the nearer of the two.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate

#: Seconds: 10 µs, less than any handler takes, and 30 days.
SMALLEST, LARGEST = 1e-5, 30 * 86_400.0

#: Each bucket reaches so much further than the one before.
GROWTH = 1.06

_PER_LOG = 1 / math.log(GROWTH)

#: The first bucket holds all up to SMALLEST, the last all above its lower bound.
LAST = math.ceil(math.log(LARGEST / SMALLEST) * _PER_LOG)

Counts = Mapping[int, int]


def index(seconds: float) -> int:
    """The bucket of a time; negative ones (a clock that was set) are in the first."""
    if seconds <= SMALLEST:
        return 0
    if seconds >= LARGEST:
        return LAST
    return math.ceil(math.log(seconds / SMALLEST) * _PER_LOG)


def bounds(bucket: int) -> tuple[float, float]:
    """Seconds: above the first, up to the second."""
    if bucket <= 0:
        return 0.0, SMALLEST
    return SMALLEST * GROWTH ** (bucket - 1), SMALLEST * GROWTH**bucket


@lru_cache(maxsize=LAST + 1)
def middle(bucket: int) -> float:
    """What stands for a bucket: as far, in proportion, from its lower bound as from its upper one."""
    low, high = bounds(bucket)
    return 2 * low * high / (low + high) if low else high


def quantile(counts: Counts, share: float) -> float | None:
    """Seconds that `share` (0 to 1) of the times did not exceed; None: nothing was counted."""
    return quantiles(counts, share)[0]


def quantiles(counts: Counts, *shares: float) -> list[float | None]:
    """The same for several."""
    ascending = sorted(counts)
    return quantiles_in_order(ascending, map(counts.__getitem__, ascending), *shares)


def quantiles_in_order(
    ascending: Sequence[int], numbers: Iterable[int], *shares: float
) -> list[float | None]:
    """The same of buckets in ascending order and the number in each, for who has them so already."""
    upto = list(accumulate(numbers))
    if not upto or upto[-1] <= 0:
        return [None] * len(shares)
    ranks = [max(1, math.ceil(share * upto[-1])) for share in shares]
    return [middle(ascending[bisect_left(upto, rank)]) for rank in ranks]


def merge(*many: Counts) -> dict[int, int]:
    """As if all had been counted together."""
    merged: dict[int, int] = {}
    for counts in many:
        for bucket, number in counts.items():
            merged[bucket] = merged.get(bucket, 0) + number
    return merged


def since(now: Counts, before: Counts) -> dict[int, int]:
    """What was added to counts that only grow."""
    return {bucket: number - before.get(bucket, 0) for bucket, number in now.items()
            if number != before.get(bucket, 0)}  # fmt: skip
