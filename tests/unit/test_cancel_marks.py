"""The field and the message of a cancellation."""

from __future__ import annotations

import pytest

from corral.bullmq.cancel import FIELD, Message, obeyed, pending, read_message, was_cancelled


def test_a_mark_is_asked_or_obeyed() -> None:
    assert pending(b"?because") == "because"
    assert not was_cancelled(b"?because")
    field, mark = obeyed("because")
    assert field == FIELD
    assert pending(mark.encode()) is None
    assert was_cancelled(mark.encode())


@pytest.mark.parametrize("mark", [None, b"", b"because", b"\xff"])
def test_what_is_no_mark(mark: bytes | None) -> None:
    assert pending(mark) is None
    assert not was_cancelled(mark)


def test_messages_of_another_version_are_passed_over() -> None:
    assert read_message(b'{"queue":"q","cancel":"7","more":1}') == Message("q", "7")
    for other in (b'{"queue":"q","pause":true}', b"7", b"", b"\xff"):
        assert read_message(other) is None
