"""`corral dead …`, as somebody types it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from dead_letters import declare, fail

from corral import Queue, Retry, audit
from corral.breakers import Breakers
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
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))

    def run(*arguments: str) -> Done:
        capsys.readouterr()  # what the worker of a fixture logged
        with pytest.raises(SystemExit) as ended:
            main(["dead", *arguments])
        code = ended.value.code
        assert isinstance(code, int)
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def ids(redis_url: str, corral: Corral) -> list[str]:
    """Five parcels that failed, four of one kind."""
    queue = declare(Queue("parcels", redis_url=redis_url, retry=Retry(attempts=1)))

    async def run() -> list[str]:
        try:
            first = await fail(queue, *({"n": n, "card": "4111"} for n in range(4)))
            return first + await fail(queue, {"n": "[red]x", "how": "value"})
        finally:
            await queue.close()
            await close_shared_clients()

    return asyncio.run(run())


def states(redis_url: str) -> dict[str, int]:
    async def run() -> dict[str, int]:
        try:
            return await Queue("parcels", redis_url=redis_url).counts()
        finally:
            await close_shared_clients()

    return asyncio.run(run())


def actions(redis_url: str) -> list[str]:
    async def run() -> list[str]:
        queue = Queue("parcels", redis_url=redis_url)
        try:
            entries = await audit.entries(queue.client(), queue.keys().prefix)
        finally:
            await close_shared_clients()
        assert all(entry.actor.startswith("cli:") for entry in entries)
        assert "4111" not in str(entries)
        return [entry.action for entry in entries]

    return asyncio.run(run())


def test_groups_are_shown_and_what_is_said_of_them(corral: Corral, ids: list[str], redis_url: str) -> None:
    shown = corral()
    assert "OutOfStock at" in shown.out
    assert "[red]x is no number" in shown.out
    value, stock = corral("groups", "parcels", "--json").json["groups"]
    assert (stock["count"], stock["name"], value["error"]) == (4, "ship", "ValueError")
    assert corral("resolve", "parcels", stock["id"]).out.strip().endswith("resolved.")
    assert [g["id"] for g in corral("groups", "--json").json["groups"]] == [value["id"]]
    assert [g["id"] for g in corral("--state", "resolved", "--json").json["groups"]] == [stock["id"]]
    assert corral("ignore", "parcels", stock["id"], "--failures", "3", "--json").json["ignoredFailures"] == 3
    assert corral("reopen", "parcels", stock["id"], "--json").json["state"] == "open"
    assert "ordered" in corral("note", "parcels", stock["id"], "ordered").out
    assert [note["text"] for note in corral("note", "parcels", stock["id"], "--json").json] == ["ordered"]
    assert actions(redis_url) == ["dead.note", "dead.reopen", "dead.ignore", "dead.resolve"]
    missing = corral("resolve", "parcels", "nonsense")
    assert (missing.code, "corral dead groups" in missing.err) == (1, True)


def test_letters_are_listed_searched_and_shown(corral: Corral, ids: list[str]) -> None:
    assert corral("list", "parcels", "--json").json[0]["id"] == ids[4]
    assert "[red]x is no number" in corral("list", "parcels").out
    assert [row["id"] for row in corral("list", "parcels", "--where", "n=2", "--json").json] == [ids[2]]
    shown = corral("show", "parcels", ids[0])
    assert "attempt 1: dead_letters.OutOfStock" in shown.out
    assert "ships 0" in shown.out
    assert "4111" not in shown.out
    assert "4111" in corral("show", "parcels", ids[0], "--data").out
    letter = corral("show", "parcels", ids[0], "--json").json
    assert (letter["data"], letter["attempts"][0]["number"]) == (None, 1)
    assert corral("show", "parcels", "nobody").code == 1
    assert corral("policy", "parcels", "--json").json["failed"] == 5


def test_retry_shows_first_and_asks(corral: Corral, ids: list[str], redis_url: str) -> None:
    dry = corral("retry", "parcels", "--error", "shelf", "--dry-run", "--json")
    assert (dry.json["count"], dry.json["complete"]) == (4, True)
    asked = corral("retry", "parcels", "--error", "shelf")
    assert "retry: 4 dead letters" in asked.out
    assert (asked.code, "--yes" in asked.err) == (1, True)
    assert states(redis_url)["failed"] == 5
    done = corral("retry", "parcels", "--error", "shelf", "--rate", "500/s", "--yes", "--json")
    assert (done.code, done.json["state"], done.json["moved"]) == (0, "done", 4)
    one = corral("retry", "parcels", ids[4])
    assert "1 of 1 jobs" in one.out
    assert states(redis_url)["waiting"] == 5
    assert [row["moved"] for row in corral("operations", "parcels", "--json").json] == [1, 4]
    assert "filter by error" in corral("operations", "parcels").out
    assert actions(redis_url) == ["dead.retry", "dead.retry"]


def test_nothing_never_means_all(corral: Corral, ids: list[str], redis_url: str) -> None:
    for wrong in (["parcels"], ["parcels", "--all", "--name", "ship"], ["parcels", "7", "--group", "x"]):
        assert corral("retry", *wrong, "--yes").code == 1
    assert states(redis_url)["failed"] == 5
    assert corral("retry", "parcels", "--all", "--yes", "--rate", "nonsense").code == 1
    assert corral("retry", "parcels", "--all", "--yes", "--when-closed", "onfdo").code == 1
    assert corral("retry", "parcels", "--all", "--yes", "--json").json["moved"] == 5


def test_discard_and_undo(corral: Corral, ids: list[str], redis_url: str) -> None:
    group = corral("groups", "parcels", "--json").json["groups"][1]["id"]
    done = corral("discard", "parcels", "--group", group, "--yes")
    assert "4 of 4 jobs" in done.out
    assert "corral dead undo parcels" in done.out
    assert states(redis_url)["failed"] == 1
    operation = corral("operations", "parcels", "--json").json[0]["id"]
    assert corral("undo", "parcels", operation, "--json").json["moved"] == 4
    assert states(redis_url)["failed"] == 5
    again = corral("undo", "parcels", operation)
    assert (again.code, "left in the bin" in again.err) == (1, True)


def test_edit(corral: Corral, ids: list[str], redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert corral("edit", "parcels", ids[0], "{nonsense").code == 1
    assert corral("edit", "parcels", ids[0], '{"ok": true}', "--no-retry", "--json").json["retried"] is False
    assert states(redis_url)["failed"] == 5
    assert "waits to run again" in corral("edit", "parcels", ids[0], '{"ok": true}').out
    assert states(redis_url)["waiting"] == 1


def test_one_in_the_background_is_stopped(corral: Corral, ids: list[str], redis_url: str) -> None:
    async def hold() -> None:
        try:
            await Breakers(redis_url).hold("acme", "closed for today")
        finally:
            await close_shared_clients()

    asyncio.run(hold())
    begun = corral(
        "retry", "parcels", "--all", "--when-closed", "acme", "--background", "--yes", "--json"
    ).json
    assert (begun["state"], begun["breaker"]) == ("waiting", "acme")
    assert corral("stop", "parcels", begun["id"], "--json").json["state"] == "stopped"
    assert corral("stop", "parcels", begun["id"]).code == 1


def test_purge(corral: Corral, ids: list[str], redis_url: str) -> None:
    assert corral("purge", "parcels", "--older-than", "0", "--dry-run", "--json").json["removed"] == 5
    assert corral("purge", "parcels", "--older-than", "3600", "--yes", "--json").json["removed"] == 0
    refused = corral("purge", "parcels", "--older-than", "0")
    assert (refused.code, "5 dead letters" in refused.err) == (1, True)
    assert corral("purge", "parcels", "--older-than", "0", "--yes", "--json").json["removed"] == 5
    assert states(redis_url)["failed"] == 0


def test_export(corral: Corral, ids: list[str], tmp_path: Path, redis_url: str) -> None:
    rows = [json.loads(line) for line in corral("export", "parcels").out.splitlines()]
    assert {row["id"] for row in rows} == set(ids)
    file = tmp_path / "dead.jsonl"
    done = corral("export", "parcels", "--name", "ship", "--redact", "--output", str(file), "--json")
    assert done.json["jobs"] == 5
    assert len(file.read_text().splitlines()) == 5
    assert "4111" not in file.read_text()
    assert actions(redis_url) == ["dead.export", "dead.export"]
