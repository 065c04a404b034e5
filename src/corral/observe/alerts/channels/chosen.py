"""The channels that CORRAL_ALERT_TO names, each made from its own settings."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from corral.errors import ConfigurationError
from corral.hook_settings import parse_secrets
from corral.observe.alerts.channels import mail
from corral.observe.alerts.channels.alertmanager import PATH, AlertmanagerChannel
from corral.observe.alerts.channels.channel import SEND_SECONDS, Channel, operators_poster
from corral.observe.alerts.channels.log import LogChannel
from corral.observe.alerts.channels.pagerduty import PagerDutyChannel
from corral.observe.alerts.channels.posting import JsonPoster
from corral.observe.alerts.channels.slack import SlackChannel
from corral.observe.alerts.channels.webhook import WebhookChannel
from corral.providers.standard_webhooks import WebhookSender
from corral.settings import Settings


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
    url = settings.alert_slack_url.get_secret_value()
    return SlackChannel(_json("slack", "CORRAL_ALERT_SLACK_URL", url, settings), settings.prefix)


def _pagerduty(settings: Settings) -> Channel:
    key = settings.alert_pagerduty_key.get_secret_value()
    if not key:
        raise ConfigurationError(
            "CORRAL_ALERT_TO names pagerduty, but CORRAL_ALERT_PAGERDUTY_KEY is not set."
        )
    url = settings.alert_pagerduty_url
    poster = _json("pagerduty", "CORRAL_ALERT_PAGERDUTY_URL", url, settings)
    return PagerDutyChannel(poster, key, settings.prefix, settings.public_url)


def _webhook(settings: Settings) -> Channel:
    own = settings.alert_webhook_secret.get_secret_value()
    setting = "CORRAL_ALERT_WEBHOOK_SECRET" if own.strip() else "CORRAL_WEBHOOK_SECRET"
    keys = parse_secrets(setting, own if own.strip() else settings.webhook_secret.get_secret_value())
    if not keys:
        raise ConfigurationError("CORRAL_ALERT_TO names webhook, but CORRAL_ALERT_WEBHOOK_SECRET is not set.")
    url = settings.alert_webhook_url.get_secret_value()
    poster = operators_poster("webhook", "CORRAL_ALERT_WEBHOOK_URL", url, settings.fetch_allow)
    return WebhookChannel(WebhookSender(poster, lambda _: keys, timeout=SEND_SECONDS), url, settings.prefix)


def _alertmanager(settings: Settings) -> Channel:
    setting = "CORRAL_ALERT_ALERTMANAGER_URL"
    base = settings.alert_alertmanager_url.get_secret_value()
    url = base.rstrip("/").removesuffix(PATH) + PATH if base else ""
    source = f"{settings.public_url.rstrip('/')}/api/v1/alerts"
    return AlertmanagerChannel(_json("alertmanager", setting, url, settings), settings.prefix, source)


def _json(name: str, setting: str, url: str, settings: Settings) -> JsonPoster:
    return JsonPoster(name, operators_poster(name, setting, url, settings.fetch_allow), url)


_MAKERS: dict[str, Callable[[Settings], Channel]] = {
    "log": lambda _: LogChannel(),
    "slack": _slack,
    "pagerduty": _pagerduty,
    "webhook": _webhook,
    "alertmanager": _alertmanager,
    "mail": mail.from_settings,
}

#: As CORRAL_ALERT_TO takes them.
CHANNEL_NAMES = tuple(_MAKERS)
