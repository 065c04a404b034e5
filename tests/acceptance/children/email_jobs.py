"""The queue `email` as it is, with a limit and waits that a test has the time for."""

from __future__ import annotations

from corral import RateLimit, Retry
from corral.queues.email import queue

queue.rate_limit = RateLimit(4, per=1)
queue.retry = Retry(attempts=3, backoff="fixed", delay=0.1)
