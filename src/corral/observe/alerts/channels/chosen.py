"""The channels that CORRAL_ALERT_TO names: each imported and made, from its own settings, if it is named."""

# ruff: noqa: PLC0415  # every worker's supervisor comes by here; most have no channel that needs HTTP or mail

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import TYPE_CHECKING

from corral.errors import ConfigurationError
from corral.hook_settings import parse_secrets
from corral.observe.alerts.channels.channel import SEND_SECONDS, Channel, operators_poster
from corral.observe.alerts.channels.log import LogChannel
from corral.settings import Settings

if TYPE_CHECKING:
    from corral.observe.alerts.channels.posting import JsonPoster


def chosen_channels(settings: Settings) -> list[Channel]:
    """Raises ConfigurationError for an unknown name, or a channel whose settings are missing or wrong."""
    channels = []
    for name in settings.alert_to:
        make = _MAKERS.get(name)
        if make is None:
            near = difflib.get_close_matches(name, _MAKERS, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"They are {', '.join(_MAKERS)}."
            raise ConfigurationError(f"CORRAL_ALERT_TO: there is no channel {name[:60]!r}. {hint}")
        channels.append(make(settings))
    return channels


def _slack(settings: Settings) -> Channel:
    from corral.observe.alerts.channels.slack import SlackChannel

    url = settings.alert_slack_url.get_secret_value()
    return SlackChannel(_json("slack", "CORRAL_ALERT_SLACK_URL", url, settings), settings.prefix)


def _pagerduty(settings: Settings) -> Channel:
    from corral.observe.alerts.channels.pagerduty import PagerDutyChannel

    key = settings.alert_pagerduty_key.get_secret_value()
    if not key:
        raise ConfigurationError(
            "CORRAL_ALERT_TO names pagerduty, but CORRAL_ALERT_PAGERDUTY_KEY is not set."
        )
    url = settings.alert_pagerduty_url
    poster = _json("pagerduty", "CORRAL_ALERT_PAGERDUTY_URL", url, settings)
    return PagerDutyChannel(poster, key, settings.prefix, settings.public_url)


def _webhook(settings: Settings) -> Channel:
    from corral.observe.alerts.channels.webhook import WebhookChannel
    from corral.providers.standard_webhooks import WebhookSender

    own = settings.alert_webhook_secret.get_secret_value()
    setting = "CORRAL_ALERT_WEBHOOK_SECRET" if own.strip() else "CORRAL_WEBHOOK_SECRET"
    keys = parse_secrets(setting, own if own.strip() else settings.webhook_secret.get_secret_value())
    if not keys:
        raise ConfigurationError("CORRAL_ALERT_TO names webhook, but CORRAL_ALERT_WEBHOOK_SECRET is not set.")
    url = settings.alert_webhook_url.get_secret_value()
    poster = operators_poster("webhook", "CORRAL_ALERT_WEBHOOK_URL", url, settings.fetch_allow)
    return WebhookChannel(WebhookSender(poster, lambda _: keys, timeout=SEND_SECONDS), url, settings.prefix)


def _alertmanager(settings: Settings) -> Channel:
    from corral.observe.alerts.channels.alertmanager import PATH, AlertmanagerChannel

    setting = "CORRAL_ALERT_ALERTMANAGER_URL"
    base = settings.alert_alertmanager_url.get_secret_value()
    url = base.rstrip("/").removesuffix(PATH) + PATH if base else ""
    source = f"{settings.public_url.rstrip('/')}/api/v1/alerts"
    return AlertmanagerChannel(_json("alertmanager", setting, url, settings), settings.prefix, source)


def _mail(settings: Settings) -> Channel:
    from corral.observe.alerts.channels.mail import from_settings

    return from_settings(settings)


def _json(name: str, setting: str, url: str, settings: Settings) -> JsonPoster:
    from corral.observe.alerts.channels.posting import JsonPoster

    return JsonPoster(name, operators_poster(name, setting, url, settings.fetch_allow), url)


_MAKERS: dict[str, Callable[[Settings], Channel]] = {
    "log": lambda _: LogChannel(),
    "slack": _slack,
    "pagerduty": _pagerduty,
    "webhook": _webhook,
    "alertmanager": _alertmanager,
    "mail": _mail,
}

#: As CORRAL_ALERT_TO takes them.
CHANNEL_NAMES = tuple(_MAKERS)
