"""Firebase Cloud Messaging, HTTP v1: push messages to Android, and to iOS and the web through it.

Guarantees: one call of `send` is one message, sent again only when the access token was refused, once. The
job's id is the collapse key everywhere, so that a message sent twice shows once. Answers are judged on FCM's
own `errorCode` before the HTTP status. Neither tokens nor texts are in a reason.
Limits: one device a call, since v1 has no more; 4,096 bytes a message. A token of another project
(SENDER_ID_MISMATCH) counts as dead, so wrong credentials make every token of theirs look dead.

Options: FCM_CREDENTIALS (the service account's JSON, or a path to it), FCM_PROJECT_ID (by default the
account's own).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from corral.errors import ConfigurationError
from corral.providers.checking import accepted
from corral.providers.choice import Surroundings
from corral.providers.errors import ProviderMisconfigured, ProviderPermanent, ProviderRetryable
from corral.providers.http import ProviderClient
from corral.providers.push import DeadDevice, Push
from corral.providers.service_account import AccessTokens, ServiceAccount, read_service_account
from corral.providers.verdict import Answer, Kind, Verdict, by_status, safe_code

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
BASE_URL = "https://fcm.googleapis.com"

#: Seconds; a quota is counted by the minute.
QUOTA_WAIT = 60.0

#: Nobody is subscribed to it, and what names it is never delivered.
CHECK_TOPIC = "corral-check"

#: A plain 401: the access token, which is renewed once before the account is blamed.
STALE = "UNAUTHENTICATED"

#: Our name for the INVALID_ARGUMENT that is about the token; others are about the message.
INVALID_TOKEN = "INVALID_REGISTRATION_TOKEN"  # noqa: S105 - a code
_DEAD = frozenset({"UNREGISTERED", "SENDER_ID_MISMATCH", INVALID_TOKEN})
_ACCOUNT = frozenset({"THIRD_PARTY_AUTH_ERROR", "APNS_AUTH_ERROR"})


class _Sent(msgspec.Struct):
    name: str


class Fcm:
    """Calls to FCM.

    account: whose project it is; None with `missing`, which says what to set.
    project: overrides the account's own.
    """

    name = "fcm"

    def __init__(
        self,
        *,
        account: ServiceAccount | None,
        project: str = "",
        base_url: str = BASE_URL,
        missing: str = "",
        sandbox: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        project = project or (account.project_id if account else "")
        if account is not None and not project:
            missing = missing or "the account names no project; set FCM_PROJECT_ID"
        self._path = f"/v1/projects/{project}/messages:send"
        self._client = ProviderClient(
            "fcm", base_url=base_url, classify=classify, missing=missing, sandbox=sandbox
        )
        self._tokens = None
        if account is not None and not missing:
            self._tokens = AccessTokens(account, SCOPE, name="fcm", sandbox=sandbox, clock=clock)

    async def send(self, token: str, push: Push) -> str:
        """Send to one device; returns the message's name at FCM. Raises as `PushProvider.send` does."""
        request = {"message": message(token, push)}
        try:
            return await self._renewing(request, [token, *push.private])
        except ProviderPermanent as error:
            if error.code in _DEAD:
                raise DeadDevice("fcm", error.reason, code=error.code) from None
            raise

    async def check(self) -> None:
        """Whether the account may send for the project: FCM looks at a message without delivering it.

        Raises the provider errors. Two round trips at most, the first one for an access token.
        """
        with accepted():
            await self._renewing({"validate_only": True, "message": {"topic": CHECK_TOPIC}}, ())

    async def close(self) -> None:
        """Close the connections."""
        if self._tokens is not None:
            await self._tokens.close()
        await self._client.close()

    async def _renewing(self, request: Mapping[str, Any], private: Collection[str]) -> str:
        """Post; once more with another access token if the first one was refused."""
        try:
            return await self._post(request, private)
        except ProviderRetryable as error:
            if error.code != STALE:
                raise
        try:
            return await self._post(request, private)
        except ProviderRetryable as error:
            if error.code != STALE:
                raise
            raise ProviderMisconfigured("fcm", error.reason, code=error.code) from None

    async def _post(self, request: Mapping[str, Any], private: Collection[str]) -> str:
        access = await self._tokens.get() if self._tokens is not None else ""
        try:
            sent = await self._client.call(
                "POST",
                self._path,
                _Sent,
                repeatable=True,
                private=[access, *private],
                headers={"Authorization": f"Bearer {access}"},
                json=request,
            )
        except ProviderRetryable as error:
            if error.code == STALE and self._tokens is not None:
                self._tokens.refused(access)
            raise
        return sent.name.rpartition("/")[2]


def message(token: str, push: Push) -> dict[str, Any]:
    """The message as v1 takes it."""
    key = push.collapse_key
    return {
        "token": token,
        "notification": {"title": push.title, "body": push.body},
        "data": dict(push.data),
        # collapse_key is for what still waits at FCM, tag for what the device shows already.
        "android": {"priority": "HIGH", "collapse_key": key, "notification": {"tag": key}},
        "apns": {
            "headers": {"apns-priority": "10", "apns-collapse-id": key},
            "payload": {"aps": {"sound": "default"}},
        },
        "webpush": {"headers": {"Urgency": "high"}, "notification": {"tag": key}},
    }


def from_settings(around: Surroundings) -> Fcm:
    """The project that the settings name, or the sandbox's."""
    settings = around.settings
    if around.plays(settings.fcm_credentials):
        # At the call: the key is made of numbers, which takes a moment that others need not spend.
        from corral.sandbox.accounts import service_account  # noqa: PLC0415  # only where a sandbox runs

        base = f"{around.sandbox_url}/fcm"
        return Fcm(account=service_account(f"{base}/token"), base_url=base, sandbox=True)
    credentials = settings.fcm_credentials.get_secret_value()
    if not credentials:
        return Fcm(account=None, missing="there is no service account; set FCM_CREDENTIALS")
    try:
        account = read_service_account(credentials, "FCM_CREDENTIALS")
    except ConfigurationError as error:
        return Fcm(account=None, missing=str(error))
    return Fcm(account=account, project=settings.fcm_project_id)


def classify(answer: Answer) -> Verdict:
    """FCM's answers: `errorCode` of the FcmError in the details wins, then the HTTP status.

    A plain 401 is the access token: `Fcm.send` renews it once, and a second one is the account.
    """
    if 200 <= answer.status < 300:
        return by_status(answer)
    error = answer.body.get("error") if isinstance(answer.body, Mapping) else None
    error = error if isinstance(error, Mapping) else {}
    detail = error["message"] if isinstance(error.get("message"), str) else ""
    own = fcm_code(error)
    code = safe_code(own or str(error.get("status", "")), answer.status)
    if own in _DEAD:
        return Verdict(Kind.PERMANENT, code, detail)
    if own in _ACCOUNT:
        return Verdict(Kind.MISCONFIGURED, code, detail)
    if own == "INVALID_ARGUMENT":
        about_token = "registration token is not a valid" in detail.lower()
        return Verdict(Kind.PERMANENT, INVALID_TOKEN if about_token else code, detail)
    if own == "QUOTA_EXCEEDED" or answer.status == 429:
        return Verdict(Kind.RETRY, code, detail, max(answer.retry_after, QUOTA_WAIT))
    if own in ("UNAVAILABLE", "INTERNAL"):
        return Verdict(Kind.RETRY, code, detail, answer.retry_after)
    if answer.status == 401:
        return Verdict(Kind.RETRY, STALE, detail)
    if answer.status == 404:
        return Verdict(Kind.MISCONFIGURED, code, detail or "there is no such project")
    return by_status(answer, code, detail)


def fcm_code(error: Mapping[str, Any]) -> str:
    """The `errorCode` of FCM among the details of a Google error, or ''."""
    details = error.get("details")
    for entry in details if isinstance(details, list) else []:
        if isinstance(entry, Mapping) and str(entry.get("@type", "")).endswith("fcm.v1.FcmError"):
            return str(entry.get("errorCode", ""))
    return ""
