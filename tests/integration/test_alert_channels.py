"""Channels over real HTTP and SMTP: what arrives, what an answer means, and that no secret gets out."""

from __future__ import annotations

import email
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from email import policy
from typing import Any

import jsonschema
import pytest
from mail_server import MailServer
from mail_server import serving as mail_serving
from structlog.testing import capture_logs

from corral.errors import ConfigurationError
from corral.hook_settings import parse_secrets
from corral.observe.alerts.channels import alertmanager, slack
from corral.observe.alerts.channels.channel import Channel, Reminded
from corral.observe.alerts.channels.chosen import chosen_channels
from corral.observe.alerts.ledger import Outcome
from corral.observe.alerts.notice import Notice, trial_notice
from corral.observe.alerts.sending import attempt
from corral.providers.standard_webhooks import verified
from corral.settings import Settings
from hook_receiver import Receiver, receiving

SECRET_PATH = "T0000/B0000/xoxSECRETxox"
PAGER_KEY = "R0UTINGKEY0000000000000000000000"
HOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOTICE = Notice(
    kind="fired",
    rule="breaker-open",
    subject="onfido",
    severity="critical",
    title="A provider's jobs are held",
    summary="The breaker of onfido is open: <!channel> & HTTP 401.",
    advice="Repair the key.",
    value=1,
    fire=0,
    fired_at=1_700_000_000.25,
    at=1_700_000_000.25,
)
RESOLVED = replace(NOTICE, kind="resolved", at=1_700_000_300.0, advice="")
CHANNELS = ("slack", "pagerduty", "webhook", "alertmanager")

#: Of Alertmanager's API v2: an array of postableAlert.
POSTABLE_ALERTS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["labels"],
        "additionalProperties": False,
        "properties": {
            "labels": {
                "type": "object",
                "required": ["alertname"],
                "additionalProperties": {"type": "string", "minLength": 1},
            },
            "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
            "startsAt": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"},
            "endsAt": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"},
            "generatorURL": {"type": "string", "format": "uri"},
        },
    },
}

#: Of PagerDuty's Events API v2.
EVENT = {
    "type": "object",
    "required": ["routing_key", "event_action", "payload"],
    "properties": {
        "routing_key": {"type": "string", "minLength": 32, "maxLength": 32},
        "event_action": {"enum": ["trigger", "acknowledge", "resolve"]},
        "dedup_key": {"type": "string", "maxLength": 255},
        "client": {"type": "string"},
        "client_url": {"type": "string"},
        "payload": {
            "type": "object",
            "required": ["summary", "source", "severity"],
            "additionalProperties": False,
            "properties": {
                "summary": {"type": "string", "maxLength": 1024},
                "source": {"type": "string"},
                "severity": {"enum": ["critical", "error", "warning", "info"]},
                "timestamp": {"type": "string"},
                "component": {"type": "string"},
                "group": {"type": "string"},
                "class": {"type": "string"},
                "custom_details": {"type": "object"},
            },
        },
    },
    "additionalProperties": False,
}


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@pytest.fixture
async def mail() -> AsyncIterator[MailServer]:
    async with mail_serving() as made:
        yield made


def settings(receiver: Receiver | None = None, mail: MailServer | None = None, **more: Any) -> Settings:
    url = receiver.url if receiver else "http://127.0.0.1:9"
    values: dict[str, Any] = {
        "alert_slack_url": f"{url}/services/{SECRET_PATH}",
        "alert_pagerduty_key": PAGER_KEY,
        "alert_pagerduty_url": f"{url}/v2/enqueue",
        "alert_webhook_url": f"{url}/hook",
        "alert_webhook_secret": HOOK_SECRET,
        "alert_alertmanager_url": url,
        "alert_mail_to": ("ops@example.com", "Boss <boss@example.com>"),
        "mail_from": "Corral <corral@example.com>",
        "smtp_host": "127.0.0.1",
        "smtp_port": mail.port if mail else 9,
        "smtp_tls": "none",
    }
    return Settings(_env_file=None, **values | more)


async def send(made: Settings, notice: Notice = NOTICE) -> list[Outcome]:
    channels = chosen_channels(made)
    try:
        return [await attempt(channel, notice) for channel in channels]
    finally:
        for channel in channels:
            await channel.close()


async def test_slack_gets_text_and_blocks_that_call_nobody(receiver: Receiver) -> None:
    assert await send(settings(receiver, alert_to=("slack",))) == [Outcome()]
    (got,) = receiver.at(f"/services/{SECRET_PATH}")
    body = got.json()
    assert got.headers["content-type"] == "application/json"
    assert body["text"] == "🔴 [critical] A provider's jobs are held: onfido"
    header, section, context = body["blocks"]
    assert len(header["text"]["text"]) <= 150
    assert section["text"]["text"] == (
        "The breaker of onfido is open: &lt;!channel&gt; &amp; HTTP 401.\n*Next:* Repair the key."
    )
    assert "breaker-open" in context["elements"][0]["text"]


def test_a_long_text_is_cut_below_slacks_limit_and_not_inside_an_escape() -> None:
    long = slack.message(replace(NOTICE, summary="a <b> " * 2_000), "bull")
    text = long["blocks"][1]["text"]["text"]
    assert len(text) <= 3_000
    assert text.endswith(" …")
    assert text.count("&") == text.count(";")


async def test_pagerduty_gets_a_trigger_and_a_resolve_of_the_same_incident(receiver: Receiver) -> None:
    made = settings(receiver, alert_to=("pagerduty",))
    receiver.answers("/v2/enqueue", "202 Accepted", b'{"status":"success"}')
    assert await send(made) == [Outcome()]
    assert await send(made, replace(NOTICE, kind="still", at=NOTICE.at + 14_400)) == [Outcome()]
    assert await send(made, RESOLVED) == [Outcome()]
    trigger, again, resolve = (got.json() for got in receiver.at("/v2/enqueue"))
    jsonschema.validate(trigger, EVENT)
    jsonschema.validate(again, EVENT)
    assert (trigger["event_action"], trigger["payload"]["severity"]) == ("trigger", "critical")
    assert (
        trigger["dedup_key"]
        == again["dedup_key"]
        == resolve["dedup_key"]
        == "corral/bull/breaker-open/onfido"
    )
    assert resolve == {
        "routing_key": PAGER_KEY,
        "event_action": "resolve",
        "dedup_key": "corral/bull/breaker-open/onfido",
    }


async def test_a_test_leaves_no_incident_open_at_pagerduty(receiver: Receiver) -> None:
    await send(settings(receiver, alert_to=("pagerduty",)), trial_notice(1_700_000_000, "web-1"))
    assert [got.json()["event_action"] for got in receiver.at("/v2/enqueue")] == ["trigger", "resolve"]


async def test_the_webhook_is_signed_and_its_id_is_the_same_at_every_try(receiver: Receiver) -> None:
    made = settings(receiver, alert_to=("webhook",))
    receiver.answers("/hook", "500 Oops")
    receiver.answers("/hook", "200 OK")
    assert await send(made) == [Outcome("the endpoint answered 500")]
    assert await send(made) == [Outcome()]
    first, second = receiver.at("/hook")
    keys = parse_secrets("x", HOOK_SECRET)
    for got in (first, second):
        assert verified(keys, got.headers, got.body, time.time())
        assert not verified(parse_secrets("x", "whsec_" + "A" * 32), got.headers, got.body, time.time())
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    body = second.json()
    assert (body["type"], body["timestamp"]) == ("alert.fired", "2023-11-14T22:13:20.250Z")
    assert body["data"]["key"] == "corral/bull/breaker-open/onfido"
    assert body["data"]["firesAbove"] == 0


async def test_the_webhook_falls_back_on_the_secret_of_all_webhooks(receiver: Receiver) -> None:
    made = settings(receiver, alert_to=("webhook",), alert_webhook_secret="", webhook_secret=HOOK_SECRET)
    assert await send(made) == [Outcome()]
    (got,) = receiver.at("/hook")
    assert verified(parse_secrets("x", HOOK_SECRET), got.headers, got.body, time.time())


async def test_alertmanager_gets_valid_alerts_that_end_by_themselves(receiver: Receiver) -> None:
    made = settings(receiver, alert_to=("alertmanager",))
    receiver.answers("/api/v2/alerts", "200 OK")
    await send(made)
    await send(made, RESOLVED)
    fired, resolved = (got.json() for got in receiver.at("/api/v2/alerts"))
    jsonschema.validate(fired, POSTABLE_ALERTS)
    jsonschema.validate(resolved, POSTABLE_ALERTS)
    assert fired[0]["labels"] == resolved[0]["labels"]
    assert fired[0]["labels"]["alertname"] == "CorralBreakerOpen"
    assert fired[0]["startsAt"] == resolved[0]["startsAt"] == "2023-11-14T22:13:20.250Z"
    assert fired[0]["endsAt"] == "2023-11-14T22:18:20.250Z"
    assert resolved[0]["endsAt"] == "2023-11-14T22:18:20.000Z"


async def test_alertmanager_is_reminded_of_all_with_one_post(receiver: Receiver) -> None:
    (channel,) = chosen_channels(settings(receiver, alert_to=("alertmanager",)))
    assert isinstance(channel, Reminded)
    await channel.remind([])
    assert receiver.got == []
    await channel.remind([NOTICE, replace(NOTICE, subject="idenfy")])
    await channel.close()
    (got,) = receiver.at("/api/v2/alerts")
    jsonschema.validate(got.json(), POSTABLE_ALERTS)
    assert [alert["labels"]["subject"] for alert in got.json()] == ["onfido", "idenfy"]


@pytest.mark.parametrize("given", ["{url}/", "{url}/api/v2/alerts", "{url}"])
async def test_alertmanagers_address_may_be_written_either_way(receiver: Receiver, given: str) -> None:
    made = settings(receiver, alert_to=("alertmanager",))
    made = made.model_copy(
        update={"alert_alertmanager_url": type(made.alert_slack_url)(given.format(url=receiver.url))}
    )
    assert await send(made) == [Outcome()]
    assert [got.target for got in receiver.got] == [alertmanager.PATH]


async def test_mail_goes_straight_to_the_server(mail: MailServer) -> None:
    made = settings(mail=mail, alert_to=("mail",))
    assert await send(made) == [Outcome()]
    (taken,) = mail.taken
    assert taken.rcpt_tos == ["ops@example.com", "boss@example.com"]
    assert isinstance(taken.content, bytes)
    message = email.message_from_bytes(taken.content, policy=policy.default)
    assert message["Subject"] == "[critical] A provider's jobs are held: onfido"
    assert message["Message-ID"] == f"<{NOTICE.id}@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    body = message.get_body(("plain",))
    assert body is not None
    assert "Next: Repair the key." in body.get_content()


async def test_mail_that_the_server_puts_off_is_worth_another_try(mail: MailServer) -> None:
    mail.replies["DATA"] = ["451 4.7.1 greylisted"]
    made = settings(mail=mail, alert_to=("mail",))
    (outcome,) = await send(made)
    assert outcome.again
    assert "451" in outcome.error
    assert await send(made) == [Outcome()]


@pytest.mark.parametrize(
    ("status", "again"),
    [("500 Oops", True), ("429 Slow down", True), ("503 Later", True), ("400 Bad", False), ("404 No", False)],
)
@pytest.mark.parametrize("name", ["slack", "pagerduty", "alertmanager"])
async def test_what_an_answer_means(receiver: Receiver, name: str, status: str, again: bool) -> None:
    for path in (f"/services/{SECRET_PATH}", "/v2/enqueue", "/api/v2/alerts"):
        receiver.answers(path, status, b"invalid " + SECRET_PATH.encode(), Retry_After="7")
    (outcome,) = await send(settings(receiver, alert_to=(name,)))
    assert outcome.error == f"the receiver answered {status[:3]}"
    assert outcome.again is again
    assert outcome.after == (7 if again else 0)


async def test_one_that_hangs_is_left(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    from corral.observe.alerts import sending
    from corral.observe.alerts.channels import posting

    monkeypatch.setattr(posting, "SEND_SECONDS", 0.2)
    receiver.hangs(f"/services/{SECRET_PATH}")
    (outcome,) = await send(settings(receiver, alert_to=("slack",)))
    assert outcome == Outcome("no answer within 0.2 s")

    class Stuck:
        name = "stuck"

        async def send(self, notice: Notice) -> str:
            import asyncio

            await asyncio.Event().wait()
            raise AssertionError

        async def close(self) -> None: ...

    monkeypatch.setattr(sending, "TRY_SECONDS", 0.2)
    stuck: Channel = Stuck()
    assert await attempt(stuck, NOTICE) == Outcome("no answer within 0.2 s")


async def test_a_fault_of_ours_is_an_outcome_too() -> None:
    class Broken:
        name = "broken"

        async def send(self, notice: Notice) -> str:
            raise ZeroDivisionError("secret")

        async def close(self) -> None: ...

    with capture_logs() as logs:
        assert await attempt(Broken(), NOTICE) == Outcome("a fault in Corral (ZeroDivisionError)")
    assert logs[0]["event"] == "alert_channel_failed"


async def test_no_secret_is_in_an_outcome_or_a_log_line(mail: MailServer) -> None:
    mail.replies["RCPT"] = ["550 5.1.1 no such user ops@example.com", "550 no"]
    made = settings(mail=mail, alert_to=(*CHANNELS, "mail"), smtp_password="the-smtp-password")
    with capture_logs() as logs:
        outcomes = await send(made)
    assert all(outcome.error for outcome in outcomes)
    said = repr((outcomes, logs))
    for secret in ("xoxSECRETxox", PAGER_KEY, HOOK_SECRET[6:], "ops@example.com", "the-smtp-password"):
        assert secret not in said


async def test_the_log_has_a_line_with_the_level_of_the_rule() -> None:
    with capture_logs() as logs:
        for notice in (
            NOTICE,
            replace(NOTICE, severity="warning"),
            RESOLVED,
            replace(NOTICE, kind="still"),
        ):
            assert await send(settings(alert_to=("log",)), notice) == [Outcome()]
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("alert_fired", "error"),
        ("alert_fired", "warning"),
        ("alert_resolved", "info"),
        ("alert_still_firing", "error"),
    ]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"alert_to": ("slak",)}, "there is no channel 'slak'. Did you mean slack?"),
        ({"alert_to": ("slack",), "alert_slack_url": ""}, "CORRAL_ALERT_SLACK_URL is not set"),
        (
            {"alert_to": ("slack",), "alert_slack_url": "ftp://h/x"},
            "CORRAL_ALERT_SLACK_URL: the scheme is ftp",
        ),
        ({"alert_to": ("slack",), "alert_slack_url": "http://u:hidden@h/x"}, "has a user name in it"),
        ({"alert_to": ("slack",), "alert_slack_url": "http://[hidden"}, "CORRAL_ALERT_SLACK_URL"),
        ({"alert_to": ("pagerduty",), "alert_pagerduty_key": ""}, "CORRAL_ALERT_PAGERDUTY_KEY is not set"),
        ({"alert_to": ("webhook",), "alert_webhook_secret": ""}, "CORRAL_ALERT_WEBHOOK_SECRET is not set"),
        ({"alert_to": ("webhook",), "alert_webhook_secret": "hidden"}, "a secret is whsec_"),
        ({"alert_to": ("alertmanager",), "alert_alertmanager_url": ""}, "ALERTMANAGER_URL is not set"),
        ({"alert_to": ("mail",), "alert_mail_to": ()}, "CORRAL_ALERT_MAIL_TO is not set"),
        ({"alert_to": ("mail",), "alert_mail_to": ("hidden",)}, "CORRAL_ALERT_MAIL_TO: a mail address"),
        ({"alert_to": ("mail",), "mail_from": ""}, "CORRAL_MAIL_FROM is not set"),
        ({"alert_to": ("mail",), "smtp_host": ""}, "no provider of mail is set"),
    ],
)
def test_a_channel_that_cannot_work_is_said_at_the_start(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        chosen_channels(settings(**more))
    assert message in str(error.value)
    assert "hidden" not in str(error.value)


def test_a_private_address_needs_no_further_setting_but_only_that_one(receiver: Receiver) -> None:
    (channel,) = chosen_channels(settings(receiver, alert_to=("alertmanager",)))
    allow = channel._poster._poster._pools.allow  # type: ignore[attr-defined]  # inside a channel of this kind
    assert allow.covers("127.0.0.1", receiver.port)
    assert not allow.covers("127.0.0.1", 80)
