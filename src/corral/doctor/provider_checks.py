"""Checks of the outside services: keys that the queues in use need, and breakers. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import SecretStr

from corral.doctor.check import Check
from corral.doctor.facts import Facts
from corral.doctor.findings import Subject, Verdict, failure, note, ok, warning, worst
from corral.settings import Settings

#: What a provider takes, as fields of Settings; a tuple in it: one of them.
Needs = tuple[str | tuple[str, ...], ...]

PROVIDERS: dict[str, Needs] = {
    "onfido": ("onfido_api_key",),
    "idenfy": ("idenfy_api_key", "idenfy_api_secret"),
    "supabase": ("supabase_url", "supabase_service_key"),
    "sendgrid": ("sendgrid_api_key",),
    "mailgun": ("mailgun_api_key", "mailgun_domain"),
    "smtp": ("smtp_host",),
    "fcm": ("fcm_credentials",),
    "apns": ("apns_key", "apns_key_id", "apns_team_id", "apns_topic"),
    "webpush": ("vapid_private_key", "vapid_subject"),
    "twilio": ("twilio_account_sid", "twilio_auth_token", ("twilio_from", "twilio_messaging_service_sid")),
    "s3": ("s3_bucket", "s3_access_key_id", "s3_secret_access_key"),
    "cloudflare": ("cloudflare_account_id", "cloudflare_api_token"),
    "postgres": ("postgres_url",),
    "posthog": ("posthog_api_key",),
    "segment": ("segment_write_key",),
    "clickhouse": ("clickhouse_url",),
}

#: What signs the callbacks of a provider, and what comes of its lack.
WEBHOOK_KEYS = {
    "onfido": ("onfido_webhook_token", "checks are only polled"),
    "idenfy": ("idenfy_webhook_key", "no check ever ends, since iDenfy forbids polling"),
    "sendgrid": ("sendgrid_webhook_key", "bounces are not seen"),
    "mailgun": ("mailgun_webhook_key", "bounces are not seen"),
}


def wanted(settings: Settings, queue: str) -> list[tuple[str, ...]]:
    """What a queue needs: of each group of providers, one."""
    match queue:
        case "kyc-verification":
            return [("onfido", "idenfy"), ("supabase",)]
        case "email":
            return [("sendgrid", "mailgun", "smtp")]
        case "notification":
            return [("fcm", "apns", "webpush", "twilio")]
        case "image-processing" if settings.image_target != "folder":
            return [(settings.image_target,)]
        case "analytics":
            return [(sink,) for sink in settings.analytics_sink if sink != "sqlite"]
    return []


def provider_keys(facts: Facts) -> Verdict:
    settings = facts.settings
    verdicts = []
    for provider, needs in PROVIDERS.items():
        lacking = [need for need in needs if not _given(settings, need)]
        # An address or a bucket alone is no half: it may stand there for something else.
        if lacking and len(lacking) < len(needs):
            names = " and ".join(_names(need) for need in lacking)
            verdicts.append(failure(f"{provider} is set by half", f"Set {names}."))
    if verdicts:
        return worst(verdicts, "")
    for queue in (queue.name for queue in facts.found_queues):
        for group in wanted(settings, queue):
            if not any(_complete(settings, provider) for provider in group):
                first = " and ".join(_names(need) for need in PROVIDERS[group[0]])
                verdicts.append(
                    failure(f"{queue} holds its jobs: no key of {' or '.join(group)}", f"Set {first}.")
                )
    return worst(
        verdicts, "the queues in use have the keys they need; try them: corral breakers test PROVIDER"
    )


def webhook_keys(facts: Facts) -> Verdict:
    settings = facts.settings
    verdicts = [
        warning(f"{provider}: no key for its webhooks, so {effect}", f"Set {field.upper()}.")
        for provider, (field, effect) in WEBHOOK_KEYS.items()
        if _complete(settings, provider) and not _given(settings, field)
    ]
    return worst(verdicts, "callbacks of providers in use are verified")


def breakers(facts: Facts) -> Verdict:
    verdicts = [
        warning(
            f"{breaker.name} is {breaker.state}, {breaker.held:,} jobs held: {breaker.reason}",
            f"corral breakers test {breaker.name}; once it passes: corral breakers resume {breaker.name}",
        )
        for breaker in facts.found_breakers
        if breaker.state != "closed"
    ]
    return worst(verdicts, "no breaker is open")


def image_folder(facts: Facts) -> Verdict:
    if facts.settings.image_target == "folder" and facts.runs("image-processing"):
        return note(
            "images go to a folder of the machine that made them; only an API there serves them",
            "CORRAL_IMAGE_TARGET=s3, supabase or cloudflare",
        )
    return ok(facts.settings.image_target)


def _complete(settings: Settings, provider: str) -> bool:
    return all(_given(settings, need) for need in PROVIDERS[provider])


def _given(settings: Settings, need: str | Sequence[str]) -> bool:
    for field in (need,) if isinstance(need, str) else need:
        value = getattr(settings, field)
        if value.get_secret_value() if isinstance(value, SecretStr) else value:
            return True
    return False


def _names(need: str | Sequence[str]) -> str:
    return need.upper() if isinstance(need, str) else " or ".join(name.upper() for name in need)


CHECKS = tuple(
    Check(name, Subject.PROVIDERS, wants, judge)
    for name, wants, judge in (
        ("provider-keys", "whole keys for the providers of the queues in use", provider_keys),
        ("webhook-keys", "the keys that verify callbacks of these providers", webhook_keys),
        ("breakers", "no breaker open", breakers),
        ("image-folder", "images in a store that all machines reach", image_folder),
    )
)
