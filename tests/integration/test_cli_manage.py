"""`corral jobs list|search|retry|promote|remove` and `corral queues …`, as somebody types them."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from corral import JobContext, Queue, Retry, Worker
from corral.bullmq.connection import close_shared_clients
from corral.cli import main


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Corral = Callable[..., Done]


@pytest.fixture
def corral(redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Corral:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))

    def run(*arguments: str) -> Done:
        capsys.readouterr()  # what the worker of a fixture logged
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        code = ended.value.code
        assert isinstance(code, int)
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def failed(redis_url: str, corral: Corral) -> dict[str, str]:
    """Jobs of the queue `orders`: two that failed, one delayed and one that waits."""
    queue = Queue("orders", redis_url=redis_url, retry=Retry(attempts=1))

    @queue.job("ship")
    async def ship(job: JobContext, data: dict[str, Any]) -> None:
        raise ValueError(f"No [red]stock[/red] of {data['sku']}")

    async def run() -> dict[str, str]:
        try:
            jobs = [await queue.add("ship", {"sku": sku}) for sku in ("A1", "B2")]
            await Worker(queue).run(until_empty=True)
            later = await queue.add("ship", {"sku": "C3"}, delay=3600, priority=4)
            waits = await queue.add("ship", {"sku": "D4"})
            return {"a": jobs[0].id, "b": jobs[1].id, "later": later.id, "waits": waits.id}
        finally:
            await queue.close()
            await close_shared_clients()

    return asyncio.run(run())


def status(corral: Corral, job_id: str) -> str:
    return str(corral("jobs", "status", job_id, "--queue", "orders", "--json").json["status"])


def test_jobs_are_listed_and_found(corral: Corral, failed: dict[str, str]) -> None:
    listed = corral("jobs", "list", "orders", "failed", "--json").json
    assert {row["id"] for row in listed} == {failed["a"], failed["b"]}
    assert listed[0]["failedReason"].startswith("No [red]stock")
    shown = corral("jobs", "list", "orders", "failed", "--count", "1")
    assert "[red]stock[/red]" in shown.out  # as it is, not as markup

    found = corral("jobs", "search", "orders", "--where", "sku=B2", "--error", "STOCK", "--json").json
    assert [job["id"] for job in found["jobs"]] == [failed["b"]]
    assert (found["searched"], found["total"], found["complete"]) == (4, 4, True)
    none = corral("jobs", "search", "orders", "--state", "delayed", "--where", "sku=B2", "--within", "60")
    assert "Searched 1 of 1 jobs, found 0." in none.err


def test_failed_jobs_are_retried_one_by_one_or_all(corral: Corral, failed: dict[str, str]) -> None:
    done = corral("jobs", "retry", failed["a"], failed["waits"], "--queue", "orders", "--json")
    assert done.code == 1
    assert done.json["retried"] == [failed["a"]]
    assert "has not finished" in done.json["refused"][failed["waits"]]
    assert status(corral, failed["a"]) == "waiting"
    done = corral("jobs", "retry", "--all", "--queue", "orders", "--name", "ship")
    assert (done.code, done.out) == (0, "orders: 1 jobs retried.\n")
    assert status(corral, failed["b"]) == "waiting"


def test_delayed_jobs_are_promoted(corral: Corral, failed: dict[str, str]) -> None:
    done = corral("jobs", "promote", failed["later"], "--queue", "orders")
    assert (done.code, done.out) == (0, f"{failed['later']}: promoted.\n")
    assert status(corral, failed["later"]) == "waiting"
    assert corral("jobs", "promote", "--all", "--queue", "orders", "--json").json == {
        "queue": "orders", "promoted": 0,
    }  # fmt: skip


def test_jobs_are_removed(corral: Corral, failed: dict[str, str]) -> None:
    assert corral("jobs", "remove", failed["waits"], "--queue", "orders").code == 0
    again = corral("jobs", "remove", failed["waits"], "--queue", "orders")
    assert again.code == 1
    assert failed["waits"] in again.err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("jobs", "retry"), "ids of jobs"),
        (("jobs", "retry", "1", "--all", "--queue", "orders"), "ids of jobs"),
        (("jobs", "promote", "--all"), "--all with --queue"),
        (("jobs", "search", "orders", "--where", "sku"), "path=value"),
        (("jobs", "list", "orders", "gone"), "gone"),
        (("jobs", "retry", "nope"), "no job nope"),
        (("queues", "drain", "orders"), "--yes"),
        (("queues", "clean", "orders", "failed"), "--yes"),
        (("queues", "obliterate", "orders"), "--yes"),
    ],
)
def test_wrong_use_changes_nothing_and_says_what_to_do(
    corral: Corral, failed: dict[str, str], arguments: tuple[str, ...], text: str
) -> None:
    before = corral("queues", "list", "--json").json
    done = corral(*arguments)
    assert done.code == 1
    assert text in done.err
    assert corral("queues", "list", "--json").json == before


def test_a_job_added_to_a_queue_unknown_here_obeys_the_policy_of_its_worker(
    redis_url: str, corral: Corral
) -> None:
    ids = [
        corral("jobs", "add", "reports", "build", "1", *own, "--json").json["id"]
        for own in ((), ("--attempts", "1"))
    ]
    queue = Queue("reports", redis_url=redis_url, retry=Retry(attempts=2, delay=0))

    @queue.job("build")
    async def build(job: JobContext, data: int) -> None:
        raise ValueError(f"No report {data}")

    async def run() -> list[int]:
        try:
            await Worker(queue).run(until_empty=True)
            found = [await queue.get(job_id) for job_id in ids]
            return [job.attempts_made for job in found if job]
        finally:
            await close_shared_clients()

    assert asyncio.run(run()) == [2, 1]


def test_queues_are_found_and_counted(corral: Corral, failed: dict[str, str]) -> None:
    corral("jobs", "add", "other", "x", "1")
    corral("queues", "pause", "other")
    rows = corral("queues", "--json").json
    assert [(row["queue"], row["paused"], row["counts"]["failed"]) for row in rows] == [
        ("orders", False, 2), ("other", True, 0),
    ]  # fmt: skip
    shown = corral("queues", "other").out
    assert "other" in shown
    assert "paused" in shown
    assert "orders" not in shown


def test_a_queue_is_paused_and_resumed(corral: Corral) -> None:
    assert corral("queues", "pause", "orders", "--json").json == {"queue": "orders", "paused": True}
    assert corral("queues", "list", "orders", "--json").json[0]["paused"] is True
    assert corral("queues", "resume", "orders").out == "orders: resumed.\n"
    assert corral("queues", "list", "orders", "--json").json[0]["paused"] is False


def test_a_queue_is_drained_cleaned_and_obliterated(corral: Corral, failed: dict[str, str]) -> None:
    assert corral("queues", "drain", "orders", "--yes", "--json").json["removed"] == 1
    assert corral("queues", "drain", "orders", "--delayed", "--yes").out == "orders: 1 jobs removed.\n"
    old = corral("queues", "clean", "orders", "failed", "--older-than", "3600", "--yes", "--json")
    assert old.json["removed"] == 0
    limited = corral("queues", "clean", "orders", "failed", "--limit", "1", "--yes", "--json")
    assert limited.json["removed"] == 1
    assert corral("queues", "obliterate", "orders", "--yes").out == "orders: obliterated.\n"
    assert corral("queues", "--json").json == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "code"), [("orders\n", 0), ("order\n", 1), ("", 1)])
def test_whoever_destroys_types_the_name(
    corral: Corral, failed: dict[str, str], monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    done = corral("queues", "obliterate", "orders")
    assert done.code == code
    assert "Type its name" in done.err
    assert bool(corral("queues", "--json").json) is (code == 1)
