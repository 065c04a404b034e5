"""Google's OAuth for a service account: a signed claim in exchange for an access token.

Guarantees: a token is fetched once for all who wait for it, kept until five minutes before its end, and
renewed at once when it is given back as refused. Neither the key nor a token is in an error or a log line.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from corral.errors import ConfigurationError
from corral.providers.errors import ProviderMisconfigured
from corral.providers.http import ProviderClient
from corral.providers.verdict import Answer, Kind, Verdict, by_status, safe_code

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"

#: Seconds that a signed claim is good for; Google takes no longer ones.
CLAIM_SECONDS = 3600

#: Seconds before its end from which on a token is not used any more.
MARGIN = 300.0


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """What a service account's JSON holds."""

    client_email: str
    key: RSAPrivateKey = field(repr=False)
    key_id: str
    token_uri: str
    project_id: str


class _Form(msgspec.Struct):
    client_email: str
    private_key: str
    token_uri: str
    private_key_id: str = ""
    project_id: str = ""


def read_service_account(text: str, setting: str) -> ServiceAccount:
    """The account in a service account's JSON, or in the file of that path.

    Raises ConfigurationError, which names the setting and never quotes what it holds.
    """
    text = text.strip()
    if not text.startswith("{"):
        try:
            text = Path(text).read_text("utf-8")
        except (OSError, ValueError):
            raise ConfigurationError(f"{setting} is neither JSON nor a file that can be read") from None
    try:
        form = msgspec.json.decode(text.encode(), type=_Form)
        key = load_pem_private_key(form.private_key.encode(), password=None)
    except (msgspec.DecodeError, ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigurationError(f"{setting} does not hold the JSON of a service account") from None
    if not isinstance(key, RSAPrivateKey) or not urlsplit(form.token_uri).netloc:
        raise ConfigurationError(f"{setting} does not hold the JSON of a service account")
    return ServiceAccount(form.client_email, key, form.private_key_id, form.token_uri, form.project_id)


class _Granted(msgspec.Struct):
    access_token: str
    expires_in: float


class AccessTokens:
    """Access tokens of one account and scope. `clock` is in epoch seconds."""

    def __init__(
        self,
        account: ServiceAccount,
        scope: str,
        *,
        name: str,
        sandbox: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._account = account
        self._scope = scope
        self._name = name
        self._clock = clock
        where = urlsplit(account.token_uri)
        self._path = where.path
        self._client = ProviderClient(
            name, base_url=f"{where.scheme}://{where.netloc}", classify=classify, sandbox=sandbox
        )
        self._token = ""
        self._until = 0.0
        self._renewing: asyncio.Task[str] | None = None

    async def get(self) -> str:
        """A token that is good for five minutes at least. Raises ProviderRetryable, ProviderMisconfigured."""
        if self._token and self._clock() < self._until:
            return self._token
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew())
            self._renewing.add_done_callback(self._renewed)
        # Shielded: whoever is cancelled must not take the token from the others.
        return await asyncio.shield(self._renewing)

    def refused(self, token: str) -> None:
        """The service did not take this token. Another one that came in between stays."""
        if token == self._token:
            self._token = ""

    async def close(self) -> None:
        """Close the connections."""
        if self._renewing is not None:
            self._renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self._renewing
        await self._client.close()

    async def _renew(self) -> str:
        now = int(self._clock())
        claim = {
            "iss": self._account.client_email,
            "scope": self._scope,
            "aud": self._account.token_uri,
            "iat": now,
            "exp": now + CLAIM_SECONDS,
        }
        headers = {"kid": self._account.key_id} if self._account.key_id else None
        assertion = jwt.encode(claim, self._account.key, algorithm="RS256", headers=headers)
        granted = await self._client.call(
            "POST",
            self._path,
            _Granted,
            repeatable=True,
            private=[assertion],
            data={"grant_type": GRANT, "assertion": assertion},
        )
        if not granted.access_token.isascii() or not granted.access_token.isprintable():
            raise ProviderMisconfigured(self._name, "the token that was granted cannot be a header")
        self._token = granted.access_token
        self._until = now + granted.expires_in - MARGIN
        return self._token

    def _renewed(self, task: asyncio.Task[str]) -> None:
        self._renewing = None
        if not task.cancelled():
            task.exception()  # looked at, so that a failure nobody waits for any more is no warning


def classify(answer: Answer) -> Verdict:
    """The token endpoint's answers: a 400 is the account's fault (`invalid_grant`), not the request's."""
    code = safe_code(answer.text("error"), answer.status)
    if answer.status in (400, 401, 403, 404):
        return Verdict(Kind.MISCONFIGURED, code, answer.text("error_description"))
    return by_status(answer, code, answer.text("error_description"))
