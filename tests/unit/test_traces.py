"""Stack traces say what Python's own say, without carets."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable

import pytest

from corral.worker.traces import FRAMES, format_trace


def python(error: BaseException) -> str:
    """Python's own text without the lines that only mark a part of the line above."""
    text = "".join(traceback.format_exception(error))
    return re.sub(r"^ +[~^]+\n", "", text, flags=re.MULTILINE)


def deep(n: int) -> None:
    if n:
        deep(n - 1)
    raise ValueError("bottom")


def caused() -> None:
    try:
        dict[str, int]()["missing"]
    except KeyError as error:
        raise RuntimeError("it broke") from error


def on_the_way() -> None:
    try:
        deep(2)
    except ValueError:
        int("x")


def suppressed() -> None:
    try:
        deep(1)
    except ValueError:
        raise OSError(2, "No such file") from None


def noted() -> None:
    error = TimeoutError("late")
    error.add_note("after 3 s")
    raise error


def grouped() -> None:
    raise ExceptionGroup("two", [ValueError("a"), TypeError("b")])


def badly_written() -> None:
    compile("a = = b", "config.py", "exec")


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def mute() -> None:
    raise Mute


def empty() -> None:
    raise ValueError


def misspelt() -> None:
    pytest.rases  # type: ignore[attr-defined]  # noqa: B018 - the slip is what is tested


def lined() -> None:
    raise Mute.__mro__[1]("one\ntwo")


@pytest.mark.parametrize(
    "fail",
    [
        caused,
        on_the_way,
        suppressed,
        noted,
        grouped,
        badly_written,
        mute,
        empty,
        misspelt,
        lined,
        lambda: deep(3),
    ],
)
def test_a_trace_is_what_python_prints(fail: Callable[[], object]) -> None:
    with pytest.raises(BaseException) as caught:
        fail()
    error = caught.value
    assert re.sub(r"^ +[~^]+\n", "", format_trace(error), flags=re.MULTILINE) == python(error)


def test_a_recursion_is_cut_in_the_middle() -> None:
    with pytest.raises(ValueError, match="bottom") as caught:
        deep(200)
    text = format_trace(caught.value)
    assert text.count("in deep") == 2 * FRAMES - 1
    assert "frames" in text
    assert text.endswith("ValueError: bottom\n")


def test_an_error_that_is_its_own_cause_ends() -> None:
    error = ValueError("round")
    other = KeyError("and round")
    error.__cause__, other.__cause__ = other, error
    assert format_trace(error).count("round") == 2


def test_an_error_that_was_never_raised_has_no_frames() -> None:
    assert format_trace(ValueError("only said")) == "ValueError: only said\n"
