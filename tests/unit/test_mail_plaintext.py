"""The text part that is made from a mail's HTML."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.mail.plaintext import text_of


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("<p>One<br>line\n   and <b>bold</b> words</p>", "One\nline and bold words"),
        ("<h1>Title</h1><div>a</div><div>b</div>", "Title\n\na\nb"),
        ('<p><a href="https://example.com/?a&amp;b">Open</a> it</p>', "Open (https://example.com/?a&b) it"),
        ('<a href="https://example.com">https://example.com</a>', "https://example.com"),
        ('<a href="mailto:a@example.com">a@example.com</a>', "a@example.com"),
        ('<a href="https://example.com/x"><img alt="" src="x"></a>', "https://example.com/x"),
        ('<a href="#top">Up</a> and <a>nowhere</a>', "Up and nowhere"),
        ("<ul><li>a</li><li><p>b</p></li></ul>", "- a\n- b"),
        ("<p>x</p><ol><li>a</li><li>b</li></ol><p>y</p>", "x\n\n1. a\n2. b\n\ny"),
        ("<table><tr><th>Item</th><th>Price</th></tr><tr><td>Plan</td><td>9</td></tr></table>",
         "Item  Price\nPlan  9"),
        ('<table role="presentation"><tr><td>a</td></tr><tr><td>b</td></tr></table>', "a\n\nb"),
        ('<div style="display: none">hidden <p>deep</p></div><p>seen</p>', "seen"),
        ("<head><title>t</title><style>p{}</style></head><body>x<script>1</script></body>", "x"),
        ('see <img alt="our logo" src="x"> here', "see our logo here"),
        ("a &lt;b&gt; &amp;amp; &nbsp;c&#233;", "a <b> &amp; \u00a0cé".replace("\u00a0", " ")),
        ("one<hr>two", "one\n\n---\n\ntwo"),
        ("<!-- no --><!--[if mso]><p>no</p><![endif]-->yes", "yes"),
        ("", ""),
    ],
)  # fmt: skip
def test_html_becomes_readable_text(html: str, text: str) -> None:
    assert text_of(html) == text + "\n"


@given(st.text())
def test_any_text_comes_through_without_tags(text: str) -> None:
    made = text_of(f"<p>{text.replace('&', '&amp;').replace('<', '&lt;')}</p>")

    assert "<p>" not in made.replace(text, "")
    assert "".join(made.split()) == "".join(
        "".join(c for c in text if c not in "\ue000\ue001\ue002\r").split()
    )
