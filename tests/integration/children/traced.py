"""A queue whose job runs in a process of its own, for the worker process of a test that collects spans."""

from __future__ import annotations

from typing import Any

from corral import Queue

queue = Queue("traced")


@queue.job("build", isolation="process")
def build(job: Any) -> str:
    return "built"
