"""The outside services, one file each, and `providers()`: the set that the settings describe.

Importing this room imports none of them: who wants a small thing of it (the form of a mail address) does not
load HTTP clients and cryptography. Each is imported by whoever first asks for it (decision 7).

Each file has a `from_settings` that makes its client: the real service, the sandbox's stand-in, or one that
says on every call which setting is missing; `choice` holds the rule. Settings that were changed (in `.env`;
the environment of a process cannot be) are taken over by `renew_providers`, which a worker calls as a breaker
opens and before a probe.

Emits: sandbox_started (warning), provider_settings_renewed (info), provider_settings_unreadable (warning).
"""

# ruff: noqa: PLC0415  # each provider is imported where it is first asked for (decision 7)

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import structlog

from corral.errors import ConfigurationError
from corral.providers.choice import Surroundings
from corral.settings import Settings

if TYPE_CHECKING:
    from corral.providers.apns import Apns
    from corral.providers.fcm import Fcm
    from corral.providers.fetch import Fetcher
    from corral.providers.idenfy import Idenfy
    from corral.providers.images import ImageTarget
    from corral.providers.mailgun import Mailgun
    from corral.providers.onfido import Onfido
    from corral.providers.sendgrid import SendGrid
    from corral.providers.smtp import Smtp
    from corral.providers.standard_webhooks import WebhookSender
    from corral.providers.supabase import Supabase
    from corral.providers.twilio import Twilio
    from corral.providers.webpush import WebPush
    from corral.recipients import RecipientResolver
    from corral.sinks.chosen import Sinks

log = structlog.get_logger(__name__)


class Providers:
    """One client of each outside service, made when first asked for. Close it when the process stops."""

    def __init__(self, settings: Settings, sandbox_url: str = "") -> None:
        self._surroundings = Surroundings(settings, sandbox_url.rstrip("/") if settings.sandbox else "")
        #: What was replaced by `renew` and may still be in use.
        self._replaced: list[Any] = []

    @cached_property
    def onfido(self) -> Onfido:
        """Identity checks."""
        from corral.providers import onfido

        return onfido.from_settings(self._surroundings)

    @cached_property
    def idenfy(self) -> Idenfy:
        """Identity checks."""
        from corral.providers import idenfy

        return idenfy.from_settings(self._surroundings)

    @cached_property
    def supabase(self) -> Supabase:
        """Tables and files."""
        from corral.providers import supabase

        return supabase.from_settings(self._surroundings)

    @cached_property
    def sendgrid(self) -> SendGrid:
        """Mail."""
        from corral.providers import sendgrid

        return sendgrid.from_settings(self._surroundings)

    @cached_property
    def mailgun(self) -> Mailgun:
        """Mail."""
        from corral.providers import mailgun

        return mailgun.from_settings(self._surroundings)

    @cached_property
    def smtp(self) -> Smtp:
        """Mail, by a server of one's own."""
        from corral.providers import smtp

        return smtp.from_settings(self._surroundings)

    @cached_property
    def fetcher(self) -> Fetcher:
        """Every URL that a user chose goes through it."""
        from corral.providers.fetch import Fetcher

        return Fetcher(
            allow=self._surroundings.settings.fetch_allow, sandbox_url=self._surroundings.sandbox_url
        )

    @cached_property
    def images(self) -> ImageTarget:
        """Where finished images go."""
        from corral.providers import images

        return images.from_settings(self._surroundings, self.supabase)

    @cached_property
    def fcm(self) -> Fcm:
        """Push messages."""
        from corral.providers import fcm

        return fcm.from_settings(self._surroundings)

    @cached_property
    def apns(self) -> Apns:
        """Push messages to Apple's devices without FCM."""
        from corral.providers import apns

        return apns.from_settings(self._surroundings)

    @cached_property
    def webpush(self) -> WebPush:
        """Push messages to browsers without FCM."""
        from corral.providers import webpush

        return webpush.from_settings(self._surroundings)

    @cached_property
    def twilio(self) -> Twilio:
        """Text messages."""
        from corral.providers import twilio

        return twilio.from_settings(self._surroundings)

    @cached_property
    def recipients(self) -> RecipientResolver:
        """Devices and phone numbers by user id."""
        from corral.recipients import chosen

        return chosen.from_settings(self.settings, self.supabase)

    @property
    def settings(self) -> Settings:
        """What they were made from."""
        return self._surroundings.settings

    @cached_property
    def sinks(self) -> Sinks:
        """Where analytics events go."""
        # Imported here: only the analytics queue has a use for it.
        from corral.sinks.chosen import chosen

        return chosen(self._surroundings, lambda: self.supabase)

    @cached_property
    def webhooks(self) -> WebhookSender:
        """Endpoints that callers and operators chose."""
        from corral.providers import standard_webhooks

        return standard_webhooks.from_settings(self._surroundings)

    def renew(self, settings: Settings) -> None:
        """Go on with other settings: what is asked for from now on is made from them.

        Clients that are in use stay open until `close`.
        """
        if settings != self._surroundings.settings:
            self._surroundings = replace(self._surroundings, settings=settings)
            self._replaced += self._drop()
            log.info("provider_settings_renewed")

    async def close(self) -> None:
        """Close all connections that were opened."""
        for made in [*self._drop(), *self._replaced]:
            await made.close()
        self._replaced.clear()

    def _drop(self) -> list[Any]:
        return [vars(self).pop(name) for name in list(vars(self)) if not name.startswith("_")]


_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Providers] = WeakKeyDictionary()


async def providers() -> Providers:
    """The providers of this process and running loop, made at first use from the environment.

    Raises ConfigurationError for a malformed setting. In sandbox mode without CORRAL_SANDBOX_URL the first
    call starts a sandbox inside this process.
    """
    loop = asyncio.get_running_loop()
    found = _by_loop.get(loop)
    if found is None:
        settings = Settings.load()
        sandbox_url = await _sandbox_url(settings) if settings.sandbox else ""
        # Another task of this loop may have been quicker while the sandbox started.
        found = _by_loop.get(loop)
        if found is None:
            found = _by_loop[loop] = Providers(settings, sandbox_url)
    return found


def renew_providers() -> None:
    """Read the settings again for the running loop's providers, if it has some: a key may have been changed.

    Never raises: settings that cannot be read (somebody is editing them) leave the providers as they are.
    """
    found = _by_loop.get(asyncio.get_running_loop())
    if found is None:
        return
    try:
        found.renew(Settings.load())
    except (ConfigurationError, OSError, UnicodeDecodeError) as error:
        log.warning("provider_settings_unreadable", error=type(error).__name__)


async def close_providers() -> None:
    """Close the running loop's providers, if there are any. The next `providers()` makes new ones."""
    found = _by_loop.pop(asyncio.get_running_loop(), None)
    if found is not None:
        await found.close()


async def _sandbox_url(settings: Settings) -> str:
    if settings.sandbox_url:
        return settings.sandbox_url
    # Imported here: a process outside sandbox mode has no use for the sandbox's code.
    from corral.sandbox.server import shared

    sandbox = await asyncio.to_thread(shared, settings.public_url)
    log.warning("sandbox_started", url=sandbox.url, note="no identity check of this process is real")
    return sandbox.url
