"""Templates are found, filled in a sandbox, and say what is wrong with them without repeating data."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from corral.mail.render import Renderer
from corral.mail.sandboxed import VariableMissing
from corral.mail.templates import TemplateBroken, TemplateFault, TemplateFolders, TemplateUnknown

Make = Callable[..., Renderer]

HEAD = "---\nsubject: Hello {{ name }}\n---\n"


@pytest.fixture
def with_files(tmp_path: Path) -> Make:
    """A renderer of a team's folder with these files."""

    def make(**files: str) -> Renderer:
        for name, text in files.items():
            (tmp_path / name.replace("__", ".")).write_text(text, encoding="utf-8")
        return Renderer(TemplateFolders(str(tmp_path)))

    return make


@pytest.mark.parametrize("name", TemplateFolders().names())
def test_every_shipped_template_renders_its_sample(name: str) -> None:
    renderer = Renderer(TemplateFolders())
    found = renderer.folders.find(name)

    mail = renderer.render(name, json.loads(found.sample.read_text()))

    assert mail.subject
    assert mail.preview in mail.html
    assert mail.preview not in mail.text.splitlines()
    assert "<mj-" not in mail.html
    assert "{{" not in mail.html + mail.text + mail.subject
    assert "font-family" in mail.html
    assert "https://fonts.googleapis.com" not in mail.html
    assert "https://app.example.com/" in mail.text
    assert len(mail.html) < 100_000  # where Gmail cuts a mail off


def test_the_receipt_lists_its_items_in_both_parts() -> None:
    data = {"number": 7, "date": "today", "total": "€ 3", "items": [{"description": "Tea", "price": "€ 3"}]}

    mail = Renderer(TemplateFolders()).render("receipt", data)

    assert "Tea  1  € 3" in mail.text
    assert "Tea</td>" in mail.html


def test_css_is_inlined_and_what_cannot_be_is_kept(with_files: Make) -> None:
    style = "<style>p { color: red } @media (max-width: 9px) { p { color: blue } }</style>"
    renderer = with_files(a__html=f"{HEAD}<html><head>{style}</head><body><p>x</p></body></html>")

    html = renderer.render("a", {"name": "n"}).html

    assert '<p style="color: red' in html
    assert "@media" in html


def test_nothing_is_fetched_or_read_from_elsewhere(with_files: Make, tmp_path: Path) -> None:
    (tmp_path / "secret.css").write_text("p { color: pink }")
    link = f'<link rel="stylesheet" href="{tmp_path}/secret.css">'
    include = f'<mjml><mj-body><mj-include path="{tmp_path}/secret.css" /></mj-body></mjml>'
    renderer = with_files(a__html=f"{HEAD}<html><head>{link}</head><body><p>x</p></body></html>",
                          b__mjml=HEAD + include)  # fmt: skip

    assert "pink" not in renderer.render("a", {"name": "n"}).html
    with pytest.raises(TemplateBroken, match="MJML"):
        renderer.render("b", {"name": "n"})


def test_a_text_file_beside_it_is_the_text_part(with_files: Make) -> None:
    renderer = with_files(a__html=HEAD + "<p>{{ name }}</p>", a__txt="Dear {{ name }}")

    mail = renderer.render("a", {"name": "<A&B>"})

    assert mail.text == "Dear <A&B>"
    assert "&lt;A&amp;B&gt;" in mail.html
    assert mail.subject == "Hello <A&B>"


def test_the_teams_folder_goes_before_the_shipped_one(with_files: Make) -> None:
    renderer = with_files(
        welcome__html=HEAD + "ours", _part__html="{{ name }}!", b__html=HEAD + '{% include "_part.html" %}'
    )

    assert "ours" in renderer.render("welcome", {"name": "n"}).html
    assert "n!" in renderer.render("b", {"name": "n"}).text
    assert renderer.folders.names() == ["b", "password-reset", "receipt", "verification-result", "welcome"]


def test_a_changed_file_counts_from_the_next_mail_on(with_files: Make, tmp_path: Path) -> None:
    renderer = with_files(a__html=HEAD + "before")
    assert "before" in renderer.render("a", {"name": "n"}).text

    (tmp_path / "a.html").write_text("---\nsubject: Other\n---\nafterwards")

    assert renderer.render("a", {}).subject == "Other"
    assert "afterwards" in renderer.render("a", {}).text


def test_variables_of_all_parts_are_listed(with_files: Make) -> None:
    renderer = with_files(
        a__mjml="---\nsubject: {{ one }}\npreview: {{ two }}\n---\n"
        '{% extends "_layout.mjml" %}{% block content %}{{ three.four }}{% endblock %}',
        a__txt="{{ five }}",
    )

    assert renderer.variables(renderer.folders.find("a")) == ["five", "one", "supportEmail", "three", "two"]


def test_values_are_what_json_says(with_files: Make) -> None:
    renderer = with_files(a__html=HEAD + "{{ order.items }},{{ order.values.keys }},{{ nothing }}.")

    mail = renderer.render("a", {"name": "n", "order": {"items": 3, "values": {"keys": 4}}, "nothing": None})

    assert mail.text == "3,4,.\n"


# What is wrong


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nope", "no mail template 'nope'.*welcome"),
        ("../welcome", "no mail template"),
        ("_layout", "no mail template"),
        ("welcome.mjml", "no mail template"),
    ],
)
def test_an_unknown_template_is_named(name: str, reason: str) -> None:
    with pytest.raises(TemplateUnknown, match=reason):
        Renderer(TemplateFolders()).render(name, {"name": "n"})


@pytest.mark.parametrize(
    ("body", "error", "reason"),
    [
        ("\n{{ nam }}", VariableMissing, r"template a \(a.html\), line 5: the data has no 'nam'\."),
        ("{{ user.email }}", VariableMissing, "no 'email'"),
        ("{{ list[9] }}", VariableMissing, "no '9'"),
        ("{% for x in none_such %}{% endfor %}", VariableMissing, "no 'none_such'"),
        ("{% if %}", TemplateBroken, r"\(a.html\), line 4: "),
        ("{{ 'x' | nofilter }}", TemplateBroken, "nofilter"),
        ("{% include 'none.html' %}", TemplateBroken, "'none.html', which is not there"),
        ("{% include '../../pyproject.toml' %}", TemplateBroken, "which is not there"),
        ("{{ name + 1 }}", TemplateBroken, "line 4: TypeError"),
        ("{% for i in range(99999) %}{{ 'x' * 100 }}{% endfor %}", TemplateBroken, "more than 2,000,000"),
    ],
)
def test_a_mistake_is_named_by_template_and_line(
    with_files: Make, body: str, error: type[TemplateFault], reason: str
) -> None:
    renderer = with_files(a__html=HEAD + body)

    with pytest.raises(error, match=reason) as raised:
        renderer.render("a", {"name": "secret-name", "user": {"secret-key": 1}, "list": ["secret-item"]})
    assert "secret" not in str(raised.value)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_a_name_that_the_data_chose_is_not_repeated(with_files: Make) -> None:
    renderer = with_files(a__html=HEAD + "{{ greetings[name] }}")

    with pytest.raises(VariableMissing, match="a name that the template computes") as raised:
        renderer.render("a", {"name": "secret-name", "greetings": {}})
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("---\nsubject: x\nno end", "no end"),
        ("---\nsubjct: x\n---\n", "line 2: a head has"),
        ("no head", "no subject"),
        ("---\nsubject: {{ name\n---\n", "subject"),
        ("---\nsubject: {{ gone }}\n---\n", r"\(subject\): the data has no 'gone'"),
    ],
)
def test_a_wrong_head_is_said(with_files: Make, file: str, reason: str) -> None:
    with pytest.raises(TemplateFault, match=reason):
        with_files(a__html=file).render("a", {"name": "n"})


@pytest.mark.parametrize(
    "mjml", ["<mjml><mj-body>", "<p>x</p>", "<mjml><mj-body></mj-section></mj-body></mjml>"]
)
def test_wrong_mjml_is_said(with_files: Make, mjml: str) -> None:
    with pytest.raises(TemplateBroken, match="template a: MJML: "):
        with_files(a__mjml=HEAD + mjml).render("a", {"name": "n"})


@pytest.mark.parametrize("bad", ["A\r\nBcc: b@example.com", "A\nB", "A\rB", "A\u2028B", "A\x0bB"])
def test_a_line_break_in_a_subject_is_refused(with_files: Make, bad: str) -> None:
    renderer = with_files(a__html=HEAD + "x")

    if bad == "A\x0bB":
        assert renderer.render("a", {"name": bad}).subject == "Hello AB"  # not even a character of text
        return
    with pytest.raises(TemplateBroken, match="line break into the subject") as raised:
        renderer.render("a", {"name": bad})
    assert "Bcc" not in str(raised.value)


def test_a_subject_of_the_job_wins_and_is_no_template(with_files: Make) -> None:
    assert with_files(a__html=HEAD + "x").render("a", {}, subject="{{ 7 * 7 }}").subject == "{{ 7 * 7 }}"


# Attacks


HOSTILE = (
    "{{ ''.__class__ }}{% raw %}</td><script>alert(1)</script>--><img src=x onerror=alert(1)>\"' onclick=\""
)


def test_templates_and_markup_in_data_are_text(with_files: Make) -> None:
    mjml = (
        '<mjml><mj-body><mj-section background-url="{{ name }}" css-class="{{ name }}"><mj-column>'
        '<mj-text>{{ name }}</mj-text><mj-button href="{{ name }}">{{ name }}</mj-button>'
        '<mj-image src="{{ name }}" alt="{{ name }}" />'
        '<mj-table><tr><td title="{{ name }}">{{ name }}</td></tr></mj-table>'
        "</mj-column></mj-section></mj-body></mjml>"
    )
    renderer = with_files(a__mjml=HEAD + mjml)

    mail = renderer.render("a", {"name": HOSTILE})

    assert mail.subject == f"Hello {HOSTILE}"
    assert HOSTILE in mail.text
    plain, hostile = _Elements(), _Elements()
    plain.feed(renderer.render("a", {"name": "plain"}).html)
    hostile.feed(mail.html)
    assert hostile.seen == plain.seen
    for comment in hostile.comments:
        assert "<script" not in comment


class _Elements(HTMLParser):
    """Every element with the names of its attributes, and the comments, where Outlook reads markup."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, tuple[str, ...]]] = []
        self.comments: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, tuple(name for name, _ in attrs)))

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


@pytest.mark.parametrize(
    "attack",
    [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ ''['__class__'] }}",
        "{{ '' | attr('__class__') }}",
        "{{ '{0.__class__}'.format('') }}",
        "{{ '{0.__class__}' | format('') }}",
        "{{ self.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ lipsum.__globals__['os'].popen('id') }}",
        "{{ range.__class__ }}",
        "{{ items.append(1) }}",
        "{% set x = joiner.__init__ %}{{ x.__globals__ }}",
        "{% import 'os' as os %}{{ os.system('id') }}",
        "{% include '/etc/hostname' %}",
        "{{ (1).__reduce__() }}",
        "{{ namespace.__init__ }}",
    ],
)
def test_a_hostile_template_cannot_reach_python(with_files: Make, attack: str) -> None:
    renderer = with_files(a__html=HEAD + attack)
    data: dict[str, Any] = {"name": "n", "items": [1]}

    try:
        mail = renderer.render("a", data)
    except TemplateFault:
        pass
    else:
        assert "{0.__class__}" in mail.text  # a format that was not carried out
    assert data == {"name": "n", "items": [1]}


def test_a_folder_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(TemplateUnknown, match="CORRAL_MAIL_TEMPLATES"):
        TemplateFolders(str(tmp_path / "none"))
