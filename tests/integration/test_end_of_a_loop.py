"""A loop that ends closes the connections that queues opened in it, though nobody said so."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, gc, sys
from corral import Queue

async def main():
    await queue.add("build")
    assert (await queue.counts())["waiting"]
    if {waits}:
        job = await queue.get("1")
        try:
            await job.result(timeout=0.01)
        except TimeoutError:
            pass

queue = Queue("reports")
for _ in range(2):
    {run}
gc.collect()
"""


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("run", ["asyncio.run(main())", "import uvloop; uvloop.run(main())"])
def test_no_connection_is_left_behind(redis_url: str, run: str, waits: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", PROGRAM.format(run=run, waits=waits)],
        env={**os.environ, "REDIS_URL": redis_url},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
