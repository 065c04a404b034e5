"""The example of docs/engine/running.md runs as it stands."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "engine" / "running.md"


async def test_the_example_runs(redis_url: str) -> None:
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", found[1],
        env={**os.environ, "REDIS_URL": redis_url},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0
    assert b"ready with 0 rows" in output
    assert b"build took" in output
