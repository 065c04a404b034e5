"""Mail as its users meet it: the HTTP API, real processes, real SMTP, real faults."""

from __future__ import annotations

import contextlib
import email as mime
import json
import threading
from collections.abc import Iterator
from email import policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiosmtpd.controller import Controller
from service import Service, corral, running_service, until

from redis_process import free_port

WELCOME: dict[str, Any] = {
    "to": "user-42@example.com",
    "template": "welcome",
    "data": {"name": "User 42", "actionUrl": "https://app.example.com/start"},
    "provider": "sendgrid",
}

#: Bytes of the file that is too large for a mail.
TOO_LARGE = 30 * 1000 * 1000


class _MailServer:
    """Takes whatever it is given."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.recipients: list[list[str]] = []

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's name
        self.taken.append(envelope.original_content)
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 OK"


class _Files(BaseHTTPRequestHandler):
    """A web server with one small file and one that does not say how large it is."""

    def do_GET(self) -> None:  # the name that http.server calls
        self.send_response(200)
        self.end_headers()
        content = b"a,b\n1,2\n" if self.path.endswith(".csv") else bytes(TOO_LARGE)
        with contextlib.suppress(ConnectionError):  # the other side has seen enough
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing on standard error."""


@pytest.fixture(scope="module")
def mail_server() -> Iterator[tuple[_MailServer, int]]:
    handler = _MailServer()
    port = free_port()
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    yield handler, port
    controller.stop()


@pytest.fixture(scope="module")
def files() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Files) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, mail_server: tuple[_MailServer, int], files: str
) -> Iterator[Service]:
    settings = {
        "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(mail_server[1]), "SMTP_TLS": "none",
        "CORRAL_FETCH_ALLOW": files, "CORRAL_MAIL_FALLBACK": "mailgun",
    }  # fmt: skip
    with running_service(tmp_path_factory.mktemp("mail") / "data", **settings) as running:
        yield running


def send(service: Service, **change: Any) -> str:
    """Send a mail by the shortcut. The job's id."""
    data = {name: value for name, value in {**WELCOME, **change}.items() if value is not None}
    answer = service.post("/send-email", data)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobId"])


def send_soon_again(service: Service, **change: Any) -> str:
    """The same with waits that a test has the time for."""
    retry = {"attempts": 3, "backoff": "fixed", "delay": 0.1}
    body = {"name": "send", "data": {**WELCOME, **change}, "retry": retry}
    answer = service.post("/v1/queues/email/jobs", body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobId"])


def outbox(service: Service, provider: str, job_id: str) -> list[dict[str, Any]]:
    """The mails of a job that the sandbox got."""
    shown = httpx2.get(f"{service.sandbox}/outbox", params={"provider": provider}).json()
    return [e for e in shown["entries"] if e["action"] == "mail" and e["job_id"] == job_id]


def fault(service: Service, provider: str, kind: str, times: int = 1) -> None:
    body = {"provider": provider, "fault": kind, "times": times}
    httpx2.post(f"{service.sandbox}/faults", json=body).raise_for_status()


def look(service: Service, job_id: str) -> dict[str, Any]:
    seen: dict[str, Any] = service.client.get(f"/job-status/{job_id}", params={"queue": "email"}).json()
    return seen


def ended(service: Service, job_id: str) -> dict[str, Any]:
    return until(lambda: look(service, job_id), lambda seen: seen["status"] in ("completed", "failed"))


# Each provider


@pytest.mark.parametrize("provider", ["sendgrid", "mailgun"])
def test_a_mail_over_http_is_sent_by_its_provider(service: Service, provider: str) -> None:
    job_id = send(service, provider=provider, tags=["welcome"])

    seen = ended(service, job_id)

    assert (seen["status"], seen["progress"], seen["attemptsMade"]) == ("completed", 100, 1)
    assert seen["result"]["provider"] == provider
    assert seen["result"]["outcome"] == "sent"
    assert seen["result"]["recipients"] == 1
    (sent,) = outbox(service, provider, job_id)
    assert sent["message_id"] == f"<{job_id}@example.com>"
    assert sent["subject"] == "Welcome, User 42"
    assert "https://app.example.com/start" in sent["text"]
    assert 'href="https://app.example.com/start"' in sent["html"]


def test_a_mail_by_smtp_is_read_back_from_its_mime(
    service: Service, mail_server: tuple[_MailServer, int], files: str
) -> None:
    job_id = send(
        service,
        provider="smtp",
        to=["user-42@example.com", "The Second <user-43@example.com>"],
        attachments=[{"url": f"http://{files}/report.csv"}],
        replyTo="help@example.com",
    )

    assert ended(service, job_id)["result"]["recipients"] == 2
    message = mime.message_from_bytes(mail_server[0].taken[-1], policy=policy.default)
    assert message["Message-ID"] == f"<{job_id}@example.com>"
    assert message["Subject"] == "Welcome, User 42"
    assert message["From"].addresses[0].addr_spec == "no-reply@example.com"
    assert message["Reply-To"].addresses[0].addr_spec == "help@example.com"
    assert [address.addr_spec for address in message["To"].addresses] == mail_server[0].recipients[-1]
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert "Get started (https://app.example.com/start)" in plain.get_content()
    assert "<html" in html.get_content()
    (file,) = message.iter_attachments()
    assert (file.get_filename(), file.get_content_type()) == ("report.csv", "text/csv")
    assert file.get_payload(decode=True) == b"a,b\n1,2\n"


# Each class of error


def test_another_provider_takes_over(service: Service) -> None:
    fault(service, "sendgrid", "500")

    job_id = send(service)

    seen = ended(service, job_id)
    assert (seen["result"]["provider"], seen["attemptsMade"]) == ("mailgun", 1)
    assert len(outbox(service, "mailgun", job_id)) == 1


@pytest.mark.parametrize("kind", ["500", "429"])
def test_what_passes_is_tried_again(service: Service, kind: str) -> None:
    fault(service, "mailgun", kind)

    job_id = send_soon_again(service, provider="mailgun")

    seen = ended(service, job_id)
    assert (seen["status"], seen["attemptsMade"]) == ("completed", 2)
    assert len(outbox(service, "mailgun", job_id)) == 1


def test_a_lost_answer_sends_the_same_message_id_again_by_the_same_provider(service: Service) -> None:
    fault(service, "sendgrid", "drop")

    job_id = send_soon_again(service)

    assert ended(service, job_id)["attemptsMade"] == 2
    sent = outbox(service, "sendgrid", job_id)
    assert len(sent) == 2
    assert len({entry["message_id"] for entry in sent}) == 1
    assert outbox(service, "mailgun", job_id) == []


def test_a_lost_answer_ends_a_mail_that_is_to_be_sent_at_most_once(service: Service) -> None:
    fault(service, "sendgrid", "drop")

    job_id = send_soon_again(service, delivery="at_most_once")

    seen = ended(service, job_id)
    assert (seen["status"], seen["attemptsMade"]) == ("failed", 1)
    assert "may have been sent" in seen["failedReason"]
    assert len(outbox(service, "sendgrid", job_id)) == 1


def test_a_wrong_key_holds_the_job_and_spends_no_attempt(service: Service) -> None:
    fault(service, "mailgun", "401")

    job_id = send(service, provider="mailgun")

    seen = until(lambda: look(service, job_id), lambda seen: seen["status"] == "delayed")
    assert seen["attemptsMade"] == 0


def test_a_refusal_goes_to_the_dead_letters_at_once(service: Service) -> None:
    job_id = send(service, template=None, templateId="no-guid")

    seen = ended(service, job_id)
    assert (seen["status"], seen["attemptsMade"]) == ("failed", 1)
    assert outbox(service, "mailgun", job_id) == []


def test_an_address_that_bounced_is_not_written_to_again(service: Service) -> None:
    """The stand-in sends the signed webhook of a bounce to the API, as the provider does."""
    first = send(service, to="bounce-7@example.com", provider="mailgun")
    assert ended(service, first)["result"]["outcome"] == "sent"

    until(lambda: [line for line in service.log if "mail_events" in line and '"suppressed": 1' in line], bool)
    second = send(service, to="Bounce-7@example.com", provider="sendgrid")

    seen = ended(service, second)
    assert seen["result"]["outcome"] == "suppressed"
    assert (seen["status"], seen["result"]["recipients"]) == ("completed", 0)
    assert outbox(service, "sendgrid", second) == []


# Bad input


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"template": None}, "template"),
        ({"to": "user-42"}, "to"),
        ({"to": []}, "$.to"),
        ({"to": "user-42@example.com\r\nBcc: user-43@example.com"}, "to"),
        ({"subject": "Hello\r\nBcc: user-43@example.com"}, "$.subject"),
        ({"provider": "carrier-pigeon"}, "$.provider"),
        ({"attachments": [{"url": "file:///etc/passwd"}]}, "$.attachments[0].url"),
    ],
)
def test_a_wrong_request_is_refused_with_its_field(
    service: Service, change: dict[str, Any], field: str
) -> None:
    data = {name: value for name, value in {**WELCOME, **change}.items() if value is not None}

    answer = service.post("/send-email", data)

    assert answer.status_code == 422
    assert field in answer.text
    assert "user-42@" not in answer.text


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"data": {}}, "template welcome (subject): the data has no 'name'"),
        ({"template": "wellcome"}, "no mail template 'wellcome'"),
        ({"attachments": [{"url": "http://{files}/large.bin"}]}, "more than 20000000 bytes"),
        ({"attachments": [{"url": "http://169.254.169.254/latest/meta-data/"}]}, "not public"),
        ({"attachments": [{"url": "http://127.0.0.1/secret.pdf"}]}, "not public"),
    ],
)
def test_what_only_the_worker_can_see_costs_the_job_at_once(
    service: Service, files: str, change: dict[str, Any], reason: str
) -> None:
    job_id = send(service, **json.loads(json.dumps(change).replace("{files}", files)))

    seen = ended(service, job_id)
    assert (seen["status"], seen["attemptsMade"]) == ("failed", 1)
    assert reason in seen["failedReason"]
    assert "user-42" not in seen["failedReason"]
    assert service.process.poll() is None


def test_no_address_and_no_name_is_in_the_log(service: Service) -> None:
    """Of everything that the tests above had the service do."""
    said = "".join(service.log)

    assert "email_sent" in said
    for text in ("user-42@", "user-43@", "ounce-7@", "User 42"):
        assert text not in said


# The command line


def test_a_template_is_previewed_without_sending_it(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "bill.html").write_text("---\nsubject: Bill {{ no }}\n---\n<p>{{ no }}</p>")
    command = ("mail", "preview", "bill", "--data", '{"no": 7}', "--output", "bill.htm", "--json")
    done = corral(*command, cwd=tmp_path, CORRAL_MAIL_TEMPLATES=str(tmp_path / "own"))

    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert (shown["subject"], shown["text"]) == ("Bill 7", "7\n")
    assert (tmp_path / "bill.htm").read_text() == shown["html"]
