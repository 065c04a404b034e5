"""S3 and Cloudflare Images over real HTTP: what is stored, and what each refusal becomes."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from standins import forget_faults, running, script, talking_to
from structlog.testing import capture_logs

from corral.providers.cloudflare import CloudflareTarget
from corral.providers.errors import (
    ProviderError,
    ProviderMisconfigured,
    ProviderPermanent,
    ProviderRetryable,
)
from corral.providers.images import BucketTarget, ImageTarget
from corral.providers.s3 import S3Target
from corral.providers.sigv4 import Credentials
from corral.sandbox import keys
from corral.sandbox.server import RunningSandbox
from pictures import quadrants

CREDENTIALS = Credentials(keys.S3_ACCESS_KEY_ID, keys.S3_SECRET_ACCESS_KEY, keys.S3_REGION)
PATH = "profile/user-42/a b~ü/150x150.webp"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def picture() -> bytes:
    return bytes(quadrants(40, 30).webpsave_buffer())


@asynccontextmanager
async def s3(sandbox: RunningSandbox, **changes: Any) -> AsyncIterator[S3Target]:
    options: dict[str, Any] = {
        "endpoint": f"{sandbox.url}/s3",
        "bucket": keys.S3_BUCKET,
        "credentials": CREDENTIALS,
    }
    target = S3Target(**(options | {"sandbox": True} | changes))
    yield target
    await target.close()


@asynccontextmanager
async def cloudflare(sandbox: RunningSandbox, **changes: Any) -> AsyncIterator[CloudflareTarget]:
    options: dict[str, Any] = {
        "account_id": keys.CLOUDFLARE_ACCOUNT_ID,
        "api_token": keys.CLOUDFLARE_API_TOKEN,
        "base_url": f"{sandbox.url}/cloudflare/client/v4",
        "sandbox": True,
    }
    target = CloudflareTarget(**(options | changes))
    yield target
    await target.close()


async def get(url: str) -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False) as client:
        return await client.get(url)


async def test_s3_keeps_a_file_with_its_type_and_its_life_in_caches(
    sandbox: RunningSandbox, picture: bytes
) -> None:
    async with s3(sandbox) as target:
        url = await target.write(PATH, picture, "image/webp")
    assert url == f"{sandbox.url}/s3/{keys.S3_BUCKET}/profile/user-42/a%20b~%C3%BC/150x150.webp"
    answer = await get(url)
    assert (answer.status_code, answer.content) == (200, picture)
    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["cache-control"] == "public, max-age=3600"


async def test_s3_replaces_what_was_there(sandbox: RunningSandbox, picture: bytes) -> None:
    async with s3(sandbox) as target:
        first = await target.write("again.webp", b"an older one", "image/webp")
        assert await target.write("again.webp", picture, "image/webp") == first
    assert (await get(first)).content == picture


async def test_s3_urls_start_with_the_public_address(sandbox: RunningSandbox, picture: bytes) -> None:
    async with s3(sandbox, public_url="https://cdn.example.com/pictures/") as target:
        assert await target.write("a/b c.webp", picture, "image/webp") == (
            "https://cdn.example.com/pictures/a/b%20c.webp"
        )


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"credentials": replace(CREDENTIALS, access_key_id="AKIAOTHER")}, "InvalidAccessKeyId"),
        ({"credentials": replace(CREDENTIALS, secret_access_key="other")}, "SignatureDoesNotMatch"),
        ({"credentials": replace(CREDENTIALS, region="eu-west-9")}, "AuthorizationHeaderMalformed"),
        ({"bucket": "another"}, "NoSuchBucket"),
        ({"now": lambda: datetime.now(UTC) + timedelta(minutes=16)}, "RequestTimeTooSkewed"),
    ],
)
async def test_what_an_operator_must_repair_at_s3_holds_the_job(
    sandbox: RunningSandbox, changes: dict[str, Any], code: str
) -> None:
    async with s3(sandbox, **changes) as target:
        with pytest.raises(ProviderMisconfigured) as raised:
            await target.write("file.webp", b"content", "image/webp")
    assert raised.value.code == code


async def test_bytes_changed_on_their_way_to_s3_are_refused(sandbox: RunningSandbox) -> None:
    async with s3(sandbox) as target:
        send = target._client._client.request

        async def meddle(method: str, url: str, **request: Any) -> httpx2.Response:
            return await send(method, url, **(request | {"content": b"other content"}))

        target._client._client.request = meddle  # type: ignore[assignment]  # stands between us and S3
        with pytest.raises(ProviderPermanent, match="XAmzContentSHA256Mismatch"):
            await target.write("file.webp", b"content", "image/webp")


@pytest.mark.parametrize("path", ["../up.webp", "a//b.webp", "/a.webp", "a/./b.webp", "x" * 1025])
async def test_s3_is_not_asked_for_a_path_that_leads_astray(sandbox: RunningSandbox, path: str) -> None:
    before = sandbox.counts.get("s3.upload")
    async with s3(sandbox) as target:
        with pytest.raises(ProviderPermanent, match="a key has no empty"):
            await target.write(path, b"content", "image/webp")
    assert sandbox.counts.get("s3.upload") == before


async def test_cloudflare_delivers_what_was_uploaded(sandbox: RunningSandbox, picture: bytes) -> None:
    async with cloudflare(sandbox) as target:
        url = await target.write(PATH, picture, "image/webp")
    assert url.endswith("/public")
    answer = await get(url)
    assert (answer.content, answer.headers["content-type"]) == (picture, "image/webp")


async def test_a_repeated_upload_to_cloudflare_is_the_same_image(
    sandbox: RunningSandbox, picture: bytes
) -> None:
    async with cloudflare(sandbox) as target:
        first = await target.write("moment/again.webp", picture, "image/webp")
        uploads = sandbox.counts["cloudflare.upload"]
        assert await target.write("moment/again.webp", picture, "image/webp") == first
        assert sandbox.counts["cloudflare.upload"] == uploads
        other = await target.write("moment/again.webp", picture + b"\0", "image/webp")
    assert other != first
    assert (await get(first)).content == picture


async def test_a_lost_answer_of_cloudflare_leaves_one_image(sandbox: RunningSandbox, picture: bytes) -> None:
    uploads = sandbox.counts["cloudflare.upload"]
    await script(sandbox, provider="cloudflare", fault="drop")
    async with cloudflare(sandbox) as target:
        with pytest.raises(ProviderRetryable):
            await target.write("moment/lost.webp", picture, "image/webp")
        assert (await get(await target.write("moment/lost.webp", picture, "image/webp"))).content == picture
    assert sandbox.counts["cloudflare.upload"] == uploads + 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"api_token": "wrong"}, "10000"), ({"account_id": "another"}, "5403")],
)
async def test_what_an_operator_must_repair_at_cloudflare_holds_the_job(
    sandbox: RunningSandbox, picture: bytes, changes: dict[str, Any], code: str
) -> None:
    async with cloudflare(sandbox, **changes) as target:
        with pytest.raises(ProviderMisconfigured) as raised:
            await target.write("file.webp", picture, "image/webp")
    assert raised.value.code == code


async def test_cloudflare_refuses_what_is_no_picture_and_is_not_sent_what_is_too_large(
    sandbox: RunningSandbox,
) -> None:
    async with cloudflare(sandbox) as target:
        with pytest.raises(ProviderPermanent, match="5455"):
            await target.write("file.webp", b"just text", "image/webp")
        with pytest.raises(ProviderPermanent, match="over the limit of 10 MB"):
            await target.write("file.png", b"\0" * 10_000_001, "image/png")


async def test_a_soft_error_of_cloudflare_is_an_error(sandbox: RunningSandbox, picture: bytes) -> None:
    await script(sandbox, provider="cloudflare", fault="soft")
    async with cloudflare(sandbox) as target:
        with pytest.raises(ProviderPermanent, match="5400"):
            await target.write("soft.webp", picture, "image/webp")


@pytest.mark.parametrize("name", ["s3", "cloudflare"])
@pytest.mark.parametrize(
    ("fault", "error", "after"),
    [
        ({"fault": "429", "headers": {"Retry-After": "7"}}, ProviderRetryable, 7),
        ({"fault": "500"}, ProviderRetryable, 0),
        ({"fault": "503", "headers": {"Retry-After": "9"}}, ProviderRetryable, 9),
        ({"fault": "drop"}, ProviderRetryable, 0),
        ({"fault": "401"}, ProviderMisconfigured, 60),
        ({"fault": "403"}, ProviderMisconfigured, 60),
    ],
    ids=lambda value: value["fault"] if isinstance(value, dict) else "",
)
async def test_every_class_of_error(
    sandbox: RunningSandbox,
    picture: bytes,
    name: str,
    fault: dict[str, Any],
    error: type[Exception],
    after: float,
) -> None:
    await script(sandbox, provider=name, **fault)
    opened = s3(sandbox) if name == "s3" else cloudflare(sandbox)
    target: ImageTarget
    async with opened as target:
        with pytest.raises(error) as raised:
            await target.write(f"{name}-{fault['fault']}.webp", picture, "image/webp")
    await forget_faults(sandbox)
    assert raised.value.seconds == after  # type: ignore[attr-defined]  # of the two that are expected


FAULTS = ("401", "500", "drop", "truncated", "400")


async def test_no_key_and_no_path_of_a_person_is_in_a_reason_or_a_log(
    sandbox: RunningSandbox, picture: bytes
) -> None:
    reasons: list[str] = []
    with capture_logs() as logs:
        async with s3(sandbox) as bucket, cloudflare(sandbox) as account, talking_to(sandbox) as providers:
            targets: dict[str, ImageTarget] = {
                "s3": bucket,
                "cloudflare": account,
                "supabase": BucketTarget(providers.supabase, "images"),
            }
            for (name, target), fault in itertools.product(targets.items(), FAULTS):
                await script(sandbox, provider=name, fault=fault)
                try:
                    await target.write(f"proof/user-42/{fault}.webp", picture, "image/webp")
                except ProviderError as error:
                    reasons.append(str(error))
    await forget_faults(sandbox)
    said = "\n".join(reasons) + str(logs)
    assert len(reasons) >= 12
    for private in (
        "user-42",
        keys.S3_SECRET_ACCESS_KEY,
        keys.S3_ACCESS_KEY_ID,
        keys.CLOUDFLARE_API_TOKEN,
        keys.CLOUDFLARE_ACCOUNT_ID,
        keys.SUPABASE_SERVICE_KEY,
    ):
        assert private not in said
