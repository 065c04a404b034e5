"""Keys of Google, Apple and browsers as people paste them; which provider the settings give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from corral.errors import ConfigurationError
from corral.providers import Providers
from corral.providers.errors import ProviderMisconfigured
from corral.providers.push import Push
from corral.providers.service_account import read_service_account
from corral.providers.signing_key import from_base64url, public_point, read_key, to_base64url
from corral.recipients import Device, RecipientResolver
from corral.recipients.chosen import from_settings
from corral.sandbox import accounts
from corral.settings import Settings

PUSH = Push("t", "b", "job-7")
EC_KEY = ec.derive_private_key(7, ec.SECP256R1())


def pem(key: Any) -> str:
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), "ascii")


def account(**more: Any) -> str:
    form = {
        "type": "service_account", "project_id": "p-1", "private_key_id": "kid-1",
        "private_key": pem(accounts.rsa_key()), "client_email": "a@example.com",
        "token_uri": "https://oauth2.example.com/token",
    }  # fmt: skip
    return json.dumps(form | more)


def settings(**more: Any) -> Settings:
    return Settings(_env_file=None, **more)


def test_a_service_account_is_read_from_its_json_or_its_file(tmp_path: Path) -> None:
    (tmp_path / "account.json").write_text(account())
    for text in (account(), f"  {account()}\n", str(tmp_path / "account.json")):
        read = read_service_account(text, "FCM_CREDENTIALS")
        assert (read.client_email, read.project_id, read.key_id) == ("a@example.com", "p-1", "kid-1")
        assert read.key.private_numbers() == accounts.rsa_key().private_numbers()


@pytest.mark.parametrize(
    "text",
    [
        "/no/such/file.json",
        "{}",
        "{broken",
        "x" * 5000,
        "with\0nul",
        account(private_key="no key"),
        account(private_key=pem(EC_KEY)),
        account(token_uri="nowhere"),
        account(client_email=7),
    ],
)
def test_what_is_no_service_account_is_named_and_not_quoted(text: str) -> None:
    with pytest.raises(ConfigurationError, match="FCM_CREDENTIALS") as caught:
        read_service_account(text, "FCM_CREDENTIALS")
    assert len(str(caught.value)) < 100


def test_a_signing_key_is_read_in_every_form(tmp_path: Path) -> None:
    (tmp_path / "key.p8").write_text(pem(EC_KEY))
    raw = to_base64url((7).to_bytes(32, "big"))
    for text in (pem(EC_KEY), pem(EC_KEY).replace("\n", "\\n"), str(tmp_path / "key.p8"), raw, raw + "="):
        assert public_point(read_key(text, "APNS_KEY")) == public_point(EC_KEY)


@pytest.mark.parametrize(
    "text",
    [
        "/no/such/key.p8",
        "-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----",
        pem(rsa.generate_private_key(65537, 2048)),
        pem(ec.derive_private_key(7, ec.SECP384R1())),
        to_base64url(bytes(32)),
        to_base64url(b"\xff" * 32),
    ],
)
def test_what_is_no_signing_key_is_named_and_not_quoted(text: str) -> None:
    with pytest.raises(ConfigurationError, match="APNS_KEY holds no private key") as caught:
        read_key(text, "APNS_KEY")
    assert len(str(caught.value)) < 100


def test_base64url_with_and_without_padding() -> None:
    for length in range(40):
        raw = bytes(range(length))
        assert from_base64url(to_base64url(raw)) == raw
    assert from_base64url("no base64!") == b""


@pytest.mark.parametrize(
    ("environment", "call", "named"),
    [
        ({}, "fcm", "FCM_CREDENTIALS"),
        ({"FCM_CREDENTIALS": "{}"}, "fcm", "FCM_CREDENTIALS does not hold"),
        ({"FCM_CREDENTIALS": account(project_id="")}, "fcm", "FCM_PROJECT_ID"),
        ({}, "apns", "APNS_KEY, APNS_KEY_ID, APNS_TEAM_ID, APNS_TOPIC"),
        ({"APNS_KEY": "x", "APNS_KEY_ID": "k", "APNS_TEAM_ID": "t"}, "apns", "set APNS_TOPIC"),
        (
            {"APNS_KEY": "x", "APNS_KEY_ID": "k", "APNS_TEAM_ID": "t", "APNS_TOPIC": "a"},
            "apns",
            "no private key",
        ),
        ({}, "webpush", "VAPID_PRIVATE_KEY and VAPID_SUBJECT"),
        ({"VAPID_PRIVATE_KEY": "x", "VAPID_SUBJECT": "mailto:a@example.com"}, "webpush", "no private key"),
        ({}, "twilio", "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"),
        ({"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "t"}, "twilio", "TWILIO_FROM"),
    ],
)
async def test_a_missing_key_names_its_setting_on_every_call(
    environment: dict[str, str], call: str, named: str
) -> None:
    made = Providers(settings(**environment))
    if call == "twilio":
        sending = made.twilio.send("+15005551234", "b", job_id="job-7")
    else:
        sending = getattr(made, call).send("token", PUSH)
    with pytest.raises(ProviderMisconfigured, match=named):
        await sending
    await made.close()


async def test_a_provider_with_its_key_is_the_real_one() -> None:
    own = {
        "FCM_CREDENTIALS": account(), "APNS_KEY": pem(EC_KEY), "APNS_KEY_ID": "k", "APNS_TEAM_ID": "t",
        "APNS_TOPIC": "a", "APNS_SANDBOX": True, "TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "t",
        "TWILIO_MESSAGING_SERVICE_SID": "MG1",
    }  # fmt: skip
    made = Providers(settings(CORRAL_SANDBOX=True, **own), "http://127.0.0.1:1")
    urls = [str(p._client._client.base_url) for p in (made.fcm, made.apns, made.twilio)]
    assert urls == [
        "https://fcm.googleapis.com/",
        "https://api.sandbox.push.apple.com/",
        "https://api.twilio.com/2010-04-01/Accounts/AC1/",
    ]
    await made.close()


class People(RecipientResolver):
    """A resolver as a product would write one."""

    async def devices(self, user_id: str) -> list[Device]:
        return [Device("fcm", user_id)]

    async def phone(self, user_id: str) -> str | None:
        return None

    async def drop(self, user_id: str, device: Device) -> None:
        return None


people = People()
nobody = object()


def made() -> People:
    return people


@pytest.mark.parametrize("name", ["People", "people", "made"])
async def test_a_resolver_of_ones_own(name: str) -> None:
    found = from_settings(settings(CORRAL_RECIPIENTS=f"{__name__}:{name}"), None)  # type: ignore[arg-type]  # not used
    assert isinstance(found, People)
    assert await found.time_zone("user-42") is None
    await found.close()


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("nonsense", "module:name"),
        ("no_such_module_here:people", "no_such_module_here"),
        (f"{__name__}:absent", "absent"),
        (f"{__name__}:nobody", "is no resolver.*devices, phone, drop"),
        (f"{__name__}:pem", "is no resolver"),
    ],
)
def test_what_is_no_resolver_is_a_clear_error(target: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        from_settings(settings(CORRAL_RECIPIENTS=target), None)  # type: ignore[arg-type]  # not used
