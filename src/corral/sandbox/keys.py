"""The sandbox's keys. They are fixed and public: they open nothing but a sandbox."""

from __future__ import annotations

ONFIDO_API_KEY = "api_sandbox.corral-sandbox-onfido"
ONFIDO_WEBHOOK_TOKEN = "corral-sandbox-onfido-webhook"  # noqa: S105 - public by design, see above
IDENFY_API_KEY = "corral-sandbox-idenfy-key"
IDENFY_API_SECRET = "corral-sandbox-idenfy-secret"  # noqa: S105 - the same
IDENFY_WEBHOOK_KEY = "corral-sandbox-idenfy-webhook"
SUPABASE_SERVICE_KEY = "sb_secret_corral-sandbox-supabase"

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
