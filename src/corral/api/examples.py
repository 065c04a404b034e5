"""Examples for the description of the API: the jobs of the five queues as their callers send them."""

from __future__ import annotations

from typing import Any

KYC = {
    "userId": "user-42",
    "documentType": "passport",
    "documentNumber": "X1234567",
    "frontImageUrl": "https://images.example.com/passport-front.jpg",
    "provider": "onfido",
}
IMAGE = {
    "imageUrl": "https://images.example.com/photo.jpg",
    "userId": "user-42",
    "type": "profile",
    "sizes": [
        {"width": 150, "height": 150, "format": "webp"},
        {"width": 800, "height": 800, "format": "jpeg"},
    ],
}
NOTIFICATION = {
    "userId": "user-42",
    "type": "push",
    "title": "Your order is on its way",
    "body": "It arrives between 14:00 and 16:00.",
    "data": {"orderId": "order-7"},
}
EVENT = {
    "event": "signup_completed",
    "userId": "user-42",
    "properties": {"plan": "pro", "source": "invitation"},
    "timestamp": "2026-11-02T09:30:00.250Z",
    "eventId": "signup-user-42",
}
MAIL = {
    "to": "user-42@example.com",
    "template": "welcome",
    "data": {"name": "user-42", "actionUrl": "https://app.example.com/start"},
    "provider": "sendgrid",
}

#: (queue, job name) → data
DATA: dict[tuple[str, str], dict[str, Any]] = {
    ("kyc-verification", "verify"): KYC,
    ("image-processing", "process"): IMAGE,
    ("notification", "send"): NOTIFICATION,
    ("analytics", "track"): EVENT,
    ("email", "send"): MAIL,
}
