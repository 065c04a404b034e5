"""What an e-mail job carries and returns, checked where it enters. Pure.

Wire names are camelCase. A wrong job is refused at the edge with the name of the wrong field; no message
repeats an address.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from corral.errors import InvalidInput
from corral.mail.addresses import parse_address
from corral.mail.names import NAME_PATTERN

Provider = Literal["sendgrid", "mailgun", "smtp"]
Delivery = Literal["at_least_once", "at_most_once"]

MAX_RECIPIENTS = 50

MAX_ATTACHMENTS = 10

#: What the narrower provider takes.
MAX_TAGS = 10

#: With a name before it.
_ADDRESS = Annotated[str, Meta(min_length=3, max_length=400)]
_URL = Annotated[str, Meta(max_length=2048, pattern=r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s/?#]+[^\s]*$")]
_LINE = r"^[^\x00-\x1f\x7f\x85\u2028\u2029]*$"


class AttachmentLink(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A file to fetch and attach. Without a name it gets the last part of the URL's path."""

    url: _URL
    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f/\\]+$")] | None = None


class EmailJob(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A mail to send: from a template of ours, or from one that the provider keeps (`template_id`).

    to: one address or up to 50; all of them see each other. `Name <a@example.com>` is an address, too.
    delivery: what is done when an earlier attempt may have sent it; default CORRAL_MAIL_DELIVERY.
    """

    to: _ADDRESS | Annotated[list[_ADDRESS], Meta(min_length=1, max_length=MAX_RECIPIENTS)]
    template: Annotated[str, Meta(pattern=NAME_PATTERN)] | None = None
    data: dict[str, Any] = {}
    provider: Provider
    template_id: Annotated[str, Meta(min_length=1, max_length=200, pattern=_LINE)] | None = None
    from_: _ADDRESS | None = msgspec.field(name="from", default=None)
    reply_to: _ADDRESS | None = None
    subject: Annotated[str, Meta(min_length=1, max_length=250, pattern=_LINE)] | None = None
    attachments: Annotated[list[AttachmentLink], Meta(max_length=MAX_ATTACHMENTS)] = []
    tags: Annotated[
        list[Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$")]], Meta(max_length=MAX_TAGS)
    ] = []
    delivery: Delivery | None = None

    def __post_init__(self) -> None:
        if (self.template is None) == (self.template_id is None):
            raise ValueError("a mail needs either template or templateId")
        if self.template_id is not None and self.provider == "smtp":
            raise ValueError("templateId is for sendgrid and mailgun: a mail server keeps no templates")
        if self.template_id is not None and self.subject is not None and self.provider == "sendgrid":
            raise ValueError("subject is the template's own at sendgrid: put it into data")
        for name, text in self.addresses():
            try:
                parse_address(text)
            except InvalidInput as error:
                raise ValueError(f"{name}: {error}") from None

    @property
    def recipients(self) -> list[str]:
        """`to` as a list."""
        return [self.to] if isinstance(self.to, str) else self.to

    def addresses(self) -> list[tuple[str, str]]:
        """Each address and the field that it is in."""
        many = isinstance(self.to, list)
        found = [(f"to[{i}]" if many else "to", text) for i, text in enumerate(self.recipients)]
        further = (("from", self.from_), ("replyTo", self.reply_to))
        return [*found, *((name, text) for name, text in further if text is not None)]


class EmailResult(msgspec.Struct, frozen=True, rename="camel"):
    """What the job returns.

    provider: who took it, which may be a fallback; of a suppressed mail, who was to.
    message_id: the provider's own id of it, '' if it gave none or nothing was sent.
    recipients: how many it was sent to; suppressed ones are not counted.
    """

    provider: Provider
    message_id: str
    outcome: Literal["sent", "suppressed"]
    recipients: int
