"""Takes keys and personal data out of text that will be logged or stored as a failure reason.

Known values (keys, names, document numbers that were in the request) are replaced exactly. What a
provider may echo besides is caught by shape: mail addresses, and words of six or more characters with a
digit in them (document numbers, dates, tokens, base64). Limit: an unknown name without a digit passes, so
callers hand in every personal value they sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

#: Characters kept of a provider's message: enough to act on, too little for a dump.
MAX_LENGTH = 200

_MARK = "[redacted]"
_EMAIL = re.compile(r"[^\s@<>\"']+@[^\s@<>\"']+")
_WORD_WITH_DIGIT = re.compile(r"(?=[\w+/=.-]*\d)[\w+/=.-]{6,}")


def redact(text: str, private: Iterable[str] = ()) -> str:
    """`text` on one line, at most 200 characters, without the private values and what looks like one."""
    # A longer value cannot be in it; a mail's whole body would make a costly pattern.
    for value in sorted({v for v in private if 1 < len(v) <= len(text)}, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", _MARK, text, flags=re.IGNORECASE)
    text = _EMAIL.sub(_MARK, text)
    text = _WORD_WITH_DIGIT.sub(_MARK, text)
    text = " ".join(text.split())
    return text if len(text) <= MAX_LENGTH else text[: MAX_LENGTH - 1] + "…"
