"""`corral alerts …`, as somebody types it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from corral import audit
from corral.bullmq import alerting
from corral.bullmq.connection import Address, close_shared_clients, shared_client
from corral.cli import main
from corral.cli.alerts import read_duration
from corral.cli.output import console, errors
from corral.errors import InvalidInput
from corral.observe.alerts.ledger import ChannelHealth, Ledger
from corral.observe.alerts.machine import Alert, Event
from corral.observe.alerts.storing import encoded


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)


Corral = Callable[..., Done]

LEDGER = Ledger(
    at=1_700_000_100.0,
    alerts=(
        Alert(
            rule="breaker-open", subject="onfido", state="firing", value=1,
            detail="HTTP 401 [x]; 3 jobs are held", since=1_700_000_000.0,
            fired_at=1_700_000_000.0, told_at=1_700_000_000.0,
        ),
        Alert(rule="waiting", subject="email", state="pending", value=1_200, since=1_700_000_090.0),
        Alert(rule="of-tomorrow", subject="x", state="firing", value=1, since=1_700_000_090.0),
    ),
    channels={"slack": ChannelHealth(sent=1, failed_at=1_700_000_000.0, error="the receiver answered 500")},
)  # fmt: skip
FIRED = Event(
    at=1_700_000_000.0, kind="fired", rule="breaker-open", subject="onfido", severity="critical", value=1,
    summary="The breaker of onfido is open.",
)  # fmt: skip


@pytest.fixture
def corral(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Corral:
    """`corral("rules")` is `corral alerts rules`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", redis_url)
    for said in (console, errors):  # made with the width of whatever terminal imported it first
        monkeypatch.setattr(said, "_width", 200)

    def run(*arguments: str) -> Done:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["alerts", *arguments])
        code = ended.value.code
        assert isinstance(code, int)
        return Done(code, *capsys.readouterr())

    return run


def on_redis(url: str, work: Callable[[Any], Any]) -> Any:
    async def run() -> Any:
        try:
            return await work(shared_client(Address.resolve(url)))
        finally:
            await close_shared_clients()

    return asyncio.run(run())


@pytest.fixture
def firing(redis_url: str) -> None:
    async def write(client: Any) -> None:
        await alerting.take_lease(client, "bull", "web-1:7:abc", need_state=False)
        await alerting.commit(client, "bull", "web-1:7:abc", encoded(LEDGER), [encoded(FIRED)])

    on_redis(redis_url, write)


def test_where_nothing_was_evaluated_it_says_so(corral: Corral) -> None:
    done = corral()
    assert (done.code, done.out) == (0, "")
    assert "Nobody evaluates the rules" in done.err
    assert corral("history").code == 0
    assert corral("list", "--json").json == {
        "evaluated_at": None,
        "leader": None,
        "alerts": [],
        "channels": [],
        "silences": [],
    }


@pytest.mark.usefixtures("firing")
def test_the_list_says_what_fires_and_what_to_do(corral: Corral) -> None:
    corral("silence", "waiting", "--for", "1h", "--reason", "a campaign")
    done = corral()
    assert "The breaker of onfido is open: HTTP 401 [x]; 3 jobs are held." in done.out
    assert "corral breakers test onfido" in done.out
    assert "pending, silenced" in done.out
    assert "of-tomorrow" in done.out
    assert "silent: waiting:* until" in done.out
    assert "slack: the receiver answered 500" in done.err
    told = corral("--json").json
    assert told["leader"] == "web-1:7:abc"
    assert [(a["rule"], a["state"], a["silenced"]) for a in told["alerts"]] == [
        ("breaker-open", "firing", False),
        ("waiting", "pending", True),
        ("of-tomorrow", "firing", False),
    ]
    assert told["alerts"][0]["since"] == "2023-11-14T22:13:20.000+00:00"


@pytest.mark.usefixtures("firing")
def test_the_history(corral: Corral) -> None:
    assert "The breaker of onfido is open." in corral("history").out
    (event,) = corral("history", "--count", "5", "--json").json
    assert (event["kind"], event["at"]) == ("fired", "2023-11-14T22:13:20.000+00:00")
    assert corral("history", "--count", "0").code == 1


def test_the_rules_have_the_limits_of_the_settings(corral: Corral, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORRAL_ALERT_RULES", "waiting@email=20000, run-time=off")
    lines = [line.split() for line in corral("rules").out.splitlines()]
    assert ["waiting", "warning", "1,000", "800", "1", "min", "1", "min", "queue"] in lines
    assert ["waiting@email", "warning", "20,000", "16,000", "1", "min", "1", "min", "queue"] in lines
    assert ["run-time", "warning", "off", "queue"] in lines
    told = {rule["name"]: rule for rule in corral("rules", "--json").json}
    assert told["waiting"]["only"]["email"]["fire"] == 20_000
    monkeypatch.setenv("CORRAL_ALERT_RULES", "wating=5")
    done = corral("rules")
    assert done.code == 78
    assert "Did you mean waiting?" in done.err


def test_a_silence_and_its_end(corral: Corral, redis_url: str) -> None:
    done = corral("silence", "breaker-open", "onfido", "--for", "30m", "--reason", "known", "--json")
    assert (done.json["id"], done.json["reason"]) == ("breaker-open:onfido", "known")
    assert [one["id"] for one in corral("--json").json["silences"]] == ["breaker-open:onfido"]
    assert corral("unsilence", "breaker-open", "onfido").code == 0
    assert corral("unsilence", "breaker-open", "onfido").code == 1
    entries = on_redis(redis_url, lambda client: audit.entries(client, "bull"))
    assert [entry.action for entry in entries] == ["alert.unsilence", "alert.silence"]
    assert entries[0].actor.startswith("cli:")


@pytest.mark.usefixtures("firing")
def test_an_acknowledgement_and_its_undo(corral: Corral, redis_url: str) -> None:
    done = corral("acknowledge", "breaker-open", "onfido", "--note", "a new key comes", "--json")
    assert (done.json["id"], done.json["note"]) == ("breaker-open:onfido", "a new key comes")
    assert corral("--json").json["alerts"][0]["acknowledged"]["note"] == "a new key comes"
    assert "acknowledged by cli:" in " ".join(corral().out.split())
    assert corral("unacknowledge", "breaker-open", "onfido").code == 0
    assert corral("unacknowledge", "breaker-open", "onfido").code == 1
    refused = corral("acknowledge", "waiting", "email")
    assert (refused.code, "does not fire" in refused.err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["wating", "--for", "1h", "--reason", "x"], "Did you mean waiting?"),
        (["waiting", "--for", "soon", "--reason", "x"], "--for soon: write 30m"),
        (["waiting", "--for", "40d", "--reason", "x"], "30 days"),
        (["waiting", "--for", "1h", "--reason", " "], "Say why"),
    ],
)
def test_a_silence_that_makes_no_sense(corral: Corral, arguments: list[str], said: str) -> None:
    done = corral("silence", *arguments)
    assert done.code == 1
    assert said in done.err


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("30m", 1_800), ("1.5h", 5_400), ("1d", 86_400)]
)
def test_how_long(text: str, seconds: float) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "1w", "-1h", "1h30m"])
def test_how_long_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_duration(text)


def test_a_test_says_what_each_channel_answered(corral: Corral, monkeypatch: pytest.MonkeyPatch) -> None:
    assert corral("test").out.startswith("log: took it")
    monkeypatch.setenv("CORRAL_ALERT_TO", "log,slack")
    monkeypatch.setenv("CORRAL_ALERT_SLACK_URL", "http://127.0.0.1:9/secret")
    done = corral("test", "--json")
    assert done.code == 1
    log, slack = done.json
    assert (log["channel"], log["error"]) == ("log", "")
    assert slack["error"].startswith("127.0.0.1: no connection")
    assert "secret" not in done.out + done.err


def test_a_test_needs_no_redis_but_settings_that_make_sense(
    corral: Corral, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:9")
    assert corral("test").code == 0
    assert corral("list").code == 1
    monkeypatch.setenv("CORRAL_ALERT_TO", "slak")
    assert corral("test").code == 78


def test_what_evaluates_does_not_start_with_wrong_settings(
    corral: Corral, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CORRAL_ALERT_TO", "slak")
    done = corral("run")
    assert done.code == 78
    assert "Did you mean slack?" in done.err
    with pytest.raises(SystemExit) as ended:
        main(["worker", "no_such_module:queue"])
    assert ended.value.code == 78
    assert "Did you mean slack?" in capsys.readouterr().err
