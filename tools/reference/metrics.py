"""docs/reference/metrics.md: every metric that the code makes, with its labels and its own words.

What each means to an operator is in docs/operate/metrics.md, which another test holds to what is exposed.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import Metric
from tools.reference.table import MADE, cell, table

from corral.api.scraping import other_families
from corral.api.traffic import Traffic
from corral.observe.counted import BOUNDS, Counted, Present
from corral.observe.prometheus import job_families, present_families, process_families
from corral.observe.standing_metrics import standing_families

_HEAD = f"""{MADE}

# Metrics

Prometheus text, or OpenMetrics where the scraper asks for it. How to scrape, what each tells an operator, the
alerts and the Grafana board: [metrics](../operate/metrics.md). Histograms of jobs have the bounds
{", ".join(f"{bound:g}" for bound in BOUNDS)} s.
"""


def text() -> str:
    api = [
        *other_families(is_up=True, left_out=0),
        *standing_families([], {}),
        *Traffic().collect(),
    ]
    worker = [
        *job_families(Counted()),
        *present_families(Present()),
        *process_families(Counted(), processes=0, restarts=0, memory_bytes=0),
    ]
    return (
        f"{_HEAD}\n## From the API: `corral api`, `/metrics`\n\n{_table(api)}"
        f"\n## From workers: `corral worker --health-port`, `/metrics`\n\n{_table(worker)}"
    )


def _table(families: Iterable[Metric]) -> str:
    rows = [
        (
            f"`{family.name}{'_total' if family.type == 'counter' else ''}`",
            family.type,
            ", ".join(getattr(family, "_labelnames", ())),
            cell(family.documentation),
        )
        for family in families
    ]
    return table(("metric", "type", "labels", "meaning"), rows)
