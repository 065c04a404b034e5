"""Schedules in words."""

from __future__ import annotations

import pytest

from corral.errors import InvalidOptions
from corral.schedule_words import cron_in_words, every_in_words, in_words


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("* * * * *", "every minute"),
        ("*/15 * * * *", "every 15 minutes"),
        ("*/10 * * * * *", "every 10 seconds"),
        ("0 * * * *", "every hour"),
        ("5,35 * * * *", "every hour at minute 5 and 35"),
        ("0 */6 * * *", "every 6 hours"),
        ("0 3 * * *", "at 03:00 every day"),
        ("30 3,15 * * *", "at 03:30 and 15:30 every day"),
        ("0 3 * * 1-5", "at 03:00 on weekdays"),
        ("0 3 * * mon-fri", "at 03:00 on weekdays"),
        ("0 9 * * sat,sun", "at 09:00 on weekends"),
        ("0 9 * * 7", "at 09:00 on Sunday"),
        ("0 9 * * MON,WED", "at 09:00 on Monday and Wednesday"),
        ("*/10 9-17 * * 1-5", "every 10 minutes from 09:00 to 17:59 on weekdays"),
        ("0 9-17 * * *", "every hour from 09:00 to 17:00"),
        ("0 0 1 * *", "at 00:00 on the 1st of the month"),
        ("0 0 1,15 * *", "at 00:00 on the 1st and 15th of the month"),
        ("0 0 L * *", "at 00:00 on the last day of the month"),
        ("0 0 1 JAN,JUL *", "at 00:00 on the 1st of January and July"),
        ("0 8 * 12 *", "at 08:00 in December"),
        ("@daily", "at 00:00 every day"),
        ("@weekdays", "at 00:00 on weekdays"),
        ("@yearly", "at 00:00 on the 1st of January"),
        ("0 0 3 * * 1-5", "at 03:00 on weekdays"),
        # No plain words: the expression itself.
        ("*/7 * * * *", "*/7 * * * *"),
        ("0 0 13 * 5", "0 0 13 * 5"),
        ("0 9 * * 1#2", "0 9 * * 1#2"),
        ("0 9 * * 5L", "0 9 * * 5L"),
        ("0 1,2,3,4,5 * * *", "0 1,2,3,4,5 * * *"),
        ("30 0 3 * * *", "30 0 3 * * *"),
    ],
)
def test_a_cron_expression_in_words(expression: str, words: str) -> None:
    assert cron_in_words(expression) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "every second"),
        (90, "every 90 seconds"),
        (900, "every 15 minutes"),
        (3_600, "every hour"),
        (86_400, "every day"),
        (1_209_600, "every 2 weeks"),
        (0.25, "every 0.25 seconds"),
        (1.5, "every 1.5 seconds"),
    ],
)
def test_a_period_in_words(seconds: float, words: str) -> None:
    assert every_in_words(seconds) == words


def test_neither_of_both_and_nonsense() -> None:
    assert in_words(cron=None, every=None) == "never"
    with pytest.raises(InvalidOptions):
        in_words(cron="every day", every=None)
