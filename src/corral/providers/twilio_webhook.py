"""Twilio's status callbacks: HMAC-SHA1 over the whole URL and the sorted form, then the state in it. Pure.

The URL is the one that Twilio was given, so CORRAL_PUBLIC_URL must be what Twilio calls, whatever the proxies
in between make of it. Twilio's own libraries disagree about a standard port in it, so both ways are tried.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from corral.providers.errors import WebhookRejected

Fields = Sequence[tuple[str, str]]

_STATE = re.compile(r"[a-z_-]{1,30}")
_CODE = re.compile(r"\d{1,6}")
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class SmsState:
    """What became of a message. `error` is Twilio's number for why it was not delivered, or ''."""

    job_id: str
    state: str
    error: str = ""


def sign(token: str, url: str, fields: Fields) -> str:
    """The signature of a callback, in base64. A field that comes more than once counts once a value."""
    signed = url + "".join(name + value for name, value in sorted(set(fields)))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


def read_callback(url: str, raw: bytes, signature: str, token: str) -> SmsState | None:
    """The state in a callback; None if it is none, or of no job of ours. Raises WebhookRejected.

    url: as Twilio was given it, with its query.
    """
    if not token:
        raise WebhookRejected("twilio: callbacks cannot be checked without TWILIO_AUTH_TOKEN; set it")
    try:
        fields = parse_qsl(raw.decode(), keep_blank_values=True, strict_parsing=bool(raw))
    except ValueError:
        fields = []
    proofs = [sign(token, way, fields).encode() for way in _ways(url)]
    given = signature.strip().encode()
    if not any(hmac.compare_digest(proof, given) for proof in proofs):
        raise WebhookRejected(
            "twilio: the signature does not match; compare TWILIO_AUTH_TOKEN, and CORRAL_PUBLIC_URL with the "
            "address that Twilio calls"
        )
    said = dict(fields)
    job_id = dict(parse_qsl(urlsplit(url).query)).get("job", "")
    state, error = said.get("MessageStatus", ""), said.get("ErrorCode", "")
    if not job_id or not _STATE.fullmatch(state):
        return None
    return SmsState(job_id, state, error if _CODE.fullmatch(error) else "")


def _ways(url: str) -> set[str]:
    """The URL with and without its scheme's own port."""
    parts = urlsplit(url)
    standard = _PORTS.get(parts.scheme)
    if standard is None or parts.port not in (None, standard):
        return {url}
    host = parts.netloc.removesuffix(f":{standard}")
    return {urlunsplit(parts._replace(netloc=netloc)) for netloc in (host, f"{host}:{standard}")}
