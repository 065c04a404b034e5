"""The test of the tests: what it finds in an expression."""

from __future__ import annotations

import pytest

from promql import labels_of, metrics_of


@pytest.mark.parametrize(
    ("expression", "metrics", "labels"),
    [
        ("up == 0", {"up"}, set()),
        ('sum by (a) (rate(jobs_total{b=~"c|d", queue!="x"}[5m]))', {"jobs_total"}, {"a", "b", "queue"}),
        ("corral:a:rate5m > 0.05 and on (queue) max(b) == 1", {"corral:a:rate5m", "b"}, {"queue"}),
        ("histogram_quantile(0.95, sum by (le) (rate(d_bucket[$__rate_interval])))", {"d_bucket"}, {"le"}),
        ("a / on (x) group_left (y) b offset 5m", {"a", "b"}, {"x", "y"}),
        ('a{text="sum(not_a_metric{z=1})"} unless b', {"a", "b"}, {"text"}),
        ("sum(a) by (queue) > 1e3", {"a"}, {"queue"}),
        ("absent(up{job='corral-api'})", {"up"}, {"job"}),
        ("label_values(bullmq_queue_waiting, queue)", {"bullmq_queue_waiting", "queue"}, set()),
    ],
)  # fmt: skip
def test_names_in_an_expression(expression: str, metrics: set[str], labels: set[str]) -> None:
    assert metrics_of(expression) == metrics
    assert labels_of(expression) == labels
