"""What flows decide without Redis: keys, faults, conflicts, the shape of a tree."""

from __future__ import annotations

import pytest

from corral import Flow, OnFailure, Queue
from corral.bullmq.flow_add import Existing, FlowJob, Parent, conflict
from corral.bullmq.keys import QueueKeys, split_job_key
from corral.errors import ConfigurationError, InvalidOptions
from corral.family import ChildCounts, ChildKey, StuckReason, fault_of

KEYS = QueueKeys("bull", "pages")
URL = "redis://127.0.0.1:1"  # nobody listens: what is refused here is refused before any round trip


def node(*, is_parent: bool = False) -> FlowJob:
    parent = Parent(QueueKeys("bull", "reports"), "r1", OnFailure.FAIL_PARENT)
    return FlowJob(KEYS, "p1", "render", "{}", "{}", 0, 0, True, parent, is_parent)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("bull:pages:7", ("pages", "7")),
        ("bull:pages:repeat:daily:170", ("pages", "repeat:daily:170")),
        ("other:pages:7", ("pages", "7")),
        ("{bull}:pages:7", ("pages", "7")),
        ("nonsense", ("", "nonsense")),
    ],
)
def test_a_jobs_key_names_its_queue_and_id(key: str, expected: tuple[str, str]) -> None:
    assert split_job_key("bull", key) == expected


def test_a_prefix_with_a_colon_is_no_queue() -> None:
    assert split_job_key("app:jobs", "app:jobs:pages:a:b:c") == ("pages", "a:b:c")


def test_a_child_key_is_a_plain_pair() -> None:
    values: dict[tuple[str, str], int] = {ChildKey("pages", "7"): 1}
    assert values["pages", "7"] == 1


@pytest.mark.parametrize(
    ("exists", "belongs", "failed", "completed", "expected"),
    [
        (True, True, False, False, None),
        (False, False, False, False, StuckReason.CHILD_GONE),
        (True, True, True, False, StuckReason.CHILD_FAILED),
        (True, True, False, True, StuckReason.CHILD_NOT_COUNTED),
        (True, False, False, False, StuckReason.CHILD_LEFT),
        (True, False, True, False, StuckReason.CHILD_FAILED),
    ],
)
def test_what_is_wrong_with_a_pending_child(
    exists: bool, belongs: bool, failed: bool, completed: bool, expected: StuckReason | None
) -> None:
    found = fault_of(exists=exists, belongs=belongs, has_failed=failed, has_completed=completed)
    assert found is expected


@pytest.mark.parametrize(
    "existing",
    [
        Existing(exists=False),
        Existing(exists=True),
        Existing(exists=True, parent_key="bull:reports:r1"),
        Existing(exists=True, orphan=True),
    ],
)
def test_a_leaf_that_is_free_or_fits(existing: Existing) -> None:
    assert conflict(node(), existing) is None


@pytest.mark.parametrize(
    ("job", "existing", "word"),
    [
        (node(), Existing(exists=True, failed=True), "failed for good"),
        (node(), Existing(exists=True, parent_key="bull:reports:other"), "child of another"),
        (node(is_parent=True), Existing(exists=True), "other children"),
    ],
)
def test_a_node_that_cannot_become_part_of_the_tree(job: FlowJob, existing: Existing, word: str) -> None:
    reason = conflict(job, existing)
    assert reason is not None
    assert word in reason
    assert "'p1'" in reason


def test_counts_add_up() -> None:
    assert ChildCounts(1, 2, 3, 4).total == 10


@pytest.fixture
def pages() -> Queue:
    queue = Queue("pages", redis_url=URL)

    @queue.job("render")
    async def render(job: object, data: int) -> int:
        return data

    return queue


@pytest.fixture
def reports() -> Queue:
    return Queue("reports", redis_url=URL)


async def test_queues_of_two_servers_make_no_flow(reports: Queue) -> None:
    far = Queue("pages", redis_url="redis://127.0.0.1:2")
    with pytest.raises(ConfigurationError, match="different servers"):
        await Flow(reports, "build", children=[Flow(far, "render")]).add()


async def test_queues_of_two_prefixes_make_no_flow(reports: Queue) -> None:
    far = Queue("pages", redis_url=URL, prefix="other")
    with pytest.raises(ConfigurationError, match="different prefixes"):
        await Flow(reports, "build", children=[Flow(far, "render")]).add()


async def test_an_option_without_meaning_in_a_flow(reports: Queue) -> None:
    with pytest.raises(InvalidOptions, match="job_id"):
        await Flow(reports, "build", idempotency_key="k").add()  # type: ignore[call-arg]  # the slip under test


async def test_a_root_has_no_policy(reports: Queue) -> None:
    with pytest.raises(InvalidOptions, match="no parent"):
        await Flow(reports, "build", on_failure=OnFailure.IGNORE).add()


async def test_a_node_is_in_a_flow_once(reports: Queue, pages: Queue) -> None:
    leaf = Flow(pages, "render", 1)
    with pytest.raises(InvalidOptions, match="twice"):
        await Flow(reports, "build", children=[leaf, leaf]).add()


async def test_a_flow_has_bounds(reports: Queue, pages: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corral.flow.MAX_FLOW_JOBS", 3)
    with pytest.raises(InvalidOptions, match="add_child"):
        await Flow(reports, "build", children=[Flow(pages, "render", n) for n in range(3)]).add()


def test_an_unknown_policy_is_refused(reports: Queue) -> None:
    with pytest.raises(ValueError, match="explode"):
        Flow(reports, "build", on_failure="explode")  # type: ignore[arg-type]  # the slip under test
