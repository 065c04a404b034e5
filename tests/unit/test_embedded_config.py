"""The embedded server's configuration file as text."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.embedded.config import configuration, quoted


def unquoted(argument: str) -> bytes:
    """What the server makes of a double-quoted argument, after its own description of the syntax."""
    assert argument[0] == argument[-1] == '"'
    body, result = argument[1:-1], b""
    while body:
        if body.startswith("\\x"):
            result, body = result + bytes.fromhex(body[2:4]), body[4:]
        else:
            assert body[0] not in '"\\'
            result, body = result + body[0].encode(), body[1:]
    return result


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives_quoting_on_one_line(text: str) -> None:
    argument = quoted(text)
    assert "\n" not in argument
    assert unquoted(argument) == text.encode()


def test_a_path_that_is_no_utf8_survives() -> None:
    raw = b"/srv/caf\xe9"
    assert unquoted(quoted(os.fsdecode(raw))) == raw


@pytest.mark.parametrize(
    "line",
    [
        "bind 127.0.0.1",
        "port 7001",
        "protected-mode yes",
        'requirepass "s3cret"',
        'dir "/srv/my queue"',
        "appendonly yes",
        "appendfsync everysec",
        "maxmemory-policy noeviction",
    ],
)
def test_what_the_file_says(line: str) -> None:
    assert line in configuration("/srv/my queue", 7001, "s3cret").splitlines()
