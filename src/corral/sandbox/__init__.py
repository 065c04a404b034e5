"""Local stand-ins of every outside service: the whole product runs offline, and nothing real is touched.

They speak the providers' shapes and reject wrong requests as the providers do. Their keys are fixed and
public (`keys`). Nothing here is a judgement about a person: outcomes are chosen by the sender (`outcomes`).

| path | stands for |
|---|---|
| `/onfido/v3.6/…` | Onfido |
| `/idenfy/api/v2/…` | iDenfy |
| `/sendgrid/v3/…` | SendGrid |
| `/mailgun/v3/…` | Mailgun |
| `/supabase/rest/v1/…`, `/supabase/storage/v1/…` | Supabase |
| `/fcm/v1/…`, `/fcm/token` | FCM, Google's OAuth |
| `/apns/3/device/…` | APNs, over HTTP/1.1 |
| `/twilio/2010-04-01/…` | Twilio |
| any path, when the Host is push.example.com | a push service for browsers (`webpush`) |
| `/posthog/batch/` | PostHog |
| `/segment/v1/batch` | Segment |
| `/clickhouse/` | ClickHouse |
| `/s3/corral-sandbox/…` | S3, a bucket of it |
| `/cloudflare/client/v4/…` | Cloudflare Images |
| any path, when the Host is under example.com | sample photographs and documents (`pictures`) |
| `/outbox`, `/faults` | what was received, as a page for a browser and JSON for a program; faults on demand |

Limits: everything is in memory and gone with the process; one process only; loopback only, since `/outbox`
and `/faults` ask for no key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corral.settings import Settings

if TYPE_CHECKING:
    from corral.sandbox.application import SandboxApp
    from corral.sandbox.server import RunningSandbox


def app(**options: Any) -> SandboxApp:
    """The ASGI application; options as `SandboxApp` takes them. Table and bucket are the settings' own."""
    # At the call: the providers read `sandbox.keys`, and need neither the stand-ins nor a server for it.
    from corral.sandbox.application import SandboxApp  # noqa: PLC0415  # only where a sandbox runs

    settings = Settings.load()
    options.setdefault("kyc_table", settings.kyc_table)
    options.setdefault("devices", (settings.devices_table, settings.devices_columns))
    options.setdefault("profiles", (settings.phones_table, settings.phones_columns))
    options.setdefault("analytics_table", settings.analytics_table.rpartition(".")[2])
    options.setdefault("clickhouse_table", settings.clickhouse_table)
    options.setdefault("buckets", (settings.image_bucket,))
    return SandboxApp(**options)


def serve(port: int = 0, **options: Any) -> RunningSandbox:
    """Start a sandbox on loopback, in a thread of this process; returns when it answers.

    port: 0 takes a free one. options: as `SandboxApp` takes them. Stop it with `.stop()` or `with`.
    """
    # The same.
    from corral.sandbox.server import RunningSandbox  # noqa: PLC0415  # only where a sandbox runs

    return RunningSandbox(app(**options), port)
