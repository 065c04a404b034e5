"""Cloudflare Images as the place for finished images.

Guarantees: an image's id is made from its path and its bytes, so what a retry repeats is "already exists",
which counts as stored: nothing is stored twice, and a URL never shows anything but the bytes it was given
for, however long a cache keeps it. The path alone as id would need a delete before each upload, with no
picture for a moment and the old one in caches.
Limits: 10 MB a file. A job whose source has changed leaves the older images where they are. The URL is that
of the variant `public`, or the account's first one; variants are made by Cloudflare from what is uploaded.

Options: CLOUDFLARE_ACCOUNT_ID, CLOUDFLARE_API_TOKEN (with the right to edit Cloudflare Images).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from corral.providers.checking import accepted
from corral.providers.choice import Surroundings
from corral.providers.errors import ProviderPermanent
from corral.providers.http import ProviderClient
from corral.providers.verdict import Answer, Kind, Verdict, by_status
from corral.sandbox import keys

NAME = "cloudflare"
BASE_URL = "https://api.cloudflare.com/client/v4"
#: Bytes of a file.
MAX_FILE = 10 * 10**6

#: "The resource already exists", and the status that comes with it where a body has no code.
ALREADY_EXISTS = frozenset({"5409", "HTTP 409"})
#: The account's id, or the rights of the token, are not what the path asks for.
_MISCONFIGURED = frozenset({"5403", "7000", "7003", "9106", "9107", "9109", "10000", "10001"})


class _Image(msgspec.Struct, frozen=True):
    variants: list[str]


class _Found(msgspec.Struct, frozen=True):
    result: _Image


class CloudflareTarget:
    """Images of one account."""

    name = NAME

    def __init__(
        self,
        *,
        account_id: str,
        api_token: str,
        base_url: str = BASE_URL,
        missing: str = "",
        sandbox: bool = False,
    ) -> None:
        self._path = f"/accounts/{quote(account_id, safe='')}/images/v1"
        self._client = ProviderClient(
            NAME,
            base_url=base_url,
            classify=classify,
            headers={"Authorization": f"Bearer {api_token}"},
            secrets=[api_token, account_id],
            missing=missing,
            sandbox=sandbox,
        )

    async def write(self, path: str, content: bytes, content_type: str = "application/octet-stream") -> str:
        """Store a file. Raises the four provider errors but Ambiguous."""
        if len(content) > MAX_FILE:
            raise ProviderPermanent(NAME, f"a file of {len(content)} bytes is over the limit of 10 MB")
        id_ = image_id(path, content)
        try:
            found = await self._client.call(
                "POST",
                self._path,
                _Found,
                shown="/accounts/…/images/v1",
                repeatable=True,
                private=[path, id_],
                files={"file": (path.rpartition("/")[2], content, content_type)},
                data={"id": id_, "requireSignedURLs": "false"},
            )
        except ProviderPermanent as error:
            if error.code not in ALREADY_EXISTS:
                raise
            found = await self._client.call(
                "GET",
                f"{self._path}/{id_}",
                _Found,
                shown="/accounts/…/images/v1/…",
                repeatable=True,
                private=[path, id_],
            )
        return variant(found.result.variants)

    async def check(self) -> None:
        """Whether the token works for the account's images: asks how many there are. One round trip.

        Raises as `write` does.
        """
        with accepted():
            await self._client.send(
                "GET", f"{self._path}/stats", shown="/accounts/…/images/v1/stats", repeatable=True
            )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def from_settings(around: Surroundings) -> CloudflareTarget:
    """The account that the settings name, or the sandbox's."""
    account, token = around.settings.cloudflare_account_id, around.settings.cloudflare_api_token
    if around.plays(account, token):
        return CloudflareTarget(
            account_id=keys.CLOUDFLARE_ACCOUNT_ID,
            api_token=keys.CLOUDFLARE_API_TOKEN,
            base_url=f"{around.sandbox_url}/cloudflare/client/v4",
            sandbox=True,
        )
    complete = account and token.get_secret_value()
    missing = "" if complete else "there is no account; set CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN"
    return CloudflareTarget(account_id=account, api_token=token.get_secret_value(), missing=missing)


# Decisions


def image_id(path: str, content: bytes) -> str:
    """The id of these bytes at this path. Without a slash, so that it is one part of a URL."""
    digest = hashlib.sha256(path.encode() + b"\0" + content).hexdigest()[:32]
    return f"{path.partition('/')[0]}-{digest}"


def variant(urls: list[str]) -> str:
    """The URL to hand out. Raises ProviderPermanent if there is none."""
    if not urls:
        raise ProviderPermanent(NAME, "the image has no variant, so no URL; define one for the account")
    return next((url for url in urls if url.endswith("/public")), urls[0])


def classify(answer: Answer) -> Verdict:
    """Cloudflare's answers: `errors` has a number and a message; `success` can be false in a 200."""
    body: Mapping[str, Any] = answer.body if isinstance(answer.body, Mapping) else {}
    if 200 <= answer.status < 300 and body.get("success") is not False:
        return by_status(answer)
    errors = body.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], Mapping) else {}
    code = str(first["code"]) if isinstance(first.get("code"), int) else ""
    message = first.get("message")
    detail = message if isinstance(message, str) else ""
    if code in _MISCONFIGURED:
        return Verdict(Kind.MISCONFIGURED, code, detail)
    # The soft failure of a 200 is judged as the refusal that it is.
    status = answer.status if answer.status >= 300 else 400
    return by_status(Answer(status, answer.body, answer.retry_after), code, detail)
