# ruff: noqa: E501 - payloads are read best as rows
"""Secrets and personal data as canaries: whatever goes wrong, none shows in a log, an error, a metric or a trace.

Every provider is answered by a server that gives back all it was sent, with each status, and every setting
that is a secret has a value that would be recognised anywhere.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from http_service import serving
from structlog.testing import capture_logs

from corral import JobContext, Queue, Retry, Settings, Worker
from corral.api.auth import Keyring
from corral.dashboard.users import Users
from corral.errors import ConfigurationError, CorralError
from corral.providers.cloudflare import CloudflareTarget
from corral.providers.errors import ProviderError
from corral.providers.idenfy import Idenfy
from corral.providers.mail import Address, Mail
from corral.providers.mailgun import Mailgun
from corral.providers.onfido import Onfido
from corral.providers.s3 import S3Target
from corral.providers.sendgrid import SendGrid
from corral.providers.sigv4 import Credentials
from corral.providers.supabase import Supabase
from corral.providers.twilio import Twilio
from corral.settings import secret_names
from corral.sinks.clickhouse import ClickhouseSink
from corral.sinks.event import Event
from corral.sinks.posthog import PosthogSink
from corral.sinks.segment import SegmentSink

SECRET = "CANARYkeyOfNobody-Kx7"
PERSON = "canary.person@example.com"
NAME, DOCUMENT = "Canarina", "CAN4RY-77"
CANARIES = (SECRET, PERSON, NAME, DOCUMENT, base64.b64encode(SECRET.encode()).decode().rstrip("=")[4:-4])

STATUSES = [
    200,
    201,
    204,
    301,
    400,
    401,
    402,
    403,
    404,
    405,
    409,
    410,
    413,
    415,
    422,
    429,
    451,
    500,
    502,
    503,
    504,
]


class Echo:
    """Answers every request with all that was in it, in each form in which a provider reports errors."""

    def __init__(self) -> None:
        self.status = 200
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            lengths = [row for row in head.lower().split("\r\n") if row.startswith("content-length:")]
            body = await reader.readexactly(int(lengths[0].split(":")[1])) if lengths else b""
            # Basic authentication is base64: what is in it comes back as text as well.
            inside = "".join(
                base64.b64decode(word + "==").decode("latin-1")
                for row in head.split("\r\n")
                if row.lower().startswith("authorization: basic")
                for word in [row.split()[2].rstrip("=")]
            )
            writer.write(self.answer(f"{head} {inside} {body.decode('latin-1')}"))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def answer(self, said: str) -> bytes:
        if self.status == 0:
            return b""
        one = {"message": said, "field": said, "code": said, "type": said, "title": said}
        form = one | {
            "error": {"type": said, "message": said, "fields": {said[:40]: [said]}, "status": said},
            "errors": [one], "detail": said, "hint": said, "details": said, "identifier": said, "msg": said,
            "success": False, "more_info": said, "reason": said,
        }  # fmt: skip
        raw = json.dumps(form).encode()
        line = " ".join(said.split())[:200]
        head = (
            f"HTTP/1.1 {self.status} Said\r\nContent-Type: application/json\r\nContent-Length: {len(raw)}\r\n"
            f"X-Said: {line}\r\nWWW-Authenticate: {line}\r\nLocation: /?{SECRET}\r\nConnection: close\r\n\r\n"
        )
        return head.encode("latin-1", "replace") + (b"" if self.status == 204 else raw)


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    made = Echo()
    server = await asyncio.start_server(made.handle, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield made


MAIL = Mail(
    sender=Address("shop@example.com"), to=(Address(PERSON, NAME),), message_id="<m@example.com>", job_id="7",
    subject=f"For {NAME}", text=f"Dear {NAME}", variables={},
)  # fmt: skip

EVENT = Event(
    id="e", name="viewed", user_id=PERSON, properties={"name": NAME, "document": DOCUMENT}, at=datetime.now(UTC),
    received_at=datetime.now(UTC),
)  # fmt: skip

#: A client of each provider with a canary for its key, and the calls that carry people.
CLIENTS: dict[str, tuple[Callable[[str], Any], Callable[[Any], list[Any]]]] = {
    "onfido": (
        lambda url: Onfido(base_url=url, api_key=SECRET, sandbox=True),
        lambda c: [
            c.check(),
            c.create_applicant(
                first_name=NAME, last_name=NAME, id_numbers=[{"type": "passport", "value": DOCUMENT}]
            ),
            c.upload_live_photo("a", content=b"x", content_type="image/jpeg"),
        ],
    ),
    "idenfy": (
        lambda url: Idenfy(base_url=url, api_key=SECRET, api_secret=SECRET, sandbox=True),
        lambda c: [
            c.check(),
            c.create_session(client_id="u", external_ref="r", document_type="PASSPORT", with_face=False),
        ],
    ),
    "supabase": (
        lambda url: Supabase(url=url, service_key=SECRET, sandbox=True),
        lambda c: [c.check(), c.upload("images", "a.jpg", b"x", "image/jpeg")],
    ),
    "sendgrid": (lambda url: SendGrid(base_url=url, api_key=SECRET, sandbox=True), lambda c: [c.check(), c.send(MAIL)]),
    "mailgun": (
        lambda url: Mailgun(base_url=url, api_key=SECRET, domain="mail.example.com", sandbox=True),
        lambda c: [c.check(), c.send(MAIL)],
    ),
    "twilio": (
        lambda url: Twilio(base_url=url, account_sid="AC1", auth_token=SECRET, sender="+15005550006", sandbox=True),
        lambda c: [c.check(), c.send("+15005551234", f"Dear {NAME}, {DOCUMENT}", job_id="7")],
    ),
    "s3": (
        lambda url: S3Target(endpoint=url, bucket="b", credentials=Credentials("AK", SECRET, "r"), sandbox=True),
        lambda c: [c.check(), c.write("a.jpg", b"x", "image/jpeg")],
    ),
    "cloudflare": (
        lambda url: CloudflareTarget(base_url=url, account_id="a", api_token=SECRET, sandbox=True),
        lambda c: [c.check(), c.write("a.jpg", b"x", "image/jpeg")],
    ),
    "clickhouse": (
        lambda url: ClickhouseSink(url=url, user="u", password=SECRET, table="t", sandbox=True),
        lambda c: [c.check(), c.write([EVENT])],
    ),
    "posthog": (
        lambda url: PosthogSink(host=url, api_key=SECRET, sandbox=True),
        lambda c: [c.check(), c.write([EVENT])],
    ),
    "segment": (
        lambda url: SegmentSink(host=url, write_key=SECRET, sandbox=True),
        lambda c: [c.write([EVENT])],
    ),
}  # fmt: skip


#: What they return says which events were not taken, and why.
SINKS = ("clickhouse", "posthog", "segment")


def no_canary(text: str, where: str) -> None:
    for canary in CANARIES:
        assert canary.lower() not in text.lower(), (
            f"{where}: …{text[max(0, text.lower().find(canary.lower()) - 200) :][:300]}"
        )


@pytest.mark.parametrize("provider", CLIENTS)
async def test_no_answer_of_a_provider_brings_a_secret_or_a_person_into_a_log_or_an_error(
    echo: Echo, provider: str, caplog: pytest.LogCaptureFixture
) -> None:
    make, calls = CLIENTS[provider]
    caplog.set_level(logging.DEBUG)
    raised = 0
    for status in [*STATUSES, 0]:
        echo.status = status
        client = make(echo.url)
        with capture_logs() as logs:
            for call in calls(client):
                try:
                    answer = await call
                    if provider in SINKS:
                        raised += bool(answer)
                        no_canary(repr(answer), provider)
                except ProviderError as error:
                    raised += 1
                    where = f"{provider} at {status}"
                    no_canary(f"{error} {error!r} {error.reason}", where)
                    no_canary("".join(traceback.format_exception(error)), where)
                except CorralError as error:
                    no_canary("".join(traceback.format_exception(error)), provider)
        no_canary(repr(logs), f"log of {provider} at {status}")
        no_canary(repr(client), "repr")
        await client.close()
    no_canary(caplog.text, "log of libraries")
    assert raised >= len(STATUSES) // 2


#: A value of each form that a secret may have to have to get past its reader, with the canary in it.
FORMED = {
    "CORRAL_API_KEYS": f"ops:{SECRET}:admin",
    "POSTGRES_URL": f"postgres://user:{SECRET}@127.0.0.1:1/db",
    "CORRAL_ALERT_SLACK_URL": f"https://hooks.example.com/{SECRET}",
    "CORRAL_ALERT_WEBHOOK_URL": f"https://hooks.example.com/{SECRET}",
    "CORRAL_ALERT_ALERTMANAGER_URL": f"https://user:{SECRET}@alerts.example.com/",
}


def environment(**more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME", "LANG") if name in os.environ}
    return kept | {"COLUMNS": "160", "CORRAL_LOG_LEVEL": "debug"} | more


def command(tmp_path: Path, env: dict[str, str], *words: str) -> str:
    """Everything that a command says."""
    done = subprocess.run(
        [sys.executable, "-m", "corral", *words], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_no_secret_shows_where_settings_are_shown() -> None:
    given: dict[str, Any] = {name: FORMED.get(name, SECRET) for name in secret_names()}
    loaded = Settings(_env_file=None, **given)
    no_canary(f"{loaded!r} {loaded} {loaded.model_dump()} {loaded.model_dump_json()}", "settings")


def test_no_malformed_secret_is_repeated_by_what_reads_it() -> None:
    for read in (Keyring.parse, Users.parse):
        for text in (
            SECRET,
            f"{SECRET}:{SECRET}",
            f"a:{SECRET} x:admin",
            f"a:{SECRET}:{SECRET}",
            f"{SECRET}:x:read:y",
        ):
            with pytest.raises(ConfigurationError) as error:
                read(text)
            no_canary("".join(traceback.format_exception(error.value)), "a setting")


@pytest.mark.parametrize(
    "words", [("doctor", "--json"), ("queues", "--json"), ("jobs", "status", "7", "--json")]
)
def test_no_command_repeats_a_secret_when_all_are_set_and_nothing_works(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    secrets = {name: FORMED.get(name, SECRET) for name in secret_names()}
    secrets.pop("CORRAL_ENCRYPTION_KEYS")
    env = environment(**secrets, REDIS_URL=f"redis://user:{SECRET}@127.0.0.1:1/0")
    env.pop("REDIS_PASSWORD")
    said = command(tmp_path, env, *words)
    assert said
    no_canary(said, " ".join(words))


async def test_no_personal_datum_of_a_job_reaches_a_log_a_metric_or_a_problem(redis_url: str) -> None:
    queue = Queue("canary", redis_url=redis_url, prefix="bull", retry=Retry(attempts=1))

    @queue.job("build")
    async def build(job: JobContext, data: dict[str, Any]) -> None:
        if data["how"] == "raises":
            raise ValueError(f"{data['who']} {data['document']}")
        if data["how"] == "badly":
            await job.progress({"who": object()})
        raise KeyError(data["who"])

    person = {"who": PERSON, "name": NAME, "document": DOCUMENT, "key": SECRET}
    async with serving(redis_url, more={"canary": queue}) as api:
        with capture_logs() as logs:
            for how in ("raises", "badly", "otherwise"):
                await queue.add("build", person | {"how": how})
            # Refused at the edge, in each way that it has.
            bodies: list[tuple[str, Any]] = [
                ("/v1/queues/reports/jobs", {"name": "build", "data": person}),
                ("/v1/queues/reports/jobs", {"name": "build", "data": {"month": [PERSON]}}),
                ("/v1/queues/reports/jobs", {"name": NAME, "data": person}),
                ("/v1/queues/reports/jobs", {"name": "build", "data": PERSON, "delay": NAME}),
                ("/v1/queues/reports/jobs/bulk", {"jobs": [{"name": "build", "data": person}]}),
                ("/verify-kyc", {"userId": PERSON, "documentType": DOCUMENT}),
                ("/v1/queues/reports/jobs", PERSON),
            ]
            told = []
            for path, body in bodies:
                answer = await api.http.post(path, json=body)
                assert 400 <= answer.status_code < 500
                told.append(answer.text)
            raw = f'{{"name": "build", "data": {{"month": "{PERSON}'.encode()
            told.append((await api.http.post("/v1/queues/reports/jobs", content=raw)).text)
            await api.http.get(f"/job-status/{PERSON}", params={"queue": NAME})
            await api.http.get(f"/{PERSON}/{SECRET}")
            await Worker(queue).run(until_empty=True)
            metrics = (await api.http.get("/metrics")).text
            async with httpx2.AsyncClient(base_url=api.url, verify=False) as bare:
                told.append(
                    (await bare.get("/openapi.json", headers={"Authorization": f"Bearer {SECRET}"})).text
                )
        assert (await queue.counts())["failed"] == 3
    no_canary(repr(logs), "logs")
    no_canary(metrics, "metrics")
    for text in told:
        # The name of a job is no personal datum, and what is unknown is named.
        no_canary(text.replace(NAME, ""), "problem")
