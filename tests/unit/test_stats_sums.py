"""What a page of statistics is made of says the same as the spans that the library gives."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from corral.bullmq.statistics import COUNTED, Entry, _entry, _gaps, _numbers, _pack
from corral.observe import buckets
from corral.stats import SHARES, summed

times = st.dictionaries(st.integers(0, buckets.LAST), st.integers(1, 10**9), max_size=60)
counts = st.dictionaries(st.sampled_from(COUNTED), st.integers(1, 10**12))


@given(counts, times, times)
def test_sums_are_those_of_the_entry(
    numbers: dict[str, int], wait: dict[int, int], run: dict[int, int]
) -> None:
    text = _pack((_numbers(numbers), _gaps(wait), _gaps(run)))
    sums, entry = summed(text), _entry(text)
    assert entry == Entry(numbers, wait, run)
    assert dict(zip(COUNTED, sums.counts, strict=True)) == {name: numbers.get(name, 0) for name in COUNTED}
    assert list(sums.wait) == buckets.quantiles(wait, *SHARES)
    assert list(sums.run) == buckets.quantiles(run, *SHARES)
