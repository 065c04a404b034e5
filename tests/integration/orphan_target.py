"""What `python -m corral.worker.process orphan_target:worker` runs, for test_process_orphans."""

from __future__ import annotations

from process_jobs import busy, declare, native_loop, pid

from corral import Queue, Worker

queue = Queue("orphans")
declare(queue, busy, native_loop, pid)
worker = Worker(queue, processes=3)
