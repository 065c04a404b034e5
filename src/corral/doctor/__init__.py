"""The production checklist as checks: facts gathered by `gather`, judged by pure functions, one `Report`.

`examine(await gather(settings, queues))` is what `corral doctor` and GET /api/v1/doctor show. Nothing is
changed, but for a scratch key on which rights are tried, which is gone at once. docs/operate/doctor.md lists
all checks.
"""

from corral.doctor.checks import CHECKS, examine
from corral.doctor.facts import Facts
from corral.doctor.findings import Finding, Report, Status
from corral.doctor.gather import gather

__all__ = ["CHECKS", "Facts", "Finding", "Report", "Status", "examine", "gather"]
