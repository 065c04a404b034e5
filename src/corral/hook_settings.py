"""What the settings say about outgoing webhooks: secrets, endpoints of the service, and which URLs are taken.

Options: CORRAL_WEBHOOK_SECRET (`whsec_…`; several, separated by spaces or commas, sign side by side while one
replaces the other), CORRAL_WEBHOOKS (JSON, or a path to it), CORRAL_FETCH_ALLOW.
No message here repeats a secret.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from corral.bullmq.keys import QueueKeys
from corral.environment import read_settings
from corral.errors import ConfigurationError, CorralError, InvalidOptions
from corral.hooks import EVENTS, QUEUE, Event, HookRules, Webhook, hook_of

if TYPE_CHECKING:
    from corral.queue import Queue
    from corral.settings import Settings

#: Bytes of a key, as Standard Webhooks has them.
SHORTEST_KEY, LONGEST_KEY = 24, 64

UNSIGNED = (
    "A webhook is signed, and there is no secret: set CORRAL_WEBHOOK_SECRET to whsec_ and the base64 of "
    "24 to 64 random bytes."
)


class Endpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of CORRAL_WEBHOOKS. Without `queues`, those of all; without `secret`, the service's."""

    url: str
    secret: str = ""
    queues: tuple[str, ...] = ()
    events: tuple[Event, ...] = EVENTS


@dataclass(frozen=True, slots=True)
class HookSettings:
    """The settings, read and checked."""

    secrets: tuple[bytes, ...]
    endpoints: tuple[Endpoint, ...]
    fetch_allow: tuple[str, ...]

    @classmethod
    def load(cls) -> HookSettings:
        """From the environment. Raises ConfigurationError."""
        return cls.of(read_settings())

    @classmethod
    def of(cls, settings: Settings) -> HookSettings:
        """From these settings. Raises ConfigurationError."""
        text = settings.webhook_secret.get_secret_value()
        if not text.strip() and settings.sandbox:
            # Imported here: outside the sandbox nobody needs its keys.
            from corral.sandbox import keys  # noqa: PLC0415

            text = keys.WEBHOOK_SECRET
        secrets = parse_secrets("CORRAL_WEBHOOK_SECRET", text)
        return cls(secrets, _endpoints(settings.webhooks.get_secret_value()), settings.fetch_allow)

    def checked(self, given: str | Webhook) -> Webhook:
        """The hook that a caller asks for. Raises InvalidOptions if it could not be delivered."""
        hook = hook_of(given)
        if not self.keys_for(hook.url):
            raise InvalidOptions(UNSIGNED)
        # Imported here: a process without hooks has no use for an HTTP client.
        from corral.providers.addresses import Allowance  # noqa: PLC0415
        from corral.providers.urls import check_url, literal_refusal  # noqa: PLC0415

        allow = Allowance.of(self.fetch_allow)
        try:
            refusal = literal_refusal(check_url(hook.url, allow), allow)
        except CorralError as error:
            raise InvalidOptions(f"webhook: {getattr(error, 'reason', error)}.") from None
        if refusal is not None:
            raise InvalidOptions(
                f"webhook: its host is an address that is not public ({refusal}). See CORRAL_FETCH_ALLOW."
            )
        return hook

    def standing(self, queue: str) -> tuple[Webhook, ...]:
        """The service's hooks for the jobs of a queue."""
        return tuple(
            Webhook(each.url, each.events)
            for each in self.endpoints
            if not each.queues or queue in each.queues
        )

    def keys_for(self, url: str) -> tuple[bytes, ...]:
        """The keys that sign what goes to a URL; none: it cannot be signed."""
        for each in self.endpoints:
            if each.url == url and each.secret:
                return parse_secrets("CORRAL_WEBHOOKS", each.secret)
        return self.secrets


def rules_of(queue: Queue) -> HookRules:
    """The hooks of a queue's jobs, by its declaration and the settings. Raises ConfigurationError."""
    keys = queue.keys()
    base = QueueKeys(keys.prefix, QUEUE).base
    settings = HookSettings.load()
    try:
        standing = [settings.checked(hook) for hook in (*queue.webhooks, *settings.standing(queue.name))]
    except InvalidOptions as error:
        raise ConfigurationError(f"Queue {queue.name!r}: {error}") from None
    return HookRules(queue.name, base, tuple(standing))


def parse_secrets(setting: str, text: str) -> tuple[bytes, ...]:
    """The keys of `whsec_…` secrets, newest first. Raises ConfigurationError that names the setting alone."""
    return tuple(_key(setting, secret) for secret in text.replace(",", " ").split())


def _key(setting: str, secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith("whsec_") or not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise ConfigurationError(
            f"{setting}: a secret is whsec_ and the base64 of {SHORTEST_KEY} to {LONGEST_KEY} bytes."
        )
    return key


def _endpoints(text: str) -> tuple[Endpoint, ...]:
    text = text.strip()
    if not text:
        return ()
    if not text.startswith("["):
        try:
            text = Path(text).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"CORRAL_WEBHOOKS is neither a JSON list nor a readable file ({type(error).__name__})."
            ) from None
    try:
        endpoints = msgspec.json.decode(text, type=tuple[Endpoint, ...])
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"CORRAL_WEBHOOKS: {error}.") from None
    except msgspec.DecodeError:
        raise ConfigurationError("CORRAL_WEBHOOKS is not JSON.") from None
    for each in endpoints:
        parse_secrets("CORRAL_WEBHOOKS", each.secret)
        try:
            Webhook(each.url, each.events)
        except InvalidOptions as error:
            raise ConfigurationError(f"CORRAL_WEBHOOKS: {error}") from None
    return endpoints
