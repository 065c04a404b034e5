"""Typed data at both ends: the four kinds of types, wrong input named by path, and nothing leaked."""

from __future__ import annotations

import enum
import json
import math
import traceback
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NotRequired
from uuid import UUID

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

from corral.data import decode_json, decoder, encode
from corral.errors import ConfigurationError, InvalidData, InvalidInput

# The same job, declared in four ways


class StructPage(msgspec.Struct, rename="camel"):
    page_url: str
    widths: list[int] = []


class StructJob(msgspec.Struct, rename="camel", kw_only=True):
    user_id: str
    first_page: StructPage
    back_image_url: str | None = None


@dataclass
class DataclassPage:
    pageUrl: str  # noqa: N815  # the wire's name
    widths: list[int] = field(default_factory=list)


@dataclass
class DataclassJob:
    userId: str  # noqa: N815  # the wire's name
    firstPage: DataclassPage  # noqa: N815  # the wire's name
    backImageUrl: str | None = None  # noqa: N815  # the wire's name


class DictPage(TypedDict):
    pageUrl: str
    widths: NotRequired[list[int]]


class DictJob(TypedDict):
    userId: str
    firstPage: DictPage
    backImageUrl: NotRequired[str | None]


class ModelPage(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(alias_generator=to_camel, populate_by_name=True)
    page_url: str
    widths: list[int] = []


class ModelJob(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(alias_generator=to_camel, populate_by_name=True)
    user_id: str
    first_page: ModelPage
    back_image_url: str | None = None


WIRE = {
    "userId": "u-1",
    "firstPage": {"pageUrl": "https://example.com/", "widths": [1, 2]},
    "backImageUrl": None,
}
SAME = [
    StructJob(user_id="u-1", first_page=StructPage("https://example.com/", [1, 2])),
    DataclassJob("u-1", DataclassPage("https://example.com/", [1, 2])),
    DictJob(
        userId="u-1", firstPage=DictPage(pageUrl="https://example.com/", widths=[1, 2]), backImageUrl=None
    ),
    ModelJob(user_id="u-1", first_page=ModelPage(page_url="https://example.com/", widths=[1, 2])),
    WIRE,
]
TYPES = [StructJob, DataclassJob, DictJob, ModelJob, Any]
each_kind = pytest.mark.parametrize(
    ("data_type", "value"),
    list(zip(TYPES, SAME, strict=True)),
    ids=["struct", "dataclass", "typeddict", "pydantic", "plain"],
)
each_typed = pytest.mark.parametrize(
    "data_type", TYPES[:-1], ids=["struct", "dataclass", "typeddict", "pydantic"]
)


@each_kind
def test_every_kind_writes_the_same_json(data_type: Any, value: Any) -> None:
    assert json.loads(encode(value)) == WIRE


@each_kind
def test_every_kind_reads_what_it_wrote(data_type: Any, value: Any) -> None:
    read = decoder(data_type)(encode(value))
    assert read == value
    assert type(read) is type(value)


@each_kind
def test_fields_that_the_type_does_not_know_are_no_error(data_type: Any, value: Any) -> None:
    """A producer may be newer than its worker."""
    assert decoder(data_type)(json.dumps(WIRE | {"addedLater": 1}).encode()) is not None


@each_typed
@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"userId": 7}, "userId"),
        ({"firstPage": {"pageUrl": None}}, "firstPage.pageUrl"),
        ({"firstPage": {"pageUrl": "https://example.com/", "widths": [1, "x"]}}, "firstPage.widths[1]"),
        ({"firstPage": []}, "firstPage"),
    ],
)
def test_a_wrong_type_is_named_with_its_path(data_type: Any, wrong: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidData) as caught:
        decoder(data_type)(json.dumps(WIRE | wrong).encode())
    assert f"$.{path}" in str(caught.value)


@each_typed
@pytest.mark.parametrize("missing", ["userId", "firstPage"])
def test_a_missing_field_is_named(data_type: Any, missing: str) -> None:
    with pytest.raises(InvalidData, match=missing):
        decoder(data_type)(json.dumps({k: v for k, v in WIRE.items() if k != missing}).encode())


@each_kind
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"a":}',
        b"\xff",
        b'{"userId":"\xff"}',
        b'"\\ud800"',
        b"[" * 99_999,
        b"NaN",
        b"{} {}",
    ],
    ids=lambda raw: repr(raw[:12]),
)
def test_what_is_no_json_is_invalid_data(data_type: Any, value: Any, raw: bytes) -> None:
    with pytest.raises(InvalidData):
        decoder(data_type)(raw)


def test_invalid_data_is_a_fault_of_the_caller() -> None:
    assert issubclass(InvalidData, InvalidInput)


# Secrets

SECRET = "4111-1111-1111-1111"


def told(error: BaseException) -> str:
    """All that a log or a job's stack trace would say."""
    return "".join(traceback.format_exception(error))


class Card(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    number: int = 0
    owner: Annotated[str, pydantic.Field(max_length=3)] = ""
    born: datetime | None = None
    kind: Literal["debit", "credit"] = "debit"
    limits: dict[str, int] = {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"number": SECRET},
        {"owner": SECRET},
        {"born": SECRET},
        {"kind": SECRET},
        {"limits": {"a": SECRET}},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_pydantic_error_does_not_repeat_the_input(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidData) as caught:
        decoder(Card)(json.dumps(wrong).encode())
    assert SECRET not in told(caught.value)
    assert str(caught.value).startswith("Invalid data: ")


class Colour(enum.Enum):
    RED = "red"


class StructCard(msgspec.Struct):
    number: int = 0
    owner: Annotated[str, msgspec.Meta(max_length=3)] = ""
    born: datetime | None = None
    limits: dict[str, int] = {}
    kind: Literal["debit", "credit"] = "debit"
    colour: Colour = Colour.RED


@pytest.mark.parametrize("name", ["number", "owner", "born", "kind", "colour"])
def test_a_msgspec_error_does_not_repeat_the_input(name: str) -> None:
    with pytest.raises(InvalidData) as caught:
        decoder(StructCard)(json.dumps({name: SECRET}).encode())
    assert SECRET not in told(caught.value)


# Types inside types


@dataclass
class Album:
    cover: ModelPage
    pages: list[ModelPage]


@pytest.mark.parametrize(
    ("data_type", "value"),
    [
        (list[ModelPage], [ModelPage(page_url="https://example.com/")]),
        (ModelPage | None, ModelPage(page_url="https://example.com/")),
        (ModelPage | None, None),
        (dict[str, ModelPage], {"a": ModelPage(page_url="https://example.com/")}),
        (
            Album,
            Album(ModelPage(page_url="https://example.com/"), [ModelPage(page_url="https://example.com/2")]),
        ),
    ],
    ids=["list", "optional", "none", "dict", "dataclass"],
)
def test_models_may_stand_inside_other_types(data_type: Any, value: Any) -> None:
    read = decoder(data_type)(encode(value))
    assert read == value
    assert type(read) is type(value)


def test_a_wrong_model_inside_another_type_is_named_by_its_path_and_without_its_input() -> None:
    with pytest.raises(InvalidData) as caught:
        decoder(list[ModelPage])(json.dumps([{"pageUrl": [SECRET]}]).encode())
    assert SECRET not in told(caught.value)
    assert "pageUrl" in str(caught.value)


@pytest.mark.parametrize(
    ("data_type", "value"),
    [
        (int, 7),
        (str, "x"),
        (list[int], [1, 2]),
        (dict[str, float], {"a": 1.5}),
        (tuple[int, str], (1, "a")),
        (datetime, datetime(2026, 1, 2, tzinfo=UTC)),
        (UUID, UUID(int=7)),
        (int | None, None),
        (StructPage | None, StructPage("u")),
        (Colour, Colour.RED),
    ],
    ids=str,
)
def test_plain_types_with_a_type(data_type: Any, value: Any) -> None:
    assert decoder(data_type)(encode(value)) == value


class Anything:
    """No type that JSON can be read as."""


@pytest.mark.parametrize("data_type", [Anything, list[Anything], Anything | None], ids=str)
def test_a_type_that_json_cannot_be_read_as_is_refused_when_declared(data_type: Any) -> None:
    with pytest.raises(ConfigurationError, match="Anything"):
        decoder(data_type)


# Writing


@pytest.mark.parametrize(
    "value",
    [object(), {"a": object()}, lambda: 1, {None: 1}, "\ud800", {"\ud800": 1}, 1j],
    ids=["object", "inner object", "function", "None as a key", "surrogate", "surrogate as a key", "complex"],
)
def test_what_json_cannot_hold_is_invalid_data(value: Any) -> None:
    with pytest.raises(InvalidData):
        encode(value)


def test_an_endless_structure_is_invalid_data() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidData):
        encode(endless)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_does_not_know_become_null(number: float) -> None:
    assert encode({"n": number}) == b'{"n":null}'


class Reading(pydantic.BaseModel):
    value: float = 0


@pytest.mark.parametrize("raw", [b'{"value":NaN}', b'{"value":Infinity}', b'{"other":NaN}'])
def test_pydantic_reads_no_more_than_json(raw: bytes) -> None:
    """Its own reader takes NaN; stored as it came, it would be no JSON for a Node worker."""
    with pytest.raises(InvalidData):
        decoder(Reading)(raw)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(json_values)
def test_any_json_survives_the_round_trip(value: Any) -> None:
    raw = encode(value)
    assert decode_json(raw) == value
    assert json.loads(raw) == value
    assert decoder(Any)(raw) == value


class Marked(str):
    """As the strings that Django's templates make."""

    __slots__ = ()

    def __str__(self) -> str:
        return self


def test_a_kind_of_text_is_written_as_text() -> None:
    assert encode({"page": Marked("<h1>")}) == b'{"page":"<h1>"}'
