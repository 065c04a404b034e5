# ruff: noqa: E501, PT017 - payloads are read best as rows; a refusal is looked at where one may come
"""Mail as a way in: templates that want Python, data that wants to be a template, fields that want to be headers,
attachments that are somewhere inside.

Read back with the standard library's parser: what a mail server would see. Simple cases of each have their
tests in tests/unit/test_mail_render.py, test_mail_mime.py and test_mail_addresses.py.
"""

from __future__ import annotations

import email
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest

from corral import Settings
from corral.mail.addresses import parse_address
from corral.mail.render import Renderer
from corral.mail.templates import SHIPPED, TemplateFault, TemplateFolders
from corral.providers.errors import FetchBlocked, FetchRefused, ProviderPermanent
from corral.providers.fetch import Fetcher
from corral.providers.mail import refuse_unsafe
from corral.providers.mime import letter
from corral.queues.email_message import compose
from corral.queues.email_types import EmailJob
from hostile_server import HostileServer, ToLoopback, public

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
HEAD = "---\nsubject: Hello\n---\n"

#: Ways out of Jinja2's sandbox that were found over the years, and what they build on.
ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__()[40]('/etc/passwd').read() }}",
    "{{ [].__class__.__base__.__subclasses__() }}",
    "{{ ().__class__.__bases__[0] }}",
    "{{ {}.__class__ }}",
    "{{ name.__class__.__init__.__globals__ }}",
    "{{ name['\\x5f\\x5fclass\\x5f\\x5f'] }}",
    "{{ name|attr('\\x5f\\x5fclass\\x5f\\x5f') }}",
    "{{ name|attr(['_'*2,'class','_'*2]|join) }}",
    "{{ name['_'*2 ~ 'class' ~ '_'*2] }}",
    "{{ name|map(attribute='__class__')|list }}",
    "{{ [name]|map(attribute='__class__')|list }}",
    "{{ [name]|groupby('__class__') }}",
    "{{ [name]|selectattr('__class__')|list }}",
    "{{ [name]|sort(attribute='__class__') }}",
    "{{ [name]|sum(attribute='__class__') }}",
    "{{ [name]|unique(attribute='__class__')|list }}",
    # str.format reaches attributes; each way to get hold of it.
    "{{ '{0.__class__.__mro__}'.format(1) }}",
    "{{ '{x.__class__}'.format_map({'x': 1}) }}",
    "{% set f = '{0.__class__}'.format %}{{ f(1) }}",
    "{{ ('{0.__class__}'|attr('format'))(1) }}",
    "{{ '{0.__class__}'['format'](1) }}",
    "{{ ['{0.__class__}']|map('format', 1)|list }}",
    "{{ ['{0.__class__}']|map(attribute='format')|map('call')|list }}",
    "{% for f in [''.format] %}{{ f.__self__ }}{% endfor %}",
    "{{ '{0.__class__}'.format.__call__(1) }}",
    "{% macro m() %}{{ caller }}{% endmacro %}{{ m.__code__ }}",
    "{% macro m() %}x{% endmacro %}{{ m._func.__globals__ }}",
    # Objects that Jinja2 itself hands out.
    "{{ self._TemplateReference__context }}",
    "{{ self.__init__.__globals__.__builtins__ }}",
    "{{ cycler('a').__init__.__globals__ }}",
    "{{ joiner().__init__.__globals__.os.popen('id').read() }}",
    "{{ namespace(a=1).__init__.__globals__ }}",
    "{% set n = namespace() %}{% set n.__class__ = 1 %}{{ n }}",
    "{{ lipsum.__globals__.os }}",
    "{{ dict.__base__ }}",
    "{{ dict.mro() }}",
    "{{ range(1).__class__ }}",
    "{{ loop.__class__ }}",
    "{% for x in [1] %}{{ loop._iterator }}{{ loop.__init__.__globals__ }}{% endfor %}",
    "{{ url_for.__globals__ }}",
    "{{ config.items() }}",
    "{{ request.application.__globals__ }}",
    "{{ get_flashed_messages.__globals__ }}",
    "{{ undefined.__class__ }}",
    "{{ nothing.__init__.__globals__ }}",
    "{{ (none|default).__class__ }}",
    "{{ ''.join.__self__.__class__ }}",
    "{{ (1).to_bytes.__self__.__class__ }}",
    # Generators, coroutines, functions.
    "{{ (x for x in [1]).gi_frame }}",
    "{{ ([1]|map('string')).gi_frame.f_back.f_globals }}",
    "{{ ([1]|map('string')).gi_code }}",
    "{{ ([1]|batch(1)).gi_frame }}",
    # Files and modules.
    "{% include '../../../etc/passwd' %}",
    "{% include '/etc/passwd' %}",
    "{% include '..\\\\..\\\\etc/passwd' %}",
    "{% extends '/etc/passwd' %}",
    "{% import '/etc/passwd' as p %}{{ p }}",
    "{% from 'os' import popen %}{{ popen('id') }}",
    "{% include name %}",
    "{% include ['/etc/passwd', '../../pyproject.toml'] %}",
    # What is changed stays changed for the next mail.
    "{{ names.append(7) }}",
    "{{ names.clear() }}",
    "{{ data.update({'a': 1}) }}",
    "{{ data.pop('secret') }}",
    "{{ data.setdefault('b', 1) }}",
    "{% do names.append(1) %}",
    # More than a mail.
    "{% for i in range(10**9) %}x{% endfor %}",
    "{{ range(10**12)|list }}",
    "{% for i in range(99999) %}{% for j in range(99999) %}{{ 'x' * 99 }}{% endfor %}{% endfor %}",
]

#: Words that only Python's inside or a file would bring into a mail.
LEAKS = re.compile(
    r"<class|<built-in|<function|<module|root:|uid=\d|\[tool\.|<frame|<code|object at 0x|__globals__':"
)


@pytest.mark.parametrize("attack", ESCAPES)
def test_a_template_cannot_escape_its_sandbox(tmp_path: Path, attack: str) -> None:
    (tmp_path / "a.html").write_text(HEAD + attack)
    data: dict[str, Any] = {"name": "/etc/passwd", "names": [1], "data": {"secret": "kept"}}
    try:
        mail = Renderer(TemplateFolders(str(tmp_path))).render("a", data)
    except TemplateFault as fault:
        assert not LEAKS.search(str(fault))
        assert "kept" not in str(fault)
    else:
        assert not LEAKS.search(mail.html + mail.text + mail.subject), mail.text
    assert data == {"name": "/etc/passwd", "names": [1], "data": {"secret": "kept"}}


def replaced(value: Any, text: str) -> Any:
    """The data with each text in it replaced."""
    if isinstance(value, str):
        return text
    if isinstance(value, list):
        return [replaced(item, text) for item in value]
    return {k: replaced(v, text) for k, v in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("name", sorted(path.stem for path in SHIPPED.glob("*.json")))
@pytest.mark.parametrize(
    "payload",
    [
        "{{ 7 * 191 }}", "{% include '/etc/passwd' %}", "{# x #}", "${7*191}", "#{7*191}", "<%= 7*191 %>", "{{7*191}}",
        "{% raw %}{{ 7*191 }}", "<mj-include path='/etc/passwd' />", "<mj-raw><script>alert(1)</script></mj-raw>",
        "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "javascript:alert(1)", "]]></mjml><mjml>",
        "<!ENTITY x SYSTEM 'file:///etc/passwd'>&x;", "--><script>alert(1)</script><!--", "</style><script>alert(1)</script>",
    ],
)  # fmt: skip
def test_data_is_never_a_template_or_markup(name: str, payload: str) -> None:
    sample = json.loads((SHIPPED / f"{name}.json").read_text())
    renderer = Renderer(TemplateFolders())
    try:
        mail = renderer.render(name, replaced(sample, payload))
    except TemplateFault:
        return  # a text where the template counts or compares
    plain = renderer.render(name, replaced(sample, "plain"))
    assert "1337" not in mail.html + mail.text + mail.subject
    assert "root:" not in mail.html
    assert elements(mail.html) == elements(plain.html)


def elements(html: str) -> list[tuple[str, tuple[str, ...]]]:
    """Every element with the names of its attributes; scripts in comments too, where Outlook reads markup."""
    found: list[tuple[str, tuple[str, ...]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, tuple(name for name, _ in attrs)))

        def handle_comment(self, data: str) -> None:
            if "<script" in data:
                found.append(("script in a comment", ()))

    Reader().feed(html)
    return found


@pytest.fixture
async def server() -> AsyncIterator[HostileServer]:
    async with HostileServer() as made:
        made.body("/a.pdf", b"%PDF-1.7 x")
        yield made


BREAKS = [
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    "\0",
    "\x0b",
    "\x0c",
    "\x1c",
    "\x85",
    "\u2028",
    "\u2029",
    "%0d%0a",
    "\\r\\n",
    "\u560d\u560a",
]
FIELDS = [
    "to",
    "to name",
    "from",
    "from name",
    "replyTo",
    "replyTo name",
    "subject",
    "tag",
    "attachment",
    "template data",
]


def job_with(field: str, text: str) -> dict[str, Any]:
    """An e-mail job with a hostile text in one of its fields."""
    job: dict[str, Any] = {
        "to": "user-42@example.com",
        "template": "welcome",
        "data": json.loads((SHIPPED / "welcome.json").read_text()),
        "provider": "smtp",
    }
    match field:
        case "to" | "from" | "replyTo":
            job[field] = f"a{text}@example.com"
        case "to name" | "from name" | "replyTo name":
            job[field.split(maxsplit=1)[0]] = f"Name{text} <a@example.com>"
        case "subject":
            job["subject"] = f"Hello{text}"
        case "tag":
            job["tags"] = [f"tag{text}"]
        case "attachment":
            job["attachments"] = [{"url": "http://files.test/a.pdf", "name": f"a{text}.pdf"}]
        case "template data":
            job["data"] = replaced(job["data"], f"x{text}")
    return job


@pytest.mark.parametrize("field", FIELDS)
async def test_header_injection_through_each_field_writes_no_header(
    server: HostileServer, field: str
) -> None:
    settings = Settings(_env_file=None, CORRAL_MAIL_FROM="Shop <shop@example.com>")
    fetcher = Fetcher(resolve=public, backend=ToLoopback(server.port))
    harmless = headers_of(await made(job_with(field, ""), fetcher, settings))
    passed = 0
    for line_break in BREAKS:
        for payload in (
            "Bcc: victim@evil.test",
            "Content-Type: text/html",
            "X-Evil: 1",
            "\r\n.\r\nMAIL FROM:<x@evil.test>",
        ):
            job = job_with(field, f"{line_break}{payload}")
            try:
                message = await made(job, fetcher, settings)
            except (msgspec.ValidationError, ProviderPermanent, TemplateFault) as refused:
                assert "victim" not in str(refused)
                continue
            passed += 1
            assert headers_of(message) == harmless
            assert "victim" not in str([message[name] for name in ("Bcc", "Cc") if message[name]])
            to = message["To"].addresses
            assert len(to) == 1
            assert "evil.test" not in to[0].domain
    await fetcher.close()
    # What is no line break anywhere is a text like any other.
    assert passed or field in (
        "to",
        "from",
        "replyTo",
        "to name",
        "from name",
        "replyTo name",
        "tag",
        "attachment",
    )


async def made(job: dict[str, Any], fetcher: Fetcher, settings: Settings) -> EmailMessage:
    """The message as a mail server gets it, or why there is none."""
    data = msgspec.convert(job, EmailJob)
    recipients = [parse_address(text) for text in data.recipients]
    mail = await compose(data, recipients, job_id="7", enqueued_at=1.0, settings=settings, fetcher=fetcher)
    refuse_unsafe("smtp", mail)
    content = letter(mail, NOW).content
    assert b"\n" not in content.replace(b"\r\n", b"")
    return email.message_from_bytes(content, policy=policy.default)


def headers_of(message: EmailMessage) -> list[tuple[str, tuple[str, ...]]]:
    """Names of headers of the message and its parts, and the parts' kinds."""
    return [(part.get_content_type(), tuple(part.keys())) for part in message.walk()]


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "..\\x", "/etc/passwd", "a\r\nb", "a\nContent-Type: text/html\n", "a\0.exe", "x" * 101, ""],
    ids=ascii,
)  # fmt: skip
def test_an_attachments_name_leads_no_path_and_no_header_astray(name: str) -> None:
    job = job_with("attachment", "") | {"attachments": [{"url": "http://files.test/a.pdf", "name": name}]}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(job, EmailJob)


@pytest.mark.parametrize(
    "path", ["%0d%0aBcc:%20victim", "..%2f..%2fetc%2fpasswd", "%00.exe", "a%22b%22", "%E2%80%A8x"]
)
async def test_an_attachments_name_from_its_url_is_made_harmless(server: HostileServer, path: str) -> None:
    settings = Settings(_env_file=None, CORRAL_MAIL_FROM="shop@example.com")
    fetcher = Fetcher(resolve=public, backend=ToLoopback(server.port))
    server.answers[f"/{path}"] = server.answers["/a.pdf"]
    job = job_with("subject", "") | {"attachments": [{"url": f"http://files.test/{path}"}]}
    message = await made(job, fetcher, settings)
    await fetcher.close()
    assert message["Bcc"] is None
    (name,) = [part.get_filename() for part in message.iter_attachments()]
    assert name
    assert not re.search(r"[\x00-\x1f/\\\"\u2028]", name)
    assert not name.startswith(".")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://169.254.169.254/latest/meta-data/", "http://[::1]/", "http://2130706433/",
        "http://files.test:6379/", "http://user@files.test/", "https://localhost/", "HTTP://127.1/",
    ],
)  # fmt: skip
async def test_an_attachment_is_not_fetched_from_inside(url: str) -> None:
    fetcher = Fetcher()
    job = job_with("subject", "") | {"attachments": [{"url": url}]}
    with pytest.raises((FetchBlocked, FetchRefused)):
        await made(job, fetcher, Settings(_env_file=None, CORRAL_MAIL_FROM="shop@example.com"))
    await fetcher.close()


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://files.test/a", "data:text/plain,x", "/etc/passwd", "http://"]
)
def test_an_attachment_that_is_no_web_address_is_refused_at_the_edge(url: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(job_with("subject", "") | {"attachments": [{"url": url}]}, EmailJob)


@pytest.mark.parametrize(
    "name", ["../welcome", "/etc/passwd", "welcome.mjml", "_layout", "a" * 65, "wel\0come", ""]
)
def test_a_template_is_named_and_never_a_path(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(job_with("subject", "") | {"template": name}, EmailJob)
    with pytest.raises(TemplateFault):
        TemplateFolders().find(name)
