"""The soak: numbered jobs, faults drawn from a seed, a ledger outside Redis that says what became of each.

| file | role |
|---|---|
| `plan` | which faults come when, from a seed; pure |
| `numbers` | what the job of a number does; pure |
| `ledger` | answered adds, runs, effects and faults, in SQLite files |
| `verdict`, `service` | what became of every number; gaps and recovery times; pure |
| `report`, `picture` | Markdown and SVG; pure |
| `world`, `crew`, `producers`, `watch` | the servers, the worker processes, who adds, memory |
| `faults`, `conductor` | what breaks them, and one whole run |
| `handlers`, `producer`, `producer.mjs` | what runs in those processes |

It breaks servers and networks with the tests' own tools (`tests/redis_process.py`, `server_farm.py`,
`fault_proxy.py`), so it runs from a checkout and is no part of the wheel.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

if str(ROOT / "tests") not in sys.path:
    sys.path.append(str(ROOT / "tests"))
