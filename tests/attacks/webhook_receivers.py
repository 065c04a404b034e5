"""Every receiver of signed webhooks: a genuine call to it, as its provider would send it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from corral.providers.twilio_webhook import sign as sign_twilio

SECRET = "the-webhook-secret-of-the-tests"
PUBLIC_URL = "https://api.example.com"
ADDRESS = "gone@example.com"
JOB = "ntf-7"
_EC = ec.generate_private_key(ec.SECP256R1())

#: Settings with which the genuine calls below are genuine.
ENVIRONMENT = {
    "ONFIDO_WEBHOOK_TOKEN": SECRET,
    "IDENFY_WEBHOOK_KEY": SECRET,
    "MAILGUN_WEBHOOK_KEY": SECRET,
    "TWILIO_AUTH_TOKEN": SECRET,
    "CORRAL_PUBLIC_URL": PUBLIC_URL,
    "SENDGRID_WEBHOOK_KEY": base64.b64encode(
        _EC.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).decode(),
}


@dataclass(frozen=True)
class Call:
    """One request of a provider. `proof` is the header that signs it; None: the proof is in the body."""

    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    proof: str | None = None

    def with_header(self, name: str | None, value: str) -> Call:
        return self if name is None else replace(self, headers=self.headers | {name: value})


#: Makes a genuine call, signed with this secret `age` seconds ago.
Make = Callable[[str, float], Call]


def _hmac(secret: str, raw: bytes) -> str:
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def onfido(secret: str, age: float) -> Call:
    check = {"id": "check-7", "status": "complete", "href": "https://api.example.com/checks/check-7"}
    payload = {"resource_type": "check", "action": "check.completed", "object": check}
    raw = json.dumps({"payload": payload}).encode()
    return Call("/webhooks/onfido", raw, {"X-SHA2-Signature": _hmac(secret, raw)}, "X-SHA2-Signature")


def idenfy(secret: str, age: float) -> Call:
    said = {"final": True, "platform": "PC", "status": {"overall": "APPROVED"}, "scanRef": "scan-7"}
    raw = json.dumps(said).encode()
    return Call("/webhooks/idenfy", raw, {"Idenfy-Signature": _hmac(secret, raw)}, "Idenfy-Signature")


def sendgrid(secret: str, age: float) -> Call:
    raw = json.dumps([{"email": ADDRESS, "event": "spamreport"}]).encode()
    at = str(int(time.time() - age))
    key = _EC if secret == SECRET else ec.generate_private_key(ec.SECP256R1())
    proof = base64.b64encode(key.sign(at.encode() + raw, ec.ECDSA(SHA256()))).decode()
    name = "X-Twilio-Email-Event-Webhook-Signature"
    return Call("/webhooks/sendgrid", raw, {name: proof, "X-Twilio-Email-Event-Webhook-Timestamp": at}, name)


def mailgun(secret: str, age: float) -> Call:
    at, token = str(int(time.time() - age)), secrets.token_hex(25)
    proof = {"timestamp": at, "token": token, "signature": _hmac(secret, (at + token).encode())}
    event = {"event": "complained", "recipient": ADDRESS}
    return Call("/webhooks/mailgun", json.dumps({"signature": proof, "event-data": event}).encode())


def twilio(secret: str, age: float) -> Call:
    form = {"MessageSid": "SM1", "MessageStatus": "delivered"}
    path = f"/webhooks/twilio?job={JOB}"
    proof = sign_twilio(secret, PUBLIC_URL + path, list(form.items()))
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return Call(path, urlencode(form).encode(), kind | {"X-Twilio-Signature": proof}, "X-Twilio-Signature")


RECEIVERS: dict[str, Make] = {
    "/webhooks/onfido": onfido,
    "/webhooks/idenfy": idenfy,
    "/webhooks/sendgrid": sendgrid,
    "/webhooks/mailgun": mailgun,
    "/webhooks/twilio": twilio,
}

#: Who signs the moment, and how old a call may be, in seconds. The others' replays change nothing, see
#: `queues.kyc_webhooks`; Twilio's add a row that the job's log has already.
DATED = {"/webhooks/sendgrid": 300, "/webhooks/mailgun": 12 * 3600}
