"""The providers' webhooks, turned into the signals that the waiting jobs are woken by.

Both functions take the raw body and the headers as they came, verify the signature, and return the signal's
name and payload, or None for an event that no job waits for. They raise WebhookRejected. Payloads hold ids
and states, nothing personal.
"""

from __future__ import annotations

from collections.abc import Mapping

from corral.providers import idenfy, onfido
from corral.providers.webhook import Signal
from corral.settings import Settings


def receive_onfido(raw: bytes, headers: Mapping[str, str]) -> Signal | None:
    """An Onfido webhook; signed in `X-SHA2-Signature`."""
    return onfido.read_webhook(
        raw, _header(headers, "X-SHA2-Signature"), onfido.webhook_token(Settings.load())
    )


def receive_idenfy(raw: bytes, headers: Mapping[str, str]) -> Signal | None:
    """An iDenfy webhook; signed in `Idenfy-Signature`."""
    return idenfy.read_webhook(raw, _header(headers, "Idenfy-Signature"), idenfy.webhook_key(Settings.load()))


def _header(headers: Mapping[str, str], name: str) -> str:
    """A header by name in any case: a plain dict is as good as a framework's headers."""
    wanted = name.lower()
    return next((value for key, value in headers.items() if key.lower() == wanted), "")
