"""The sandbox's keys. They are fixed and public: they open nothing but a sandbox."""

from __future__ import annotations

ONFIDO_API_KEY = "api_sandbox.corral-sandbox-onfido"
ONFIDO_WEBHOOK_TOKEN = "corral-sandbox-onfido-webhook"  # noqa: S105 - public by design, see above
IDENFY_API_KEY = "corral-sandbox-idenfy-key"
IDENFY_API_SECRET = "corral-sandbox-idenfy-secret"  # noqa: S105 - the same
IDENFY_WEBHOOK_KEY = "corral-sandbox-idenfy-webhook"
SUPABASE_SERVICE_KEY = "sb_secret_corral-sandbox-supabase"

POSTHOG_API_KEY = "phc_corral-sandbox-posthog"
SEGMENT_WRITE_KEY = "corral-sandbox-segment"
CLICKHOUSE_USER = "corral"
CLICKHOUSE_PASSWORD = "corral-sandbox-clickhouse"  # noqa: S105 - the same

#: Alpha-2; what a sandboxed iDenfy takes for a job that names no country.
COUNTRY = "LT"
