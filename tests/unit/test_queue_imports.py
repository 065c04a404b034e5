"""What `from corral import Queue` imports: a set of names, since a time would belong to a machine.

A module that is new here makes every program start later. Import it where it is asked for (decision 7), or
add it to the list if adding a job needs it.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

OURS = {
    "corral", "corral.adding", "corral.bullmq", "corral.bullmq.cancel", "corral.bullmq.clock",
    "corral.bullmq.codec", "corral.bullmq.grouping", "corral.bullmq.hooking", "corral.bullmq.keys",
    "corral.bullmq.producer", "corral.bullmq.redis_errors", "corral.bullmq.scripts", "corral.connected",
    "corral.data", "corral.dedup", "corral.definition", "corral.environment", "corral.errors",
    "corral.extras", "corral.groups", "corral.hook_settings", "corral.hooks", "corral.job", "corral.limits",
    "corral.policy", "corral.queue", "corral.relations", "corral.resources", "corral.sealing",
    "corral.surroundings", "corral.tracing",
}  # fmt: skip

#: Packages that are not Python's own; opentelemetry's API finds its plug-ins by `importlib_metadata`.
THEIRS = {"msgspec", "opentelemetry", "typing_extensions", "importlib_metadata", "zipp"}

DECLARING = """
import sys

import pytest
before = set(sys.modules)
from corral import Queue
queue = Queue("orders")
@queue.job("ship")
async def ship(job, data: dict[str, int]) -> int: ...
"""
TELLING = "import json; print(json.dumps(sorted(set(sys.modules) - before)))"


def imported(program: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\n{TELLING}"], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_declaring_a_queue_imports_what_it_needs_and_no_client() -> None:
    modules = imported(DECLARING)
    assert {name for name in modules if name.partition(".")[0] == "corral"} <= OURS
    packages = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names - {"corral"}
    assert {name for name in packages if not name.startswith("_")} <= THEIRS


def test_the_errors_of_the_client_are_its_own() -> None:
    program = """
import sys

import pytest
before = set(sys.modules)
from corral.bullmq import redis_errors
assert "redis" not in sys.modules
from redis import exceptions
assert all(getattr(redis_errors, name) is getattr(exceptions, name) for name in redis_errors.__all__)
"""
    assert "redis.exceptions" in imported(program)


#: What a process starts with, and packages that are dear and for a later moment, or for few.
#: redis-py looks whether there is `cryptography`, which costs nothing before `hazmat`.
STARTS = {
    "corral.cli": {"redis", "pydantic", "httpx2", "httpcore2", "jwt", "cryptography.hazmat"},
    "corral.cli.jobs_manage": {"httpx2", "httpcore2", "jwt", "cryptography.hazmat"},
    "corral.cli.dead_operations": {"httpx2", "httpcore2", "jwt", "cryptography.hazmat"},
    "corral.cli.worker": {"httpx2", "httpcore2", "jwt", "cryptography.hazmat"},
    "corral.worker.process": {"httpx2", "httpcore2", "jwt", "cryptography.hazmat"},
    "corral.cli.api": {"httpcore2", "jwt", "cryptography.hazmat"},
    "corral.cli.dashboard": {"httpcore2", "jwt", "cryptography.hazmat"},
}


@pytest.mark.parametrize("start", STARTS)
def test_a_process_starts_without_what_comes_later(start: str) -> None:
    modules = imported(f"import sys; before = set(sys.modules); import {start}")
    assert start in modules
    assert modules & STARTS[start] == set()
