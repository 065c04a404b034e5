"""The text part of a mail, made from its HTML. Pure.

Paragraphs stay paragraphs, lists keep their marks, a link is followed by its address, a picture is its
description, cells of a table's row stand side by side. What is hidden (the preview text) is left out.
Limits: for HTML whose tags are closed, as the renderer's is. Lines are as long as their paragraph.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

_VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "wbr")
)
_UNSEEN = frozenset(("head", "style", "script", "title", "template"))
_PARAGRAPHS = frozenset(
    ("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "blockquote", "pre", "article", "header", "footer")
)
_LINES = frozenset(("div", "li", "section", "center", "dt", "dd", "address"))

_HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\r\n\f]+")

#: Marks for the ends of lines and paragraphs, until all is known: no text of a mail has them.
_LINE, _PARAGRAPH, _CELL = "\ue000", "\ue001", "\ue002"


def text_of(html: str) -> str:
    """The text of a mail, ending with a line break."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    text = "".join(reader.parts)
    text = re.sub(f" *{_CELL} *(?=[{_LINE}{_PARAGRAPH}]|$)", "", text)
    text = text.replace(_CELL, "  ")
    text = re.sub(f" *[{_LINE}{_PARAGRAPH} ]*{_PARAGRAPH}[{_LINE}{_PARAGRAPH} ]*", "\n\n", text)
    text = re.sub(f" *{_LINE}[{_LINE} ]*", "\n", text)
    return text.replace("\xa0", " ").strip() + "\n"


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._unseen = 0
        self._tables: list[bool] = []  # whether each open table only lays out
        self._lists: list[int | None] = []  # the number of the last item; None: a list of points
        self._links: list[tuple[str, int]] = []  # each open link's address, and where its text begins

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if self._unseen or tag in _UNSEEN or _HIDDEN.search(given.get("style", "")):
            self._unseen += tag not in _VOID
            return
        match tag:
            case "br":
                self.parts.append(_LINE)
            case "hr":
                self.parts.append(f"{_PARAGRAPH}---{_PARAGRAPH}")
            case "img":
                self._add(given.get("alt", ""))
            case "a":
                self._links.append((given.get("href", ""), len(self.parts)))
            case "table":
                self._tables.append(given.get("role") == "presentation")
                self.parts.append(_PARAGRAPH)
            case "ul" | "ol":
                self._lists.append(None if tag == "ul" else 0)
                self._break(tag)
            case "li":
                self.parts.append(_LINE + self._mark())
            case _:
                self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._unseen:
            self._unseen -= tag not in _VOID
            return
        match tag:
            case "a" if self._links:
                self._end_link(*self._links.pop())
            case "table" if self._tables:
                self._tables.pop()
                self.parts.append(_PARAGRAPH)
            case "ul" | "ol" if self._lists:
                self._lists.pop()
                self._break(tag)
            case "td" | "th":
                self.parts.append(_LINE if self._lays_out() else _CELL)
            case _:
                self._break(tag)

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self._add(data)

    def _add(self, text: str) -> None:
        text = _SPACE.sub(" ", re.sub(f"[{_LINE}{_PARAGRAPH}{_CELL}]", "", text))
        if not self.parts or self.parts[-1][-1] in (" ", _LINE, _PARAGRAPH, _CELL):
            text = text.lstrip(" ")
        if text:
            self.parts.append(text)

    def _break(self, tag: str) -> None:
        if self.parts and self.parts[-1].startswith(_LINE) and len(self.parts[-1]) > 1:
            return  # the mark of a list's item, whose text is a paragraph
        if tag in _PARAGRAPHS or (tag == "tr" and self._lays_out()):
            self.parts.append(_PARAGRAPH)
        elif tag in _LINES or tag == "tr":
            self.parts.append(_LINE)

    def _lays_out(self) -> bool:
        return bool(self._tables) and self._tables[-1]

    def _mark(self) -> str:
        if not self._lists or self._lists[-1] is None:
            return "- "
        self._lists[-1] += 1
        return f"{self._lists[-1]}. "

    def _end_link(self, href: str, start: int) -> None:
        shown = "".join(self.parts[start:]).strip()
        address = href.removeprefix("mailto:").removeprefix("tel:")
        if address and not address.startswith("#") and shown not in (address, href, address.rstrip("/")):
            self.parts.append(f" ({address})" if shown else address)
