"""The management API's part for alerts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from http_service import ENQUEUE, READ, Service, serving
from test_cli_alerts import FIRED, LEDGER

from corral import audit
from corral.bullmq import alerting
from corral.bullmq.keys import alert_keys
from corral.observe.alerts.rules import RULES
from corral.observe.alerts.storing import encoded

PATH = "/api/v1/alerts"


@pytest.fixture
async def service(redis_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url) as running:
        client = running.queues["reports"].client()
        await alerting.take_lease(client, "bull", "web-1:7:abc", need_state=False)
        await alerting.commit(client, "bull", "web-1:7:abc", encoded(LEDGER), [encoded(FIRED)])
        yield running


async def test_what_fires(service: Service) -> None:
    told = (await service.http.get(PATH)).json()
    assert (told["evaluatedAt"], told["leader"]) == (1_700_000_100.0, "web-1:7:abc")
    first = told["alerts"][0]
    assert (first["rule"], first["state"], first["firedAt"]) == ("breaker-open", "firing", 1_700_000_000.0)
    assert first["summary"] == "The breaker of onfido is open: HTTP 401 [x]; 3 jobs are held."
    (channel,) = told["channels"]
    assert (channel["name"], channel["givenUp"], channel["error"]) == (
        "slack",
        0,
        "the receiver answered 500",
    )


async def test_the_rules_and_the_history(service: Service) -> None:
    rules = (await service.http.get(f"{PATH}/rules")).json()
    assert [rule["name"] for rule in rules] == list(RULES)
    assert rules[0]["limits"]["forSeconds"] == 60
    (event,) = (await service.http.get(f"{PATH}/history", params={"count": 1})).json()
    assert (event["kind"], event["subject"], event["seconds"]) == ("fired", "onfido", None)
    assert (await service.http.get(f"{PATH}/history", params={"count": 0})).status_code == 422


async def test_a_silence_and_its_end_are_audited(service: Service) -> None:
    asked = {"rule": "waiting", "subject": "email", "seconds": 60, "reason": "a campaign"}
    made = await service.http.post(f"{PATH}/silences", json=asked)
    assert made.status_code == 201
    assert (made.json()["id"], made.json()["by"]) == ("waiting:email", "key:ops")
    told = (await service.http.get(PATH)).json()
    assert [one["id"] for one in told["silences"]] == ["waiting:email"]
    assert [alert["silenced"] for alert in told["alerts"]] == [False, True, False]
    where = {"rule": "waiting", "subject": "email"}
    assert (await service.http.delete(f"{PATH}/silences", params=where)).status_code == 204
    assert (await service.http.delete(f"{PATH}/silences", params=where)).status_code == 422
    entries = await audit.entries(service.queues["reports"].client(), "bull")
    assert [(entry.actor, entry.action) for entry in entries] == [
        ("key:ops", "alert.unsilence"),
        ("key:ops", "alert.silence"),
    ]


async def test_an_acknowledgement_and_its_undo_are_shown_and_audited(service: Service) -> None:
    path, which = f"{PATH}/acknowledgements", {"rule": "breaker-open", "subject": "onfido"}
    made = await service.http.post(path, json={**which, "note": "a new key comes"})
    assert made.status_code == 201
    assert (made.json()["by"], made.json()["note"]) == ("key:ops", "a new key comes")
    alerts = (await service.http.get(PATH)).json()["alerts"]
    assert [one["acknowledged"] for one in alerts] == [made.json(), None, None]
    assert (await service.http.delete(path, params=which)).status_code == 204
    assert (await service.http.delete(path, params=which)).status_code == 422
    alerts = (await service.http.get(PATH)).json()["alerts"]
    assert [one["acknowledged"] for one in alerts] == [None, None, None]
    entries = await audit.entries(service.queues["reports"].client(), "bull")
    assert [(entry.actor, entry.action, entry.target) for entry in entries] == [
        ("key:ops", "alert.unacknowledge", "breaker-open:onfido"),
        ("key:ops", "alert.acknowledge", "breaker-open:onfido"),
    ]


@pytest.mark.parametrize(
    ("rule", "subject"), [("waiting", "email"), ("breaker-open", "idenfy"), ("nothing", "x" * 9_000)]
)
async def test_what_does_not_fire_is_not_acknowledged(service: Service, rule: str, subject: str) -> None:
    asked = {"rule": rule, "subject": subject}
    answer = await service.http.post(f"{PATH}/acknowledgements", json=asked)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_acknowledgement_does_not_outlive_its_alert(service: Service) -> None:
    which = {"rule": "breaker-open", "subject": "onfido"}
    client, key = service.queues["reports"].client(), alert_keys("bull").acknowledged
    assert (await service.http.post(f"{PATH}/acknowledgements", json=which)).status_code == 201
    onfido, email, _ = LEDGER.alerts
    again = replace(LEDGER, alerts=(replace(onfido, fired_at=1_700_000_050.0),))
    await alerting.commit(client, "bull", "web-1:7:abc", encoded(again))
    (alert,) = (await service.http.get(PATH)).json()["alerts"]
    assert alert["acknowledged"] is None
    assert (await service.http.delete(f"{PATH}/acknowledgements", params=which)).status_code == 422
    other = replace(email, state="firing", fired_at=1_700_000_090.0)
    await alerting.commit(client, "bull", "web-1:7:abc", encoded(replace(LEDGER, alerts=(other,))))
    made = await service.http.post(f"{PATH}/acknowledgements", json={"rule": "waiting", "subject": "email"})
    assert made.status_code == 201
    assert await client.hkeys(key) == [b"waiting:email"]


@pytest.mark.parametrize(
    "body",
    [
        {"rule": "wating", "seconds": 60, "reason": "x"},
        {"rule": "waiting", "seconds": -1, "reason": "x"},
        {"rule": "waiting", "seconds": 60, "reason": ""},
        {"rule": "waiting", "seconds": 60},
        {"rule": "waiting", "seconds": 60, "reason": "x", "fro": 1},
    ],
)
async def test_a_silence_that_makes_no_sense_is_refused(service: Service, body: dict[str, object]) -> None:
    answer = await service.http.post(f"{PATH}/silences", json=body)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_test_of_the_channels(service: Service) -> None:
    answer = await service.http.post(f"{PATH}/test")
    assert answer.status_code == 200
    assert [(one["channel"], one["error"]) for one in answer.json()] == [("log", "")]


@pytest.mark.parametrize("key", [None, ENQUEUE, READ])
async def test_changing_asks_for_the_role_admin(service: Service, key: str | None) -> None:
    del service.http.headers["authorization"]
    for method, path in (
        ("POST", "test"),
        ("POST", "silences"),
        ("DELETE", "silences?rule=waiting"),
        ("POST", "acknowledgements"),
        ("DELETE", "acknowledgements?rule=waiting&subject=email"),
    ):
        answer = await service.http.request(method, f"{PATH}/{path}", headers=service.as_(key), json={})
        assert answer.status_code == (401 if key is None else 403)
    for path in ("", "/rules", "/history"):
        answer = await service.http.get(f"{PATH}{path}", headers=service.as_(key))
        assert answer.status_code == {None: 401, ENQUEUE: 403, READ: 200}[key]
