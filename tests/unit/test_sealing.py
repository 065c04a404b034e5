"""Encrypted payloads: the setting, the round trip, and what tampering meets."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.errors import CannotDecrypt, ConfigurationError, Unrecoverable
from corral.sealing import MARK, Keychain, Sealing, bound_to, is_sealed, take_apart

ONE, TWO = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
KEYS = Keychain.parse(f"k1:{ONE}")


def sealing(keys: Keychain = KEYS, *, active: bool = True, queue: str = "q", prefix: str = "bull") -> Sealing:
    return Sealing(prefix, queue, keys, active=active, renew=lambda: keys)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("k1", "key 'k1' must be the base64 of 32"),
        ("k1:", "key 'k1' must be"),
        ("k1:c2VjcmV0", "key 'k1' must be"),
        (f"k1:{ONE}x", "key 'k1' must be"),
        (f":{ONE}", "entry 1 must be id:key"),
        (f"a.b:{ONE}", "entry 1 must be id:key"),
        (f"k1:{ONE},k 2:{TWO}", "entry 2 must be id:key"),
        (f"k1:{ONE},k1:{TWO}", "'k1' is there twice"),
        ("k1:ß", "key 'k1' must be"),
    ],
)
def test_a_malformed_setting_is_explained_without_its_key(setting: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        Keychain.parse(setting)
    assert str(error.value).startswith("CORRAL_ENCRYPTION_KEYS: ")
    assert says in str(error.value)
    assert ONE not in str(error.value)


def test_no_key_is_no_error_until_it_is_needed() -> None:
    assert not Keychain.parse("")
    assert repr(Keychain.parse(f"a:{ONE}, b:{TWO}")) == "Keychain(a, b)"


@given(st.binary(max_size=2_000), st.text(max_size=20))
def test_what_was_sealed_opens(plain: bytes, name: str) -> None:
    one = sealing()
    text = one.seal("data", name, plain)
    assert is_sealed(text)
    assert len(text) == one.size(len(plain))
    assert json.loads(text).keys() == {MARK}
    assert json.loads(text)[MARK].startswith("v1.k1.")
    assert one.open("data", name, text.encode()) == plain
    assert one.seal("data", name, plain) != text


@given(st.data())
def test_a_changed_byte_is_found(data: st.DataObject) -> None:
    one = sealing()
    raw = bytearray(one.seal("data", "send", b'{"card":"4111"}').encode())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    if not is_sealed(bytes(raw)):  # it is plain then, and shown as it lies there
        return
    try:
        opened = one.open("data", "send", bytes(raw))
    except CannotDecrypt:
        return
    # Base64 has spare bits at its end: another text, the same bytes.
    assert opened == b'{"card":"4111"}'
    assert place >= len(raw) - 3


@given(st.binary(max_size=300))
def test_nonsense_behind_the_mark_is_refused(body: bytes) -> None:
    with pytest.raises(CannotDecrypt):
        sealing().open("data", "send", b'{"$corral:enc":"' + body)


@pytest.mark.parametrize(
    "text",
    ["", "v1", "v1.k1", "v1.k1.", "v1.k1.AAAA", "v2.k1." + "A" * 60, "v1.k1." + "A" * 60 + ".x", "v1.k1.ÄÖ"],
)
def test_what_is_no_payload_of_ours_is_refused(text: str) -> None:
    with pytest.raises(CannotDecrypt):
        sealing().open("data", "send", json.dumps({MARK: text}, separators=(",", ":")).encode())


@pytest.mark.parametrize(
    "other",
    [
        lambda raw: sealing(prefix="other").open("data", "send", raw),
        lambda raw: sealing(queue="other").open("data", "send", raw),
        lambda raw: sealing().open("data", "other", raw),
        lambda raw: sealing().open("result", "send", raw),
        lambda raw: sealing().open("data", "send", raw, queue="other"),
        lambda raw: sealing(Keychain.parse(f"k1:{TWO}")).open("data", "send", raw),
    ],
)
def test_a_payload_opens_in_its_own_place_alone(other: Callable[[bytes], object]) -> None:
    raw = sealing().seal("data", "send", b"1").encode()
    with pytest.raises(CannotDecrypt, match="does not open"):
        other(raw)
    assert sealing().open("data", "send", raw) == b"1"


@given(
    st.lists(st.text(max_size=4), min_size=3, max_size=3),
    st.lists(st.text(max_size=4), min_size=3, max_size=3),
)
def test_no_two_places_are_one(one: list[str], other: list[str]) -> None:
    same = one == other
    a = bound_to(one[0], one[1], "data", one[2])
    assert (a == bound_to(other[0], other[1], "data", other[2])) == same


def test_an_unknown_key_is_named_and_asked_for_once_more() -> None:
    raw = sealing(Keychain.parse(f"k2:{TWO}")).seal("data", "send", b"1").encode()
    with pytest.raises(CannotDecrypt, match="key 'k2', which") as error:
        sealing().open("data", "send", raw)
    assert isinstance(error.value, Unrecoverable)
    rotated = Keychain.parse(f"k1:{ONE},k2:{TWO}")
    assert Sealing("bull", "q", KEYS, active=True, renew=lambda: rotated).open("data", "send", raw) == b"1"


def test_the_first_key_seals_and_all_open() -> None:
    old = sealing().seal("data", "send", b"1").encode()
    both = sealing(Keychain.parse(f"k2:{TWO},k1:{ONE}"))
    assert both.open("data", "send", old) == b"1"
    assert take_apart(both.seal("data", "send", b"1").encode()).key_id == "k2"


def test_who_only_looks_is_shown_what_lies_there() -> None:
    raw = sealing().seal("result", "7", b'{"a":1}').encode()
    stranger = sealing(Keychain({}), active=False)
    assert stranger.show("result", "7", raw) == raw
    assert stranger.shown("result", "7", json.loads(raw)) == json.loads(raw)
    assert sealing(active=False).value("result", "7", json.loads(raw)) == {"a": 1}
    for plain in (b"{}", b'{"$corral:enc2":"x"}', b"oops"):
        assert sealing().open("data", "send", plain) == plain
    for value in (1, None, [1], {"a": 1}, {MARK: "x", "more": 1}):
        assert sealing().value("data", "send", value) == value
