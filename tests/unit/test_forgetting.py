"""What is left of the data of a job that ended."""

from __future__ import annotations

import json
from typing import Any

import pytest

from corral import Forget
from corral.errors import InvalidOptions
from corral.forgetting import MARK, is_reduced, reduced, same_as_far_as_kept

DATA = b'{"userId":"user-7", "documentNumber":"X-1","size":1.50,"big":12345678901234567890,"nested":{"a":[]}}'


def test_only_what_is_kept_stays_and_stays_byte_for_byte() -> None:
    left = reduced(DATA, ("size", "userId", "big", "nested", "absent"))
    assert left == (
        '{"size":1.50,"userId":"user-7","big":12345678901234567890,"nested":{"a":[]},"corral:forgotten":true}'
    )
    assert is_reduced(left.encode())
    assert not is_reduced(DATA)


@pytest.mark.parametrize("data", [b"[1,2]", b'"text"', b"{broken", b"\xff\xfe", b"", None, b"[" * 100_000])
def test_what_is_no_object_is_forgotten_whole(data: bytes | None) -> None:
    assert json.loads(reduced(data, ("userId",))) == {MARK: True}


def test_the_mark_inside_a_value_is_no_mark() -> None:
    assert not is_reduced(b'{"note":"corral:forgotten"}')
    assert not is_reduced(b'{"note":{"corral:forgotten":true}}')
    assert not is_reduced(None)


def test_reduced_data_is_compared_by_what_was_kept() -> None:
    left = reduced(DATA, ("userId",)).encode()
    assert same_as_far_as_kept(left, b'{"documentNumber":"Y-2","userId": "user-7"}')
    assert not same_as_far_as_kept(left, b'{"userId":"user-8"}')
    assert not same_as_far_as_kept(left, b"{}")


@pytest.mark.parametrize("wrong", [{"keep": "userId"}, {"keep": (1,)}, {"failed_after": -1}])
def test_a_wrong_policy_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidOptions, match=next(iter(wrong))):
        Forget(**wrong)
