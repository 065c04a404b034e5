"""Notifications as users of the service meet them: `corral up`, POST /notify, each outcome, bad input."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from service import Service, running_service, until

PUSH = {"userId": "user-42", "type": "push", "title": "Good news", "body": "It is done."}
SMS = {"userId": "user-42", "type": "sms", "title": "Code", "body": "4711"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(tmp_path_factory.mktemp("notify") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def sandbox(service: Service) -> str:
    return service.sandbox


def outbox(url: str, provider: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = httpx2.get(f"{url}/outbox", params={"provider": provider}).json()[
        "entries"
    ]
    return entries


def notify(service: Service, body: dict[str, Any]) -> dict[str, Any]:
    answer = service.post("/notify", body)
    assert answer.status_code == 202, answer.text
    assert answer.json()["jobId"].startswith("ntf-")
    return service.until_ended(answer.json()["jobId"])


@pytest.mark.parametrize(
    ("message", "who", "outcome", "delivered", "removed"),
    [
        (PUSH, "user-42", "sent", 1, 0),
        (PUSH, "every-42", "sent", 3, 1),
        (PUSH, "dead-42", "undeliverable", 0, 1),
        (PUSH, "none-42", "undeliverable", 0, 0),
        (SMS, "user-42", "sent", 1, 0),
        (SMS, "optout-42", "undeliverable", 0, 0),
        (SMS, "none-42", "undeliverable", 0, 0),
    ],
)
def test_each_outcome_is_a_completed_job(
    service: Service, message: dict[str, Any], who: str, outcome: str, delivered: int, removed: int
) -> None:
    seen = notify(service, message | {"userId": who})

    assert seen["status"] == "completed"
    assert seen["queue"] == "notification"
    result = seen["result"]
    assert (result["outcome"], result["delivered"], result["removed"]) == (outcome, delivered, removed)
    assert ("reason" in result) is (outcome == "undeliverable")


def test_a_dead_device_is_forgotten(service: Service) -> None:
    first = notify(service, PUSH | {"userId": "dead-7"})
    second = notify(service, PUSH | {"userId": "dead-7"})

    assert first["result"]["removed"] == 1
    assert second["result"]["removed"] == 0
    assert second["result"]["reason"] == "the user has no device"


def test_the_outbox_shows_what_was_sent(service: Service, sandbox: str) -> None:
    notify(service, PUSH | {"data": {"orderId": 7}})
    notify(service, SMS)

    push, sms = outbox(sandbox, "fcm")[-1], [e for e in outbox(sandbox, "twilio") if e["action"] == "sms"][-1]
    assert (push["title"], push["body"], push["data"]) == ("Good news", "It is done.", {"orderId": "7"})
    assert sms["body"] == "Code\n4711"
    assert sms["to"].startswith("…")


def test_twilios_callbacks_are_taken(service: Service, sandbox: str) -> None:
    notify(service, SMS | {"body": "called back"})

    def delivered() -> list[str]:
        return [e["result"] for e in outbox(sandbox, "twilio") if e.get("state") == "delivered"]

    assert set(until(delivered, bool)) == {"204"}
    assert until(lambda: [line for line in service.log if "sms_state" in line], bool)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": "fax"}, "type"),
        ({"title": ""}, "title"),
        ({"body": 7}, "body"),
        ({"userId": None}, "userId"),
        ({"data": "text"}, "data"),
        ({"data": {"k": "x" * 5000}}, "4096"),
        ({"data": {"from": "me"}}, "data.from"),
        ({"type": "sms", "body": "x" * 1700}, "1600"),
    ],
)
def test_wrong_data_is_refused_and_says_why(service: Service, change: dict[str, Any], field: str) -> None:
    answer = service.post("/notify", PUSH | change)

    assert answer.status_code == 422
    assert field in answer.text


def test_the_message_of_a_verification_is_sent(service: Service, sandbox: str) -> None:
    passport = {
        "userId": "user-77", "documentType": "passport", "documentNumber": "P1234567",
        "frontImageUrl": "https://images.example.com/passport-front.jpg", "provider": "onfido",
    }  # fmt: skip
    job_id = service.post("/verify-kyc", passport).json()["jobId"]
    assert service.until_ended(job_id)["status"] == "completed"

    assert service.until_ended(f"kyc-{job_id}")["result"]["outcome"] == "sent"
    assert outbox(sandbox, "fcm")[-1]["title"] == "Identity verified"


def test_quiet_hours_hold_messages_back_unless_they_are_urgent(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    hours = f"{now - timedelta(hours=2):%H:%M}-{now + timedelta(hours=2):%H:%M}"
    with running_service(tmp_path / "data", CORRAL_QUIET_HOURS=hours) as quiet:
        job_id = quiet.post("/notify", PUSH).json()["jobId"]
        urgent = notify(quiet, PUSH | {"data": {"urgent": True}})
        seen = until(lambda: quiet.status(job_id), lambda job: job["status"] == "delayed")

    assert urgent["result"]["outcome"] == "sent"
    assert seen["attemptsMade"] == 0


def test_a_misspelt_quiet_time_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="CORRAL_QUIET_HOURS"),
        running_service(tmp_path / "data", CORRAL_QUIET_HOURS="10pm-7am"),
    ):
        pass
