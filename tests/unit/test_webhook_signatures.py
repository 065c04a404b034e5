from __future__ import annotations

import json

import pytest

from corral.providers import idenfy, onfido
from corral.providers.errors import WebhookRejected
from corral.providers.webhook import sign
from corral.queues.kyc_webhooks import receive_idenfy, receive_onfido
from corral.sandbox import keys

ONFIDO_TOKEN = "wU99mE6jJ7nXOLFwZ0tJymM1lpI15pZh"
ONFIDO_BODY = (
    b'{"payload":{"resource_type":"check","action":"check.completed","object":{'
    b'"id":"f2302f45-227d-413d-ad61-09ec077a086a","status":"complete",'
    b'"completed_at_iso8601":"2024-04-04T09:21:21Z",'
    b'"href":"https://api.onfido.com/v3.6/checks/f2302f45-227d-413d-ad61-09ec077a086a"}}}'
)
ONFIDO_SIGNATURE = "77ebc3e418f26be6eebb47f7ebe551321de26734fc273961e075fc9ab163d9c7"

IDENFY_KEY = "idenfy-webhook-test-key"
IDENFY_BODY = (
    b'{"final":true,"platform":"API","status":{"overall":"APPROVED","fraudTags":[],"mismatchTags":[]},'
    b'"data":{"docNumber":"SPECIMEN"},"scanRef":"3af0b5c9-8ef3-4815-8796-5ab3ed942917","clientId":"user-7"}'
)
IDENFY_SIGNATURE = "9bfa761fd23df7cb6cbe53e40861540ea3c194a14276e56584942ba36d6006a6"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("no-env-file"))
    for name in ("ONFIDO_API_KEY", "IDENFY_API_KEY", "IDENFY_API_SECRET", "CORRAL_SANDBOX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ONFIDO_WEBHOOK_TOKEN", ONFIDO_TOKEN)
    monkeypatch.setenv("IDENFY_WEBHOOK_KEY", IDENFY_KEY)


def test_onfidos_vector() -> None:
    assert sign(ONFIDO_TOKEN, ONFIDO_BODY) == ONFIDO_SIGNATURE
    signal = receive_onfido(ONFIDO_BODY, {"X-SHA2-Signature": ONFIDO_SIGNATURE})
    assert signal == (
        "onfido:f2302f45-227d-413d-ad61-09ec077a086a",
        {"action": "check.completed", "status": "complete"},
    )


def test_idenfys_vector_and_nothing_personal_in_the_payload() -> None:
    assert sign(IDENFY_KEY, IDENFY_BODY) == IDENFY_SIGNATURE
    signal = receive_idenfy(IDENFY_BODY, {"idenfy-signature": IDENFY_SIGNATURE})
    assert signal == (
        "idenfy:3af0b5c9-8ef3-4815-8796-5ab3ed942917",
        {"overall": "APPROVED", "fraudTags": [], "mismatchTags": []},
    )


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "0" * 64,
        ONFIDO_SIGNATURE[:-1],
        ONFIDO_SIGNATURE[:-1] + "8",
        "sha256=" + ONFIDO_SIGNATURE,
        "Ünïcödé",
        sign("another token", ONFIDO_BODY),
    ],
)
def test_a_wrong_signature_is_rejected(signature: str) -> None:
    with pytest.raises(WebhookRejected):
        onfido.read_webhook(ONFIDO_BODY, signature, ONFIDO_TOKEN)


@pytest.mark.parametrize("body", [ONFIDO_BODY + b" ", ONFIDO_BODY.replace(b"complete", b"Complete", 1), b""])
def test_a_changed_body_is_rejected_even_by_a_space(body: bytes) -> None:
    with pytest.raises(WebhookRejected):
        onfido.read_webhook(body, ONFIDO_SIGNATURE, ONFIDO_TOKEN)


def test_the_same_json_written_again_is_rejected() -> None:
    again = json.dumps(json.loads(ONFIDO_BODY)).encode()
    with pytest.raises(WebhookRejected):
        onfido.read_webhook(again, ONFIDO_SIGNATURE, ONFIDO_TOKEN)


def test_the_header_is_found_in_any_case_and_hex_in_any_case() -> None:
    assert receive_onfido(ONFIDO_BODY, {"x-sha2-SIGNATURE": ONFIDO_SIGNATURE.upper()}) is not None


def test_a_missing_header_is_rejected() -> None:
    with pytest.raises(WebhookRejected):
        receive_onfido(ONFIDO_BODY, {})


@pytest.mark.parametrize("body", [b"not json", b"[]", b'{"payload":{"action":"check.completed"}}', b"\xff"])
def test_a_signed_body_of_another_form_is_rejected(body: bytes) -> None:
    with pytest.raises(WebhookRejected, match="form"):
        onfido.read_webhook(body, sign(ONFIDO_TOKEN, body), ONFIDO_TOKEN)


@pytest.mark.parametrize("action", ["check.started", "report.completed", "workflow_run.completed"])
def test_events_that_end_no_check_wake_nobody(action: str) -> None:
    body = ONFIDO_BODY.replace(b"check.completed", action.encode())
    assert onfido.read_webhook(body, sign(ONFIDO_TOKEN, body), ONFIDO_TOKEN) is None


def test_a_session_that_is_not_final_wakes_nobody() -> None:
    body = IDENFY_BODY.replace(b'"final":true', b'"final":false')
    assert idenfy.read_webhook(body, sign(IDENFY_KEY, body), IDENFY_KEY) is None


def test_without_a_secret_nothing_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONFIDO_WEBHOOK_TOKEN", "")
    with pytest.raises(WebhookRejected, match="ONFIDO_WEBHOOK_TOKEN"):
        receive_onfido(ONFIDO_BODY, {"X-SHA2-Signature": sign("", ONFIDO_BODY)})


def test_idenfys_api_secret_signs_where_there_is_no_key_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENFY_WEBHOOK_KEY", "")
    monkeypatch.setenv("IDENFY_API_SECRET", "the-api-secret")
    assert receive_idenfy(IDENFY_BODY, {"Idenfy-Signature": sign("the-api-secret", IDENFY_BODY)}) is not None


def test_the_sandboxs_public_token_counts_only_in_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    forged = {"X-SHA2-Signature": sign(keys.ONFIDO_WEBHOOK_TOKEN, ONFIDO_BODY)}
    # Given no sandbox mode, it opens nothing.
    with pytest.raises(WebhookRejected):
        receive_onfido(ONFIDO_BODY, forged)
    # In sandbox mode it is Onfido's token,
    monkeypatch.setenv("CORRAL_SANDBOX", "1")
    assert receive_onfido(ONFIDO_BODY, forged) is not None
    # but not while the real Onfido is used.
    monkeypatch.setenv("ONFIDO_API_KEY", "api_live.real")
    with pytest.raises(WebhookRejected):
        receive_onfido(ONFIDO_BODY, forged)
