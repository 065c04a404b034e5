"""Which provider the settings give: the real one, the sandbox, or an error that names the setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from corral.providers import Providers, idenfy, onfido
from corral.providers.errors import ProviderMisconfigured
from corral.providers.folder import FolderTarget
from corral.providers.images import BucketTarget
from corral.providers.mail import Address, Mail
from corral.sandbox import keys
from corral.settings import Settings

SANDBOX_URL = "http://127.0.0.1:1"


def settings(**environment: Any) -> Settings:
    return Settings(_env_file=None, **environment)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "ONFIDO_API_KEY", "IDENFY_API_KEY", "IDENFY_API_SECRET", "SUPABASE_URL", "CORRAL_SANDBOX",
        "SENDGRID_API_KEY", "SENDGRID_REGION", "MAILGUN_API_KEY", "MAILGUN_DOMAIN", "MAILGUN_REGION",
        "SMTP_HOST",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)


async def test_outside_sandbox_mode_a_missing_key_names_its_setting_on_every_call() -> None:
    made = Providers(settings())
    with pytest.raises(ProviderMisconfigured, match="ONFIDO_API_KEY"):
        await made.onfido.get_check("c")
    with pytest.raises(ProviderMisconfigured, match="IDENFY_API_KEY and IDENFY_API_SECRET"):
        await made.idenfy.process("t", country="", document_type="PASSPORT", images={})
    with pytest.raises(ProviderMisconfigured, match="SUPABASE_SERVICE_KEY"):
        await made.supabase.select("t", {})
    with pytest.raises(ProviderMisconfigured, match="SUPABASE_SERVICE_KEY"):
        await made.supabase.upload("b", "p", b"", "image/png")
    await made.close()


MAIL = Mail(Address("shop@example.com"), (Address("a@example.com"),), "<m@example.com>", "m", "s", "t")


async def test_a_missing_mail_key_names_its_setting() -> None:
    made = Providers(settings())
    half = Providers(settings(MAILGUN_API_KEY="only-the-key"))
    for provider, word in (
        (made.sendgrid, "set SENDGRID_API_KEY"),
        (made.mailgun, "set MAILGUN_API_KEY and MAILGUN_DOMAIN"),
        (half.mailgun, "set MAILGUN_API_KEY and MAILGUN_DOMAIN"),
        (made.smtp, "set SMTP_HOST"),
    ):
        with pytest.raises(ProviderMisconfigured, match=word):
            await provider.send(MAIL)
    await made.close()
    await half.close()


@pytest.mark.parametrize(
    ("environment", "sendgrid", "mailgun"),
    [
        ({}, "https://api.sendgrid.com/", "https://api.mailgun.net/v3/"),
        (
            {"SENDGRID_REGION": "eu", "MAILGUN_REGION": "eu"},
            "https://api.eu.sendgrid.com/",
            "https://api.eu.mailgun.net/v3/",
        ),
    ],
)
async def test_mail_goes_by_the_accounts_region(
    environment: dict[str, Any], sendgrid: str, mailgun: str
) -> None:
    account = {"SENDGRID_API_KEY": "k", "MAILGUN_API_KEY": "k", "MAILGUN_DOMAIN": "example.com"}
    # Real keys win over the sandbox.
    made = Providers(settings(CORRAL_SANDBOX=True, **account, **environment), SANDBOX_URL)
    assert (base_url(made.sendgrid), base_url(made.mailgun)) == (sendgrid, mailgun)
    sandboxed = Providers(settings(CORRAL_SANDBOX=True, **environment), SANDBOX_URL)
    assert base_url(sandboxed.sendgrid).startswith(SANDBOX_URL)
    assert base_url(sandboxed.mailgun).startswith(SANDBOX_URL)
    await made.close()
    await sandboxed.close()


async def test_half_a_key_pair_is_no_key() -> None:
    made = Providers(settings(IDENFY_API_KEY="only-the-key"))
    with pytest.raises(ProviderMisconfigured, match="IDENFY_API_SECRET"):
        await made.idenfy.status("s")
    await made.close()


def base_url(provider: Any) -> str:
    return str(provider._client._client.base_url)


async def test_in_sandbox_mode_a_provider_without_a_key_is_the_sandbox_and_one_with_a_key_is_real() -> None:
    made = Providers(
        settings(CORRAL_SANDBOX=True, ONFIDO_API_KEY="api_live.x", ONFIDO_REGION="us"), SANDBOX_URL
    )
    assert base_url(made.onfido) == "https://api.us.onfido.com/v3.6/"
    assert base_url(made.idenfy).startswith(SANDBOX_URL)
    await made.close()


async def test_a_sandbox_url_outside_sandbox_mode_is_not_used() -> None:
    made = Providers(settings(CORRAL_SANDBOX_URL=SANDBOX_URL), SANDBOX_URL)
    assert base_url(made.onfido) == "https://api.eu.onfido.com/v3.6/"
    with pytest.raises(ProviderMisconfigured):
        await made.onfido.get_check("c")
    await made.close()


@pytest.mark.parametrize(
    ("environment", "token", "key"),
    [
        ({}, "", ""),
        ({"CORRAL_SANDBOX": True}, keys.ONFIDO_WEBHOOK_TOKEN, keys.IDENFY_WEBHOOK_KEY),
        (
            {"CORRAL_SANDBOX": True, "ONFIDO_API_KEY": "k", "IDENFY_API_KEY": "k", "IDENFY_API_SECRET": "s"},
            "",
            "s",
        ),
        ({"ONFIDO_WEBHOOK_TOKEN": "t", "IDENFY_WEBHOOK_KEY": "w", "IDENFY_API_SECRET": "s"}, "t", "w"),
    ],
)
def test_webhook_secrets(environment: dict[str, Any], token: str, key: str) -> None:
    assert onfido.webhook_token(settings(**environment)) == token
    assert idenfy.webhook_key(settings(**environment)) == key


async def test_the_image_target(tmp_path: Path) -> None:
    folder = Providers(settings(CORRAL_DATA_DIR=str(tmp_path)))
    bucket = Providers(settings(CORRAL_IMAGE_TARGET="supabase"))
    assert isinstance(folder.images, FolderTarget)
    assert folder.images.root == tmp_path / "images"
    assert isinstance(bucket.images, BucketTarget)
    await folder.close()
    await bucket.close()


@pytest.mark.parametrize(
    ("target", "given", "needed"),
    [
        ("s3", {"S3_BUCKET": "b", "S3_ACCESS_KEY_ID": "k"}, "S3_SECRET_ACCESS_KEY"),
        ("cloudflare", {"CLOUDFLARE_API_TOKEN": "t"}, "CLOUDFLARE_ACCOUNT_ID"),
    ],
)
async def test_an_image_target_without_its_keys_names_them_or_is_the_sandbox(
    target: str, given: dict[str, str], needed: str
) -> None:
    environment: dict[str, Any] = {"CORRAL_IMAGE_TARGET": target, **given}
    made = Providers(settings(**environment))
    with pytest.raises(ProviderMisconfigured, match=f"set .*{needed}"):
        await made.images.write("a.webp", b"", "image/webp")
    await made.close()
    sandboxed = Providers(settings(CORRAL_SANDBOX=True, **environment), SANDBOX_URL)
    assert base_url(sandboxed.images).startswith(f"{SANDBOX_URL}/{target}")
    await sandboxed.close()


async def test_a_complete_image_target_is_the_real_one_even_in_sandbox_mode() -> None:
    real = {"CORRAL_SANDBOX": True, "S3_BUCKET": "b", "S3_ACCESS_KEY_ID": "k", "S3_SECRET_ACCESS_KEY": "s"}
    urls = []
    for more in ({"S3_REGION": "eu-west-1"}, {"S3_ENDPOINT": "https://minio.example.com"}):
        made = Providers(settings(CORRAL_IMAGE_TARGET="s3", **real, **more), SANDBOX_URL)
        urls.append(base_url(made.images))
        await made.close()
    assert urls == ["https://b.s3.eu-west-1.amazonaws.com/", "https://minio.example.com/b/"]
