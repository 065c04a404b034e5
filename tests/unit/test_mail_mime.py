"""A message as MIME, read back by the standard library's parser; and what is refused before it is built."""

from __future__ import annotations

import email
from dataclasses import replace
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage

import pytest

from corral.providers.errors import ProviderPermanent
from corral.providers.mail import Address, Attachment, Mail, private_values, refuse_unsafe
from corral.providers.mime import letter

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
MAIL = Mail(
    sender=Address("shop@example.com", "The Shop"),
    to=(Address("user-42@example.com", "User"),),
    message_id="<mail-7@example.com>",
    job_id="mail-7",
    subject="Your order",
    text="Hello\n.\n..dots\n" + "long " * 300,
    html="<p>Hello</p>",
)


def parsed(mail: Mail) -> EmailMessage:
    content = letter(mail, NOW).content
    assert content.isascii()
    assert all(len(line) <= 998 for line in content.split(b"\r\n"))
    assert b"\n" not in content.replace(b"\r\n", b"")
    return email.message_from_bytes(content, policy=policy.default)


def test_text_and_html_are_alternatives_and_come_back_as_they_were() -> None:
    message = parsed(MAIL)
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().split() == MAIL.text.split()
    assert text.get_content().splitlines()[1:3] == [".", "..dots"]
    assert html.get_content().strip() == MAIL.html
    assert message["Message-ID"] == "<mail-7@example.com>"
    assert message["Date"].datetime == NOW
    assert (message["From"], message["To"]) == ("The Shop <shop@example.com>", "User <user-42@example.com>")


@pytest.mark.parametrize(("text", "html", "kind"), [("x", "", "text/plain"), ("", "<p>x</p>", "text/html")])
def test_one_form_alone_is_no_alternative(text: str, html: str, kind: str) -> None:
    assert parsed(replace(MAIL, text=text, html=html)).get_content_type() == kind


def test_any_language_comes_back_as_it_was() -> None:
    name, subject = 'Žofia "Ž" Ölçer, Ltd.', "Grüße: 注文の確認 " * 12
    message = parsed(
        replace(
            MAIL,
            to=(Address("user-42@bücher.example", name), Address("b@example.com")),
            subject=subject.strip(),
            text="naïve ☕",
            reply_to=Address("help@example.com", "Hilfe für alle"),
            headers={"X-Campaign": "été"},
        )
    )
    first, second = message["To"].addresses
    assert (first.display_name, first.addr_spec) == (name, "user-42@xn--bcher-kva.example")
    assert second.addr_spec == "b@example.com"
    assert message["Subject"] == subject.strip()
    assert message["Reply-To"].addresses[0].display_name == "Hilfe für alle"
    assert message["X-Campaign"] == "été"


def test_attachments_come_back_byte_for_byte_under_their_names() -> None:
    files = (
        Attachment("rechnung-für-märz.pdf", "application/pdf", bytes(range(256)) * 9),
        Attachment("notes.txt", "text/plain; charset=utf-8", "é\r\n.\r\n".encode()),
        Attachment("strange", "no media type", b"\r\n.\r\n"),
        Attachment("mail.eml", "message/rfc822", b"Subject: x\r\n\r\n"),
    )
    message = parsed(replace(MAIL, attachments=files))
    assert message.get_content_type() == "multipart/mixed"
    found = list(message.iter_attachments())
    assert [part.get_filename() for part in found] == [file.name for file in files]
    assert [part.get_payload(decode=True) for part in found] == [file.content for file in files]
    assert [part.get_content_type() for part in found] == [
        "application/pdf",
        "text/plain",
        "application/octet-stream",
        "application/octet-stream",
    ]


def test_a_long_message_id_is_neither_folded_nor_encoded() -> None:
    long = f"<{'m' * 200}@example.com>"
    assert f"Message-ID: {long}\r\n".encode() in letter(replace(MAIL, message_id=long), NOW).content


def test_an_address_that_ascii_cannot_write_is_no_letter() -> None:
    with pytest.raises(ValueError, match="not ASCII"):
        letter(replace(MAIL, to=(Address("ünicode@example.com"),)), NOW)
    with pytest.raises(ValueError, match="label"):
        letter(replace(MAIL, to=(Address(f"a@{'ü' * 70}.example"),)), NOW)


INJECTED = "x\r\nBcc: victim@example.com"


@pytest.mark.parametrize(
    ("mail", "word"),
    [
        (replace(MAIL, subject=INJECTED), "subject"),
        (replace(MAIL, subject="x\ny"), "subject"),
        (replace(MAIL, subject="x\0y"), "subject"),
        (replace(MAIL, message_id=f"<{INJECTED}>"), "message_id"),
        (replace(MAIL, job_id=INJECTED), "job_id"),
        (replace(MAIL, tags=("fine", INJECTED)), "a tag"),
        (replace(MAIL, sender=Address("shop@example.com", INJECTED)), "sender.name"),
        (replace(MAIL, to=(Address("a@example.com\r\nBcc: b@example.com"),)), "to.email"),
        (replace(MAIL, reply_to=Address("a@example.com", INJECTED)), "reply_to.name"),
        (replace(MAIL, headers={"X-Note": INJECTED}), "the header X-Note"),
        (replace(MAIL, attachments=(Attachment(INJECTED, "text/plain", b""),)), "an attachment's name"),
        (replace(MAIL, attachments=(Attachment("a", INJECTED, b""),)), "an attachment's content_type"),
        (replace(MAIL, headers={"X Note": "v"}), "a header's name"),
        (replace(MAIL, headers={"X-Note:\r\nBcc": "v"}), "a header's name"),
        (replace(MAIL, headers={"bCC": "victim@example.com"}), "the header bCC"),
        (replace(MAIL, headers={"Content-Type": "text/html"}), "the header Content-Type"),
        (replace(MAIL, to=()), "no recipient"),
        (replace(MAIL, to=(Address("not an address"),)), "to.email"),
        (replace(MAIL, to=(Address("a@example.com, b@example.com"),)), "to.email"),
        (replace(MAIL, sender=Address("")), "sender.email"),
    ],
)
def test_a_message_that_could_smuggle_a_header_is_refused_and_not_repeated(mail: Mail, word: str) -> None:
    with pytest.raises(ProviderPermanent, match="the message is refused") as caught:
        refuse_unsafe("smtp", mail)
    assert word in caught.value.reason
    assert "victim" not in caught.value.reason


def test_an_ordinary_message_is_not_refused() -> None:
    headers = {"List-Unsubscribe": "<https://example.com/u>", "X-Entity-Ref-ID": "7"}
    refuse_unsafe("smtp", replace(MAIL, headers=headers, tags=("welcome",)))


def test_all_that_is_personal_in_a_message_is_named() -> None:
    variables = {"plan": 7, "who": {"name": "Sample", "cities": ["Riga", {"zip": "LV-1010"}]}}
    private = private_values(
        replace(
            MAIL,
            variables=variables,
            reply_to=Address("help@example.com", "Help"),
            headers={"X-Who": "someone"},
            attachments=(Attachment("sample.pdf", "application/pdf", b""),),
        )
    )
    assert {"Sample", "Riga", "LV-1010", "help@example.com", "User", "user-42@example.com"} <= set(private)
    assert {MAIL.subject, MAIL.text, MAIL.html, "someone", "sample.pdf"} <= set(private)
