"""`corral breakers …`, as somebody types it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from held_jobs import Acme
from kyc_bench import KEYS
from standins import running

from corral import Queue, Worker, audit
from corral.bullmq.connection import close_shared_clients
from corral.cli import main
from corral.sandbox.server import RunningSandbox


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)


Corral = Callable[..., Done]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running() as server:
        yield server


@pytest.fixture
def corral(
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Corral:
    monkeypatch.chdir(tmp_path)
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("CORRAL_BREAKER_PROBE_SECONDS", "3600")

    def run(*arguments: str) -> Done:
        capsys.readouterr()  # what the worker of a fixture logged
        with pytest.raises(SystemExit) as ended:
            main(["breakers", *arguments])
        code = ended.value.code
        assert isinstance(code, int)
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def held(corral: Corral, redis_url: str) -> list[str]:
    """Three jobs that the breaker `acme` holds."""

    async def run() -> list[str]:
        queue = Queue("calls", redis_url=redis_url)
        Acme().serve(queue)
        try:
            jobs = await queue.add_many("call", [None] * 3)
            await Worker(queue).run(until_empty=True)
            return [f"calls:{job.id}" for job in jobs]
        finally:
            await queue.close()
            await close_shared_clients()

    return asyncio.run(run())


def test_there_may_be_none(corral: Corral) -> None:
    assert corral("--json").json == []
    assert "No breaker has opened" in corral().err


def test_they_are_listed_with_what_is_wrong_and_how_many_wait(corral: Corral, held: list[str]) -> None:
    (row,) = corral("list", "--json").json
    assert (row["name"], row["state"], row["held"]) == ("acme", "open", 3)
    assert (row["reason"], row["cause"], row["rate"]) == ("the key is wrong", "configuration", 10)
    assert row["job"] in held
    assert row["since"].endswith("+00:00")
    shown = corral()
    assert "acme" in shown.out
    assert "the key is wrong" in shown.out


def test_one_is_shown_with_its_jobs(corral: Corral, held: list[str]) -> None:
    assert corral("show", "acme", "--json").json["jobs"] == held
    assert corral("show", "acme", "--jobs", "1", "--json").json["jobs"] == held[:1]
    assert corral("show", "never", "--json").json["state"] == "closed"


def test_resume_lets_them_go_at_a_pace(corral: Corral, held: list[str]) -> None:
    done = corral("resume", "acme", "--rate", "2.5/s", "--json").json
    assert (done["state"], done["rate"], done["held"]) == ("closed", 2.5, 3)
    again = corral("resume", "acme", "--rate", "5")
    assert "3 held jobs run again, 5 a second" in again.out


def test_hold_wants_a_reason_and_takes_over(corral: Corral, held: list[str]) -> None:
    assert corral("hold", "acme").code == 2
    done = corral("hold", "acme", "--reason", "they move house", "--json").json
    assert (done["state"], done["cause"], done["next_probe"]) == ("open", "operator", None)
    assert "its jobs are held" in corral("hold", "acme", "--reason", "still").out
    assert corral("list", "--json").json[0]["reason"] == "still"


def test_who_changes_something_is_written_down_once(corral: Corral, redis_url: str) -> None:
    corral("hold", "acme", "--reason", "they move house")
    corral("resume", "acme", "--rate", "5")
    corral("resume", "acme", "--rate", "5")  # changes nothing

    async def trail() -> list[tuple[str, str, str]]:
        client = Queue("calls", redis_url=redis_url).client()
        try:
            return [(e.actor, e.action, e.target) for e in await audit.entries(client, "bull")]
        finally:
            await close_shared_clients()

    me = audit.local_actor()
    assert asyncio.run(trail()) == [(me, "breaker.resume", "acme"), (me, "breaker.hold", "acme")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resume", "acme", "--rate", "fast"), "as 5 or 5/s"),
        (("resume", "acme", "--rate", "0"), "above 0"),
        (("hold", "a:b", "--reason", "x"), "cannot name a breaker"),
        (("test", "acme"), "it can: apns, fcm, idenfy, mailgun, onfido"),
    ],
)
def test_what_is_wrong_is_said(corral: Corral, arguments: tuple[str, ...], message: str) -> None:
    done = corral(*arguments)
    assert done.code == 1
    assert message in " ".join(done.err.split())


def test_a_key_is_tested(corral: Corral, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = corral("test", "onfido", "--json")
    assert missing.code == 1
    assert (missing.json["kind"], "set ONFIDO_API_KEY" in missing.json["reason"]) == ("misconfigured", True)
    monkeypatch.setenv("CORRAL_SANDBOX", "1")
    monkeypatch.setenv("CORRAL_SANDBOX_URL", sandbox.url)
    good = corral("test", "onfido", "--json")
    assert (good.code, good.json["ok"], good.json["kind"]) == (0, True, "ok")
    assert "the key works" in corral("test", "supabase-storage").out
    monkeypatch.setenv("SUPABASE_URL", f"{sandbox.url}/supabase")
    monkeypatch.setenv("SUPABASE_SERVICE_KEY", "secret-and-wrong")
    wrong = corral("test", "supabase")
    assert (wrong.code, "misconfigured" in wrong.out, "secret-and-wrong" in wrong.out) == (1, True, False)
