"""Settings from the environment and `.env`; every name is listed in `.env.example`.

Each secret NAME may also be given as NAME_FILE, the path of a file that holds it: see `secret_files`.

A name that starts with CORRAL_ and is not known is an error that names the near one: a misspelt
setting must never fall back to a default in silence.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from typing import Annotated, Literal

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from corral.errors import ConfigurationError
from corral.secret_files import SUFFIX, secrets_from_files

#: A provider whose key is missing outside sandbox mode holds its jobs; see DESIGN "Sandbox mode".
_SECRET_NONE = SecretStr("")

#: A table or column, and a time of the day.
_NAME = "^[A-Za-z_][A-Za-z0-9_]*$"
_CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9]"

#: Where analytics events can go.
AnalyticsSink = Literal["sqlite", "supabase", "postgres", "posthog", "segment", "clickhouse"]

#: A table, with or without what it is in; the name goes into statements.
_TABLE = r"^[A-Za-z_][A-Za-z0-9_]{0,62}(\.[A-Za-z_][A-Za-z0-9_]{0,62})?$"
_HTTP = r"^https?://\S+$"


class Settings(BaseSettings):
    """One frozen snapshot of the environment. Make it with `Settings.load()`."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, populate_by_name=True)

    # Redis
    redis_url: str = Field("redis://127.0.0.1:6379", alias="REDIS_URL")
    redis_password: SecretStr = Field(_SECRET_NONE, alias="REDIS_PASSWORD")
    prefix: str = Field("bull", alias="CORRAL_PREFIX")

    # Worker
    lock_seconds: float = Field(30, alias="CORRAL_LOCK_SECONDS", gt=0)
    stalled_seconds: float = Field(30, alias="CORRAL_STALLED_SECONDS", gt=0)
    grace_seconds: float = Field(30, alias="CORRAL_GRACE_SECONDS", ge=0)

    # Scaling and supervision
    scale_drain_seconds: float = Field(30, alias="CORRAL_SCALE_DRAIN_SECONDS", gt=0)
    scale_age_seconds: float = Field(60, alias="CORRAL_SCALE_AGE_SECONDS", gt=0)
    scale_interval_seconds: float = Field(5, alias="CORRAL_SCALE_INTERVAL_SECONDS", gt=0)
    scale_up_seconds: float = Field(15, alias="CORRAL_SCALE_UP_SECONDS", ge=0)
    scale_down_seconds: float = Field(120, alias="CORRAL_SCALE_DOWN_SECONDS", ge=0)
    drain_seconds: float = Field(3_600, alias="CORRAL_DRAIN_SECONDS", gt=0)

    # Statistics
    release: str = Field("", alias="CORRAL_RELEASE", pattern=r"^[\x21-\x7e]{0,64}$")

    # Logs
    log_format: str = Field("auto", alias="CORRAL_LOG_FORMAT", pattern="^(auto|json|text)$")
    log_level: str = Field("info", alias="CORRAL_LOG_LEVEL", pattern="^(debug|info|warning|error)$")

    # Breakers
    breaker_hold_seconds: float = Field(86_400, alias="CORRAL_BREAKER_HOLD_SECONDS", gt=0)
    breaker_probe_seconds: float = Field(10, alias="CORRAL_BREAKER_PROBE_SECONDS", gt=0)
    breaker_rate: float = Field(10, alias="CORRAL_BREAKER_RATE", gt=0)
    breaker_failures: int = Field(0, alias="CORRAL_BREAKER_FAILURES", ge=0)
    breaker_window_seconds: float = Field(60, alias="CORRAL_BREAKER_WINDOW_SECONDS", gt=0)

    # Access
    api_keys: SecretStr = Field(_SECRET_NONE, alias="CORRAL_API_KEYS")
    dashboard_users: SecretStr = Field(_SECRET_NONE, alias="CORRAL_DASHBOARD_USERS")
    dashboard_url: str = Field("http://127.0.0.1:3002", alias="CORRAL_DASHBOARD_URL", pattern=_HTTP)
    dashboard_oidc_only: bool = Field(False, alias="CORRAL_DASHBOARD_OIDC_ONLY")
    dashboard_oidc_issuer: str = Field("", alias="CORRAL_DASHBOARD_OIDC_ISSUER", pattern=f"^$|{_HTTP}")
    dashboard_oidc_client_id: str = Field("", alias="CORRAL_DASHBOARD_OIDC_CLIENT_ID")
    dashboard_oidc_client_secret: SecretStr = Field(_SECRET_NONE, alias="CORRAL_DASHBOARD_OIDC_CLIENT_SECRET")
    dashboard_oidc_name: str = Field("single sign-on", alias="CORRAL_DASHBOARD_OIDC_NAME", max_length=40)
    dashboard_oidc_scopes: str = Field(
        "openid email profile", alias="CORRAL_DASHBOARD_OIDC_SCOPES", pattern=r"^(.* )?openid( .*)?$"
    )
    dashboard_oidc_user_claim: str = Field("email", alias="CORRAL_DASHBOARD_OIDC_USER_CLAIM", min_length=1)
    dashboard_oidc_groups_claim: str = Field(
        "groups", alias="CORRAL_DASHBOARD_OIDC_GROUPS_CLAIM", min_length=1
    )
    dashboard_oidc_roles: str = Field("", alias="CORRAL_DASHBOARD_OIDC_ROLES")
    dashboard_oidc_email_domains: Annotated[tuple[str, ...], NoDecode] = Field(
        (), alias="CORRAL_DASHBOARD_OIDC_EMAIL_DOMAINS"
    )
    environment: str = Field("production", alias="CORRAL_ENVIRONMENT", max_length=40)
    encryption_keys: SecretStr = Field(_SECRET_NONE, alias="CORRAL_ENCRYPTION_KEYS")
    encrypt: Annotated[tuple[str, ...], NoDecode] = Field((), alias="CORRAL_ENCRYPT")
    fetch_allow: Annotated[tuple[str, ...], NoDecode] = Field((), alias="CORRAL_FETCH_ALLOW")

    # Sandbox
    sandbox: bool = Field(False, alias="CORRAL_SANDBOX")
    sandbox_url: str = Field("", alias="CORRAL_SANDBOX_URL")

    # Where the service keeps files (embedded server, images of the folder target)
    data_dir: str = Field(".corral", alias="CORRAL_DATA_DIR")
    public_url: str = Field("http://127.0.0.1:3000", alias="CORRAL_PUBLIC_URL")

    # Providers
    supabase_url: str = Field("", alias="SUPABASE_URL")
    supabase_service_key: SecretStr = Field(_SECRET_NONE, alias="SUPABASE_SERVICE_KEY")
    onfido_api_key: SecretStr = Field(_SECRET_NONE, alias="ONFIDO_API_KEY")
    onfido_region: str = Field("eu", alias="ONFIDO_REGION", pattern="^(eu|us|ca)$")
    onfido_webhook_token: SecretStr = Field(_SECRET_NONE, alias="ONFIDO_WEBHOOK_TOKEN")
    idenfy_api_key: SecretStr = Field(_SECRET_NONE, alias="IDENFY_API_KEY")
    idenfy_api_secret: SecretStr = Field(_SECRET_NONE, alias="IDENFY_API_SECRET")
    idenfy_webhook_key: SecretStr = Field(_SECRET_NONE, alias="IDENFY_WEBHOOK_KEY")
    sendgrid_api_key: SecretStr = Field(_SECRET_NONE, alias="SENDGRID_API_KEY")
    sendgrid_region: str = Field("global", alias="SENDGRID_REGION", pattern="^(global|eu)$")
    sendgrid_webhook_key: SecretStr = Field(_SECRET_NONE, alias="SENDGRID_WEBHOOK_KEY")
    mailgun_api_key: SecretStr = Field(_SECRET_NONE, alias="MAILGUN_API_KEY")
    mailgun_domain: str = Field("", alias="MAILGUN_DOMAIN")
    mailgun_region: str = Field("us", alias="MAILGUN_REGION", pattern="^(us|eu)$")
    mailgun_webhook_key: SecretStr = Field(_SECRET_NONE, alias="MAILGUN_WEBHOOK_KEY")
    smtp_host: str = Field("", alias="SMTP_HOST")
    smtp_port: int = Field(587, alias="SMTP_PORT", ge=1, le=65535)
    smtp_username: str = Field("", alias="SMTP_USERNAME")
    smtp_password: SecretStr = Field(_SECRET_NONE, alias="SMTP_PASSWORD")
    smtp_tls: str = Field("auto", alias="SMTP_TLS", pattern="^(auto|starttls|implicit|none)$")

    # Outgoing webhooks
    webhook_secret: SecretStr = Field(_SECRET_NONE, alias="CORRAL_WEBHOOK_SECRET")
    webhooks: SecretStr = Field(_SECRET_NONE, alias="CORRAL_WEBHOOKS")
    webhook_give_up: int = Field(5, alias="CORRAL_WEBHOOK_GIVE_UP", ge=1)

    # Analytics
    analytics_sink: Annotated[tuple[AnalyticsSink, ...], NoDecode, Field(min_length=1)] = Field(
        ("sqlite",), alias="CORRAL_ANALYTICS_SINK"
    )
    analytics_days: int = Field(0, alias="CORRAL_ANALYTICS_DAYS", ge=0, le=36_500)
    analytics_table: str = Field("analytics_events", alias="CORRAL_ANALYTICS_TABLE", pattern=_TABLE)
    postgres_url: SecretStr = Field(_SECRET_NONE, alias="POSTGRES_URL")
    posthog_api_key: SecretStr = Field(_SECRET_NONE, alias="POSTHOG_API_KEY")
    posthog_host: str = Field("https://us.i.posthog.com", alias="POSTHOG_HOST", pattern=_HTTP)
    segment_write_key: SecretStr = Field(_SECRET_NONE, alias="SEGMENT_WRITE_KEY")
    segment_host: str = Field("https://api.segment.io", alias="SEGMENT_HOST", pattern=_HTTP)
    clickhouse_url: str = Field("", alias="CLICKHOUSE_URL", pattern=f"^$|{_HTTP}")
    clickhouse_user: str = Field("default", alias="CLICKHOUSE_USER")
    clickhouse_password: SecretStr = Field(_SECRET_NONE, alias="CLICKHOUSE_PASSWORD")
    clickhouse_table: str = Field("analytics_events", alias="CLICKHOUSE_TABLE", pattern=_TABLE)

    # Notifications
    fcm_credentials: SecretStr = Field(_SECRET_NONE, alias="FCM_CREDENTIALS")
    fcm_project_id: str = Field("", alias="FCM_PROJECT_ID", pattern="^[A-Za-z0-9:.-]*$")
    apns_key: SecretStr = Field(_SECRET_NONE, alias="APNS_KEY")
    apns_key_id: SecretStr = Field(_SECRET_NONE, alias="APNS_KEY_ID")
    apns_team_id: str = Field("", alias="APNS_TEAM_ID")
    apns_topic: str = Field("", alias="APNS_TOPIC")
    apns_sandbox: bool = Field(False, alias="APNS_SANDBOX")
    vapid_private_key: SecretStr = Field(_SECRET_NONE, alias="VAPID_PRIVATE_KEY")
    vapid_subject: str = Field("", alias="VAPID_SUBJECT", pattern="^((mailto:|https://).+)?$")
    twilio_account_sid: str = Field("", alias="TWILIO_ACCOUNT_SID")
    twilio_auth_token: SecretStr = Field(_SECRET_NONE, alias="TWILIO_AUTH_TOKEN")
    twilio_from: str = Field("", alias="TWILIO_FROM")
    twilio_messaging_service_sid: str = Field("", alias="TWILIO_MESSAGING_SERVICE_SID")
    twilio_status_callbacks: bool = Field(True, alias="TWILIO_STATUS_CALLBACKS")
    recipients: str = Field("", alias="CORRAL_RECIPIENTS")
    devices_table: str = Field("device_tokens", alias="CORRAL_DEVICES_TABLE", pattern=_NAME)
    devices_columns: str = Field(
        "user_id,kind,token", alias="CORRAL_DEVICES_COLUMNS", pattern=r"^\w+,\w+,\w+$"
    )
    phones_table: str = Field("profiles", alias="CORRAL_PHONES_TABLE", pattern=_NAME)
    phones_columns: str = Field(
        "id,phone,time_zone", alias="CORRAL_PHONES_COLUMNS", pattern=r"^\w+,\w+(,\w+)?$"
    )
    quiet_hours: str = Field("", alias="CORRAL_QUIET_HOURS", pattern=f"^({_CLOCK}-{_CLOCK})?$")
    notify_per_user: str = Field(
        "", alias="CORRAL_NOTIFY_PER_USER", pattern=r"^([1-9]\d{0,5}/[1-9]\d{0,6})?$"
    )
    sms_delivery: str = Field(
        "at_most_once", alias="CORRAL_SMS_DELIVERY", pattern="^(at_most_once|at_least_once)$"
    )
    undeliverable: str = Field("complete", alias="CORRAL_UNDELIVERABLE", pattern="^(complete|dead-letter)$")

    # Alerts
    alert_to: Annotated[tuple[str, ...], NoDecode] = Field(("log",), alias="CORRAL_ALERT_TO")
    alert_rules: str = Field("", alias="CORRAL_ALERT_RULES")
    alert_seconds: float = Field(15, alias="CORRAL_ALERT_SECONDS", ge=0.1, le=120)
    alert_slack_url: SecretStr = Field(_SECRET_NONE, alias="CORRAL_ALERT_SLACK_URL")
    alert_pagerduty_key: SecretStr = Field(_SECRET_NONE, alias="CORRAL_ALERT_PAGERDUTY_KEY")
    alert_pagerduty_url: str = Field(
        "https://events.pagerduty.com/v2/enqueue", alias="CORRAL_ALERT_PAGERDUTY_URL", pattern=_HTTP
    )
    alert_webhook_url: SecretStr = Field(_SECRET_NONE, alias="CORRAL_ALERT_WEBHOOK_URL")
    alert_webhook_secret: SecretStr = Field(_SECRET_NONE, alias="CORRAL_ALERT_WEBHOOK_SECRET")
    alert_alertmanager_url: SecretStr = Field(_SECRET_NONE, alias="CORRAL_ALERT_ALERTMANAGER_URL")
    alert_mail_to: Annotated[tuple[str, ...], NoDecode] = Field((), alias="CORRAL_ALERT_MAIL_TO")

    # KYC
    kyc_table: str = Field("kyc_verifications", alias="CORRAL_KYC_TABLE")
    kyc_country: str = Field("", alias="CORRAL_KYC_COUNTRY", pattern="^([A-Z]{2})?$")

    kyc_forget: bool = Field(True, alias="CORRAL_KYC_FORGET")
    kyc_forget_failed_seconds: float = Field(7 * 86_400, alias="CORRAL_KYC_FORGET_FAILED_SECONDS", ge=0)

    # Mail
    mail_from: str = Field("", alias="CORRAL_MAIL_FROM")
    mail_templates: str = Field("", alias="CORRAL_MAIL_TEMPLATES")
    mail_fallback: Annotated[tuple[str, ...], NoDecode] = Field((), alias="CORRAL_MAIL_FALLBACK")
    mail_delivery: str = Field(
        "at_least_once", alias="CORRAL_MAIL_DELIVERY", pattern="^(at_least_once|at_most_once)$"
    )
    mail_suppressed: str = Field("complete", alias="CORRAL_MAIL_SUPPRESSED", pattern="^(complete|fail)$")

    # Images
    image_target: str = Field(
        "folder", alias="CORRAL_IMAGE_TARGET", pattern="^(folder|supabase|s3|cloudflare)$"
    )
    image_bucket: str = Field("images", alias="CORRAL_IMAGE_BUCKET")
    s3_endpoint: str = Field("", alias="S3_ENDPOINT")
    s3_region: str = Field("us-east-1", alias="S3_REGION", min_length=1)
    s3_bucket: str = Field("", alias="S3_BUCKET")
    s3_access_key_id: SecretStr = Field(_SECRET_NONE, alias="S3_ACCESS_KEY_ID")
    s3_secret_access_key: SecretStr = Field(_SECRET_NONE, alias="S3_SECRET_ACCESS_KEY")
    s3_public_url: str = Field("", alias="S3_PUBLIC_URL")
    cloudflare_account_id: str = Field("", alias="CLOUDFLARE_ACCOUNT_ID")
    cloudflare_api_token: SecretStr = Field(_SECRET_NONE, alias="CLOUDFLARE_API_TOKEN")

    @field_validator(
        "fetch_allow",
        "mail_fallback",
        "analytics_sink",
        "encrypt",
        "alert_to",
        "alert_mail_to",
        "dashboard_oidc_email_domains",
        mode="before",
    )  # fmt: skip
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(dict.fromkeys(v.strip() for v in value.split(",") if v.strip()))

    @field_validator("mail_fallback")
    @classmethod
    def _sends_mail(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if set(value) - {"sendgrid", "mailgun", "smtp"}:
            raise ValueError("the providers of mail are sendgrid, mailgun and smtp")
        return value

    @field_validator("quiet_hours")
    @classmethod
    def _quiet_hours_end(cls, value: str) -> str:
        start, _, end = value.partition("-")
        if value and start == end:
            raise ValueError("quiet hours have to end at another time than they start at")
        return value

    @field_validator("prefix")
    @classmethod
    def _prefix_is_a_key_part(cls, value: str) -> str:
        if not value or any(c.isspace() for c in value):
            raise ValueError("a prefix is at least one character and has no white space")
        return value

    @classmethod
    def load(cls) -> Settings:
        """Read the environment. Raises ConfigurationError for a misspelt or malformed setting."""
        check_names(os.environ)
        given: dict[str, str | None] = {}
        env_file = cls.model_config.get("env_file")
        if isinstance(env_file, str):
            given = dotenv_values(env_file, interpolate=False)
            check_names(given, where=f" in {env_file}")
        from_files = secrets_from_files({**given, **os.environ}, secret_names())
        try:
            return cls(**from_files)  # type: ignore[arg-type]  # pydantic reads the rest from the environment
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            raise ConfigurationError(f"{first['loc'][0]}: {first['msg']}. See .env.example.") from None


def known_names() -> frozenset[str]:
    """The environment names that Corral reads."""
    return frozenset(str(field.alias) for field in Settings.model_fields.values())


def secret_names() -> frozenset[str]:
    """Those of them that hold secrets, and so may be given as NAME_FILE."""
    fields = Settings.model_fields.values()
    return frozenset(str(field.alias) for field in fields if field.annotation is SecretStr)


def check_names(environ: Mapping[str, str | None], *, where: str = "") -> None:
    """Raise ConfigurationError if a CORRAL_ name is not one of ours; name the nearest.

    `where` follows the name in the message: " in .env". Case does not matter, as in reading.
    """
    known = known_names() | {name + SUFFIX for name in secret_names()}
    for name in sorted(environ):
        if name.upper().startswith("CORRAL_") and name.upper() not in known:
            near = difflib.get_close_matches(name.upper(), known, n=1)
            hint = f" Did you mean {near[0]}?" if near else " See .env.example for all names."
            raise ConfigurationError(f"{name}{where} is not a setting of Corral.{hint}")
