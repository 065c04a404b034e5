"""The jobs of the demo: all five queues, one job that recovers, one for the dead letters. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PASSPORT = {
    "userId": "user-1001",
    "documentType": "passport",
    "documentNumber": "P1234567",
    "frontImageUrl": "https://images.example.com/passport-front.jpg",
    "provider": "onfido",
}
_ID_CARD = {
    "userId": "user-1002",
    "documentType": "id_card",
    "documentNumber": "ID7654321",
    "frontImageUrl": "https://images.example.com/id-card-front.jpg",
    "backImageUrl": "https://images.example.com/id-card-back.jpg",
    "provider": "idenfy",
    "issuingCountry": "DE",
}
_REJECTED = PASSPORT | {"userId": "user-1003", "documentNumber": "P0000000REJECT"}
MOMENT = {
    "imageUrl": "https://images.example.com/landscape.jpg",
    "userId": "user-1001",
    "type": "moment",
    "sizes": [
        {"width": 1600, "height": 1200, "format": "webp"},
        {"width": 800, "height": 600, "format": "webp"},
        {"width": 320, "height": 240, "format": "jpeg"},
    ],
}
_PROFILE = {
    "imageUrl": "https://images.example.com/portrait.jpg",
    "userId": "user-1002",
    "type": "profile",
    "sizes": [{"width": 256, "height": 256, "format": "webp"}, {"width": 64, "height": 64, "format": "jpeg"}],
}
WELCOME = {
    "to": "user-1001@example.com",
    "template": "welcome",
    "data": {"name": "user-1001", "actionUrl": "https://app.example.com/start"},
    "provider": "sendgrid",
}
_RESET = {
    "to": "user-1002@example.com",
    "template": "password-reset",
    "data": {"name": "user-1002", "resetUrl": "https://app.example.com/reset", "expiresInMinutes": 30},
    "provider": "mailgun",
}
NO_TEMPLATE = WELCOME | {"template": "no-such-template"}
PUSH = {"userId": "user-1001", "type": "push", "title": "Hello", "body": "Your photographs are ready."}
_SMS = {"userId": "user-1002", "type": "sms", "title": "Code", "body": "Your code is 123456."}
EVENT = {
    "event": "signed_up",
    "userId": "user-1001",
    "properties": {"plan": "free"},
    "timestamp": "2026-01-01T12:00:00Z",
}

#: Its first download meets a server that is away.
_FLAKY_PATH = "flaky-landscape.jpg"

#: What the sandbox is told before the jobs are sent.
FAULTS: tuple[dict[str, Any], ...] = (
    {"provider": "images", "fault": "500", "times": 1, "path": _FLAKY_PATH},
)


@dataclass(slots=True)
class DemoJob:
    """A job, what shall become of it, and what was last seen of it."""

    title: str
    path: str
    queue: str
    data: dict[str, Any]
    #: What happens on the way, for who reads the result.
    story: str = ""
    expected: str = "completed"
    id: str = ""
    seen: dict[str, Any] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.seen.get("status") in ("completed", "failed")

    @property
    def as_expected(self) -> bool:
        """Whether it ended as it shall."""
        return self.seen.get("status") == self.expected


def demo_jobs() -> list[DemoJob]:
    """The jobs, not yet sent."""
    kyc, image, mail = "kyc-verification", "image-processing", "email"
    return [
        DemoJob("Passport, Onfido", "/verify-kyc", kyc, PASSPORT),
        DemoJob("ID card, iDenfy", "/verify-kyc", kyc, _ID_CARD),
        DemoJob(
            "Rejected passport", "/verify-kyc", kyc, _REJECTED,
            story="A rejected person is a completed job.",
        ),
        DemoJob("Moment, 3 sizes", "/process-image", image, MOMENT),
        DemoJob("Profile, 2 sizes", "/process-image", image, _PROFILE),
        DemoJob(
            "Server away at first", "/process-image", image,
            MOMENT | {"imageUrl": f"https://images.example.com/{_FLAKY_PATH}"},
            story="The first attempt met a server error; the second one succeeded.",
        ),
        DemoJob("Welcome, SendGrid", "/send-email", mail, WELCOME),
        DemoJob("Reset, Mailgun", "/send-email", mail, _RESET),
        DemoJob(
            "No such template", "/send-email", mail, NO_TEMPLATE,
            story="In the dead letters at once: another attempt could not help.", expected="failed",
        ),
        DemoJob("Push message", "/notify", "notification", PUSH),
        DemoJob("Text message", "/notify", "notification", _SMS),
        DemoJob("Event", "/track", "analytics", EVENT),
    ]  # fmt: skip
