"""A process whose clock is wrong by CLOCK_WRONG_BY seconds: import this before anything else."""

from __future__ import annotations

import os
import time

_seconds = float(os.environ.get("CLOCK_WRONG_BY", "0"))
_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + _seconds
time.time_ns = lambda: _time_ns() + round(_seconds * 1e9)
