"""The sandbox's keys. They are fixed and public: they open nothing but a sandbox."""

from __future__ import annotations

ONFIDO_API_KEY = "api_sandbox.corral-sandbox-onfido"
ONFIDO_WEBHOOK_TOKEN = "corral-sandbox-onfido-webhook"  # noqa: S105 - public by design, see above
IDENFY_API_KEY = "corral-sandbox-idenfy-key"
IDENFY_API_SECRET = "corral-sandbox-idenfy-secret"  # noqa: S105 - the same
IDENFY_WEBHOOK_KEY = "corral-sandbox-idenfy-webhook"
SUPABASE_SERVICE_KEY = "sb_secret_corral-sandbox-supabase"
SENDGRID_API_KEY = "SG.corral-sandbox-sendgrid"
#: SendGrid's webhooks are signed with a key made from the phrase; the other half is what checks them.
SENDGRID_WEBHOOK_PHRASE = "corral-sandbox-sendgrid-webhook"
SENDGRID_WEBHOOK_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEIxVLwIx+AlqV+5/A5yEN849yn+"
    "D3px1ekL0FrfZrbDOHbvCnrLdlK7oKLh0aYZrDv4NH4zSnONWvsbjhLCEeHA=="
)
MAILGUN_API_KEY = "corral-sandbox-mailgun-key"
MAILGUN_DOMAIN = "mail.example.com"
MAILGUN_WEBHOOK_KEY = "corral-sandbox-mailgun-webhook"

POSTHOG_API_KEY = "phc_corral-sandbox-posthog"
SEGMENT_WRITE_KEY = "corral-sandbox-segment"
CLICKHOUSE_USER = "corral"
CLICKHOUSE_PASSWORD = "corral-sandbox-clickhouse"  # noqa: S105 - the same

#: Alpha-2; what a sandboxed iDenfy takes for a job that names no country.
COUNTRY = "LT"

TWILIO_ACCOUNT_SID = "AC00000000000000000000c0rralsandbox"
TWILIO_AUTH_TOKEN = "corral-sandbox-twilio"  # noqa: S105 - the same
#: Twilio's own number for tests: it may send.
TWILIO_FROM = "+15005550006"
#: The keys of Apple push and web push are made of these (see `accounts`).
APNS_PHRASE = "corral-sandbox-apns"
APNS_KEY_ID = "SANDBOXKEY"
APNS_TEAM_ID = "SANDBOXTEA"
APNS_TOPIC = "com.example.app"
VAPID_PHRASE = "corral-sandbox-vapid"
VAPID_SUBJECT = "mailto:push@example.com"
S3_BUCKET = "corral-sandbox"
S3_REGION = "us-east-1"
S3_ACCESS_KEY_ID = "CORRALSANDBOXKEY"
S3_SECRET_ACCESS_KEY = "corral-sandbox-s3-secret"  # noqa: S105 - the same
CLOUDFLARE_ACCOUNT_ID = "corral-sandbox-account"
CLOUDFLARE_API_TOKEN = "corral-sandbox-cloudflare"  # noqa: S105 - the same

#: Signs outgoing webhooks in sandbox mode; base64 of 32 readable bytes.
WEBHOOK_SECRET = "whsec_Y29ycmFsLXNhbmRib3gtb3V0Z29pbmctd2ViaG9vaw=="  # noqa: S105 - public by design, see above
