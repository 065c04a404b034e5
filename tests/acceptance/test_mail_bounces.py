"""A mail bounces at the sandbox; its signed event comes back, and nobody writes there again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from service import running_service, until


def mail(provider: str, address: str) -> dict[str, Any]:
    data = {"name": "user-42", "actionUrl": "https://app.example.com/start"}
    return {"to": address, "template": "welcome", "data": data, "provider": provider}


def test_an_address_that_bounced_is_not_written_to_again(tmp_path: Path) -> None:
    providers = ("sendgrid", "mailgun")
    with running_service(tmp_path / "data") as service:

        def outcome(provider: str) -> str:
            answer = service.post("/send-email", mail(provider, f"bounce-{provider}@example.com"))
            assert answer.status_code == 202
            ended = service.until_ended(answer.json()["jobId"])
            assert ended["status"] == "completed", ended
            return str(ended["result"]["outcome"])

        assert [outcome(provider) for provider in providers] == ["sent", "sent"]
        until(lambda: "".join(service.log).count('"mail_events"'), lambda seen: seen == 2)
        assert [outcome(provider) for provider in providers] == ["suppressed", "suppressed"]
        log = "".join(service.log)
    assert "webhook_rejected" not in log
    assert "bounce-" not in log
