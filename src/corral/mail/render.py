"""A mail made from a template and data: subject, preview, HTML part and text part.

The order is Jinja2, then MJML (files that end with .mjml), then CSS into `style` attributes. The text part is
the template's own .txt, or made from the HTML.

MJML is not compiled once and filled later, on purpose: a value may stand where MJML reckons with it (a width,
a padding), and a loop or a condition may stand around whole sections; one way for all templates has one
meaning. It costs about 0.2 ms a mail for MJML and 0.5 ms for the CSS, where a minute has 100 mails.

Guarantees: nothing is fetched: `mj-include` is refused, remote style sheets and files of this machine are
left out. A subject with a line break is refused. Data cannot add markup, in text as in an attribute.
Limits: what an address in `href` leads to is the data's affair. Fonts have to be on the reader's device.
"""

from __future__ import annotations

import html as html_escapes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import css_inline
import mrml

from corral.mail.plaintext import text_of
from corral.mail.sandboxed import Part, environment, fill, variables
from corral.mail.templates import Found, TemplateBroken, TemplateFolders

#: RFC 5322: characters of a header's line.
SUBJECT_LENGTH = 998

_LINE_BREAK = re.compile(r"[\r\n\x00\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_BODY = re.compile(r"<body\b[^>]*>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail's parts. `preview` is what a mailbox shows beside the subject; it is in `html`, out of sight."""

    subject: str
    preview: str
    html: str
    text: str


class Renderer:
    """Renders the templates of a set of folders; safe to use from several threads."""

    def __init__(self, folders: TemplateFolders) -> None:
        self.folders = folders
        self._jinja = environment(folders)
        self._inliner = css_inline.CSSInliner(load_remote_stylesheets=False, keep_at_rules=True)

    def render(self, name: str, data: Mapping[str, Any], *, subject: str = "") -> Rendered:
        """Make a mail. `subject` goes before the template's own, and is no template itself.

        Raises TemplateUnknown, TemplateBroken, VariableMissing; none of them repeats a value of the data.
        """
        found = self.folders.find(name)
        subject = subject or self._line(found, "subject", found.head.subject, data)
        if not subject:
            raise TemplateBroken(f"Mail template {name} has no subject, and the job brings none.")
        if len(subject) > SUBJECT_LENGTH:
            raise TemplateBroken(f"Mail template {name}: the subject is over {SUBJECT_LENGTH} characters.")
        preview = " ".join(self._fill(found, "preview", found.head.preview, data).split())
        html = self._html(found, fill(self._jinja, Part(name, found.file, found.file), data))
        if preview:
            html = with_preview(html, preview)
        text = fill(self._jinja, Part(name, found.text, found.text), data) if found.text else text_of(html)
        return Rendered(subject, preview, html, text)

    def variables(self, found: Found) -> list[str]:
        """What a template asks of the data. Raises TemplateBroken."""
        files = [Part(found.name, file, file) for file in (found.file, found.text) if file]
        head = [Part(found.name, "head", text=text) for text in (found.head.subject, found.head.preview)]
        return variables(self._jinja, [*files, *head])

    def _fill(self, found: Found, what: str, text: str, data: Mapping[str, Any]) -> str:
        return fill(self._jinja, Part(found.name, what, text=text), data) if text else ""

    def _line(self, found: Found, what: str, text: str, data: Mapping[str, Any]) -> str:
        line = self._fill(found, what, text, data).strip()
        if _LINE_BREAK.search(line):
            raise TemplateBroken(
                f"Mail template {found.name}: a value put a line break into the {what}, which is one line."
            )
        return line

    def _html(self, found: Found, source: str) -> str:
        if found.file.endswith(".mjml"):
            try:
                source = mrml.to_html(source.lstrip()).content
            except OSError as error:  # what mrml raises for whatever it cannot read
                fault = _mjml_fault(error, source.lstrip())
                raise TemplateBroken(f"Mail template {found.name}: MJML: {fault}") from None
        try:
            return self._inliner.inline(source)
        except css_inline.InlineError as error:
            raise TemplateBroken(f"Mail template {found.name}: CSS: {error}") from None


def with_preview(html: str, preview: str) -> str:
    """HTML with the text that a mailbox shows before the mail is opened. Pure."""
    hidden = (
        '<div style="display:none;max-height:0;max-width:0;overflow:hidden;opacity:0;mso-hide:all">'
        f"{html_escapes.escape(preview)}</div>"
    )
    body = _BODY.search(html)
    at = body.end() if body else 0
    return html[:at] + hidden + html[at:]


def _mjml_fault(error: OSError, source: str) -> str:
    """The words of MJML's parser, which quote nothing, and where it was when it gave up."""
    text = str(error)
    fault = text.partition(" in root template")[0] if " in root template" in text else "it cannot be read"
    position = re.search(r"at position (\d+):", text)
    line = source.count("\n", 0, int(position[1])) + 1 if position else 0
    return fault + (f", line {line} of the filled template" if line else "")


@lru_cache(maxsize=4)
def renderer(own: str) -> Renderer:
    """The process's renderer for a team's folder ('' for none). Raises TemplateUnknown if there is none."""
    return Renderer(TemplateFolders(own))
