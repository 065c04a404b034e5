"""How pytest-xdist deals the tests to its processes: what takes long first, and in small parts.

A file's tests stay together, for their fixtures. Long files are dealt in parts where little is shared, so
that no process is left with all of it while the others have nothing more to do.
"""

from __future__ import annotations

from collections import Counter

import pytest
from xdist.scheduler import LoadFileScheduling

#: Long files of which only tests with the same parameter (a page, a Python) share what is dear to make.
BY_PARAMETER = (
    "tests/package/test_package.py",
    "tests/docs/test_examples.py",
    "tests/acceptance/test_bench_smoke.py",
)

#: Seconds of what takes much longer than tests of its folder do (`A_TEST`), measured with others beside it by
#: `--junit-xml`, added up by file. What is missing costs time at the end, when those that are done wait for
#: the last one.
SECONDS = {
    "tests/acceptance/test_held_gil.py": 130,
    "tests/acceptance/test_bench_smoke.py[names1-1]": 100,
    "tests/package/test_image_steps.py": 85,
    "tests/acceptance/test_lost_workers.py": 85,
    "tests/integration/test_manage_live.py": 80,
    "tests/integration/test_dashboard_attacks.py": 75,
    "tests/acceptance/test_scaling.py": 75,
    "tests/integration/test_failures_of_servers.py": 75,
    "tests/integration/test_kyc_webhooks.py": 70,
    "tests/acceptance/test_soak.py": 70,
    "tests/acceptance/test_analytics.py": 70,
    "tests/integration/test_depth_history.py": 65,
    "tests/package/test_package.py[": 65,
    "tests/acceptance/test_dead_letters.py": 55,
    "tests/acceptance/test_bench_smoke.py[names0-2]": 50,
    "tests/integration/test_dashboard_oidc.py": 50,
    "tests/acceptance/test_images_stored.py": 45,
    "tests/interop/test_node_stalled.py": 45,
    "tests/integration/test_sentinel.py": 45,
    "tests/acceptance/test_incident.py": 45,
    "tests/integration/test_network_faults.py": 40,
    "tests/integration/test_image_pool.py": 40,
    "tests/integration/test_schedules_watchdog.py": 37,
    "tests/attacks/test_attack_stored_jobs.py": 37,
    "tests/acceptance/test_kyc_kill.py": 36,
    "tests/integration/test_manage_events.py": 36,
    "tests/integration/test_cluster.py": 35,
    "tests/docs/test_examples.py[docs/tutorial.md]": 33,
    "tests/browser/test_browser_xss.py": 32,
    "tests/attacks/test_attack_event_streams.py": 31,
    "tests/integration/test_servers.py": 28,
    "tests/integration/test_process_ends.py": 27,
    "tests/interop/test_two_versions.py": 26,
    "tests/browser/test_browser_redis_away.py": 25,
    "tests/acceptance/test_compose_topology.py": 24,
    "tests/acceptance/test_kill.py": 24,
    "tests/integration/test_queue_machine.py": 20,
}

#: Seconds of a test of each folder, on average.
A_TEST = {
    "tests/package/": 15.0,
    "tests/browser/": 8.0,
    "tests/acceptance/": 3.0,
    "tests/examples/": 2.5,
    "tests/docs/": 1.0,
    "tests/interop/": 0.6,
    "tests/integration/": 0.5,
    "tests/attacks/": 0.25,
    "tests/unit/": 0.03,
}


def part_of(nodeid: str) -> str:
    """The tests that go to one process together, by the name of one of them."""
    file, _, test = nodeid.partition("::")
    if file not in BY_PARAMETER:
        return file
    return f"{file}[{test.partition('[')[2]}"


def seconds(part: str, tests: int) -> float:
    """How long so many tests of a part are thought to take."""
    of_one = next((one for folder, one in A_TEST.items() if part.startswith(folder)), 0.0)
    return SECONDS.get(part, tests * of_one)


def in_order(items: list[pytest.Item]) -> list[pytest.Item]:
    """The longest part first; a part's tests as they were."""
    parts = [part_of(item.nodeid) for item in items]
    tests = Counter(parts)
    placed = {part: place for place, part in enumerate(tests)}
    return [
        item
        for _, item in sorted(
            zip(parts, items, strict=True),
            key=lambda pair: (-seconds(pair[0], tests[pair[0]]), placed[pair[0]]),
        )
    ]


class Dealing(LoadFileScheduling):  # type: ignore[misc]  # xdist ships no types
    def _split_scope(self, nodeid: str) -> str:
        return part_of(nodeid)
