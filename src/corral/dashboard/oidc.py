"""Speaking OpenID Connect with one provider: where to send a browser, and what a returned code is worth.

Authorization Code with PKCE. The discovery document and the keys are fetched when they are first needed and
kept for an hour. A token whose key is not among them has them fetched anew, once a minute at most: keys
rotate, and a made-up key id must not make us ask the provider as often as somebody likes.

An ID token is worth something if one of the provider's own public keys signed it, in one of ALGORITHMS (none
of which takes a shared secret), for us, now, and for the sign-in that this browser began (nonce).

Raises Refused: 401 for a token or code that is worth nothing, 503 while the provider does not answer. Neither
says more than that: what came back is personal or secret. Emits: what the provider client does; and
oidc_token_refused (warning; reason: the class of the error).
"""

# ruff: noqa: PLC0415  # jwt brings cryptography: for those who sign in here, not for each start (decision 7)

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

import httpx2
import msgspec
import structlog

from corral.api.problems import Problem, Refused
from corral.dashboard.single_sign_on import SingleSignOn, is_trusted
from corral.providers.errors import ProviderError, ProviderPermanent
from corral.providers.http import ProviderClient
from corral.providers.verdict import Answer, Verdict, by_status

if TYPE_CHECKING:
    import jwt

log = structlog.get_logger(__name__)

#: Seconds: a person waits.
TIMEOUT = httpx2.Timeout(5.0)
#: Seconds that what the provider publishes is kept, and between two looks for a key that is not there.
KEEP_SECONDS, LOOK_AGAIN_SECONDS = 3_600.0, 60.0
#: Requests to the provider at once, whoever causes them.
AT_ONCE = 8
#: Seconds that clocks may differ.
LEEWAY = 60

#: Signatures with a key pair. None of them can be made with what is public.
ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip


_T = TypeVar("_T")


class Begun(msgspec.Struct, frozen=True):
    """A sign-in under way, kept by the browser that began it. `to`: where it wants to go on."""

    state: str
    nonce: str
    verifier: str
    to: str

    @classmethod
    def new(cls, to: str) -> Begun:
        return cls(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48), to)

    def to_cookie(self) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")

    @classmethod
    def from_cookie(cls, value: str | None) -> Begun | None:
        try:
            return msgspec.json.decode(base64.urlsafe_b64decode(f"{value or ''}==="), type=cls)
        except ValueError:
            return None


class Metadata(msgspec.Struct, frozen=True):
    """What of the discovery document is used."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class _KeySet(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str


class Provider:
    """The provider of the settings. One for the process; `close` it."""

    def __init__(self, on: SingleSignOn) -> None:
        self.on = on
        secret = on.client_secret
        self._client = ProviderClient(
            "oidc",
            base_url=on.issuer,
            classify=_classify,
            secrets=[secret] if secret else [],
            timeout=TIMEOUT,
        )
        self._metadata: tuple[Metadata, float] | None = None
        self._keys: list[dict[str, Any]] = []
        self._keys_until = self._next_look = 0.0
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def close(self) -> None:
        await self._client.close()

    async def authorization_url(self, begun: Begun) -> str:
        """Where to send the browser."""
        metadata = await self._discovered()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(begun.verifier.encode()).digest())
        query = urlencode({
            "response_type": "code",
            "client_id": self.on.client_id,
            "redirect_uri": self.on.redirect_uri,
            "scope": self.on.scopes,
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": challenge.decode().rstrip("="),
            "code_challenge_method": "S256",
        })  # fmt: skip
        endpoint = metadata.authorization_endpoint
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"

    async def claims(self, code: str, begun: Begun) -> Mapping[str, Any]:
        """The verified claims of who came back with this code."""
        metadata = await self._discovered()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.on.redirect_uri,
            "code_verifier": begun.verifier,
        }
        request: dict[str, Any] = {"data": form}
        if not self.on.client_secret:
            form["client_id"] = self.on.client_id
        elif "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            request["auth"] = httpx2.BasicAuth(self.on.client_id, self.on.client_secret)
        else:
            form |= {"client_id": self.on.client_id, "client_secret": self.on.client_secret}
        tokens = await self._ask("POST", metadata.token_endpoint, _Tokens, "/token", request)
        return await self._verified(tokens.id_token, begun.nonce)

    # The token

    async def _verified(self, token: str, nonce: str) -> Mapping[str, Any]:
        import jwt

        try:
            key = await self._key_of(jwt.get_unverified_header(token))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=self.on.client_id,
                issuer=self.on.issuer,
                leeway=LEEWAY,
                options={"require": ["iss", "aud", "exp", "iat", "sub"]},
            )
            _check_party(claims, self.on.client_id)
            if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
                raise jwt.InvalidTokenError("nonce")
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            log.warning("oidc_token_refused", reason=type(error).__name__)
            raise Refused(_worthless(self.on.name)) from None
        return claims

    async def _key_of(self, header: Mapping[str, Any]) -> jwt.PyJWK:
        """The provider's key that a token says it was signed with."""
        import jwt

        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS:
            raise jwt.InvalidAlgorithmError
        now = time.monotonic()
        if now >= self._keys_until:
            await self._fetch_keys()
        found = _fitting(self._keys, algorithm, kid)
        if found is None and now >= self._next_look:
            self._next_look = now + LOOK_AGAIN_SECONDS
            await self._fetch_keys()
            found = _fitting(self._keys, algorithm, kid)
        if found is None:
            raise jwt.InvalidKeyError
        return jwt.PyJWK(found, algorithm)

    # What the provider publishes

    async def _discovered(self) -> Metadata:
        if self._metadata is not None and time.monotonic() < self._metadata[1]:
            return self._metadata[0]
        path = f"{self.on.issuer.rstrip('/')}/.well-known/openid-configuration"
        found = await self._ask("GET", path, Metadata, "/.well-known/openid-configuration", {})
        endpoints = (found.authorization_endpoint, found.token_endpoint, found.jwks_uri)
        if found.issuer != self.on.issuer or not all(map(is_trusted, endpoints)):
            log.error("oidc_discovery_refused", issuer_is_ours=found.issuer == self.on.issuer)
            raise Refused(_away(self.on.name))
        self._metadata = found, time.monotonic() + KEEP_SECONDS
        return found

    async def _fetch_keys(self) -> None:
        metadata = await self._discovered()
        found = await self._ask("GET", metadata.jwks_uri, _KeySet, "/jwks", {})
        self._keys, self._keys_until = found.keys, time.monotonic() + KEEP_SECONDS

    async def _ask(self, method: str, url: str, answer: type[_T], shown: str, request: dict[str, Any]) -> _T:
        try:
            async with self._slots:
                return await self._client.call(method, url, answer, repeatable=True, shown=shown, **request)
        except ProviderPermanent:
            if method == "POST":  # a code that was used, is too old, or of somebody else
                raise Refused(_worthless(self.on.name)) from None
            raise Refused(_away(self.on.name)) from None
        except ProviderError:
            raise Refused(_away(self.on.name)) from None


def _fitting(keys: list[dict[str, Any]], algorithm: str, kid: object) -> dict[str, Any] | None:
    """The one key that can have signed; None: there is none, or more than one could."""
    fitting = [
        key
        for key in keys
        if key.get("use", "sig") == "sig"
        and key.get("kty") in ("RSA", "EC", "OKP")
        and key.get("alg", algorithm) == algorithm
        and (kid is None or key.get("kid") == kid)
    ]
    return fitting[0] if len(fitting) == 1 else None


def _check_party(claims: Mapping[str, Any], client_id: str) -> None:
    """A token for several must say that it was given to us."""
    import jwt

    audience, party = claims["aud"], claims.get("azp")
    if (isinstance(audience, list) and len(audience) > 1 and party is None) or party not in (None, client_id):
        raise jwt.InvalidAudienceError


def _classify(answer: Answer) -> Verdict:
    return by_status(answer, answer.text("error"))


def _worthless(name: str) -> Problem:
    return Problem(
        401, "sign-on-refused", "Not signed in", f"What {name} sent back cannot be used. Sign in again."
    )


def _away(name: str) -> Problem:
    return Problem(503, "sign-on-away", "Not signed in", f"{name} does not answer. Try again in a minute.")
