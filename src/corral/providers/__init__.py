"""The outside services, one file each, and `providers()`: the set that the settings describe.

Sandbox mode is explicit. In it, a provider without a key talks to the local sandbox with the sandbox's own
key; a provider with a key talks to the real service. Outside it, a provider without a key raises
`ProviderMisconfigured` with the setting to give, on every call: a forgotten key must never turn into a
faked identity check.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

import structlog

from corral.providers.fetch import Fetcher
from corral.providers.folder import FolderTarget
from corral.providers.idenfy import Idenfy
from corral.providers.images import BucketTarget, ImageTarget
from corral.providers.onfido import Onfido
from corral.providers.supabase import Supabase
from corral.sandbox import keys
from corral.settings import Settings

log = structlog.get_logger(__name__)

#: Path of the folder target's files below CORRAL_PUBLIC_URL; the API serves them.
IMAGES_PATH = "/images"


@dataclass(frozen=True, slots=True)
class Providers:
    """One client of each outside service. Close it when the process stops."""

    onfido: Onfido
    idenfy: Idenfy
    supabase: Supabase
    fetcher: Fetcher
    images: ImageTarget

    async def close(self) -> None:
        """Close all connections."""
        for provider in (self.onfido, self.idenfy, self.supabase, self.fetcher):
            await provider.close()


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
            found = _by_loop[loop] = build(settings, sandbox_url)
    return found


async def close_providers() -> None:
    """Close the running loop's providers, if there are any. The next `providers()` makes new ones."""
    found = _by_loop.pop(asyncio.get_running_loop(), None)
    if found is not None:
        await found.close()


def build(settings: Settings, sandbox_url: str = "") -> Providers:
    """The providers that `settings` describe. `sandbox_url` is empty outside sandbox mode."""
    sandbox_url = sandbox_url.rstrip("/")
    supabase = _supabase(settings, sandbox_url)
    images: ImageTarget
    if settings.image_target == "supabase":
        images = BucketTarget(supabase, settings.image_bucket)
    else:
        images = image_folder(settings)
    return Providers(
        onfido=_onfido(settings, sandbox_url),
        idenfy=_idenfy(settings, sandbox_url),
        supabase=supabase,
        fetcher=Fetcher(allow=settings.fetch_allow, sandbox_url=sandbox_url),
        images=images,
    )


def image_folder(settings: Settings) -> FolderTarget:
    """Where finished images are on this machine, and the URL below which the API serves them."""
    return FolderTarget(Path(settings.data_dir) / "images", settings.public_url.rstrip("/") + IMAGES_PATH)


def onfido_webhook_token(settings: Settings) -> str:
    """The secret that Onfido's webhooks are signed with.

    The sandbox's token is public, so it counts only while Onfido itself is the sandbox.
    """
    if _sandboxed(settings, settings.onfido_api_key.get_secret_value()):
        return keys.ONFIDO_WEBHOOK_TOKEN
    return settings.onfido_webhook_token.get_secret_value()


def idenfy_webhook_key(settings: Settings) -> str:
    """The secret that iDenfy's webhooks are signed with; the same holds as for Onfido's."""
    key, secret = settings.idenfy_api_key.get_secret_value(), settings.idenfy_api_secret.get_secret_value()
    if _sandboxed(settings, key, secret):
        return keys.IDENFY_WEBHOOK_KEY
    return settings.idenfy_webhook_key.get_secret_value() or secret


def _sandboxed(settings: Settings, *needed: str) -> bool:
    return settings.sandbox and not all(needed)


def _onfido(settings: Settings, sandbox_url: str) -> Onfido:
    key = settings.onfido_api_key.get_secret_value()
    token = onfido_webhook_token(settings)
    if sandbox_url and _sandboxed(settings, key):
        return Onfido(
            base_url=f"{sandbox_url}/onfido/v3.6",
            api_key=keys.ONFIDO_API_KEY,
            webhook_token=token,
            sandbox=True,
        )
    return Onfido(
        base_url=f"https://api.{settings.onfido_region}.onfido.com/v3.6",
        api_key=key,
        webhook_token=token,
        missing="" if key else "there is no key; set ONFIDO_API_KEY",
    )


def _idenfy(settings: Settings, sandbox_url: str) -> Idenfy:
    key, secret = settings.idenfy_api_key.get_secret_value(), settings.idenfy_api_secret.get_secret_value()
    webhook_key = idenfy_webhook_key(settings)
    if sandbox_url and _sandboxed(settings, key, secret):
        return Idenfy(
            base_url=f"{sandbox_url}/idenfy",
            api_key=keys.IDENFY_API_KEY,
            api_secret=keys.IDENFY_API_SECRET,
            webhook_key=webhook_key,
            # Nothing is real there, so a job without a country need not fail.
            country=settings.kyc_country or keys.COUNTRY,
            sandbox=True,
        )
    return Idenfy(
        base_url="https://ivs.idenfy.com",
        api_key=key,
        api_secret=secret,
        webhook_key=webhook_key,
        country=settings.kyc_country,
        missing="" if key and secret else "there is no key; set IDENFY_API_KEY and IDENFY_API_SECRET",
    )


def _supabase(settings: Settings, sandbox_url: str) -> Supabase:
    url, key = settings.supabase_url, settings.supabase_service_key.get_secret_value()
    if sandbox_url and _sandboxed(settings, url, key):
        return Supabase(url=f"{sandbox_url}/supabase", service_key=keys.SUPABASE_SERVICE_KEY, sandbox=True)
    missing = "" if url and key else "there is no project; set SUPABASE_URL and SUPABASE_SERVICE_KEY"
    return Supabase(url=url, service_key=key, missing=missing)


async def _sandbox_url(settings: Settings) -> str:
    if settings.sandbox_url:
        return settings.sandbox_url
    # Imported here: a process outside sandbox mode has no use for the sandbox's code.
    from corral.sandbox.server import shared  # noqa: PLC0415  # only where a sandbox runs

    sandbox = await asyncio.to_thread(shared, settings.public_url)
    log.warning("sandbox_started", url=sandbox.url, note="no identity check of this process is real")
    return sandbox.url
