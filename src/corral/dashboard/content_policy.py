"""The Content-Security-Policy: all comes from here; what stands in a page itself is named by its hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def policy(inline: Mapping[str, Sequence[str]] = {}) -> str:  # never written
    """inline: sources of the scripts (`script`) and styles (`style`) that stand in the page."""
    scripts = " ".join(("'self'", *inline.get("script", ())))
    styles = " ".join(("'self'", *inline.get("style", ())))
    return (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
