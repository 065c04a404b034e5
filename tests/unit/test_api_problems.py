"""Errors as problem JSON: every class has its status, fields have their paths, the unknown tells nothing."""

from __future__ import annotations

import inspect
from typing import Literal

import msgspec
import pydantic
import pytest

from corral import data, errors
from corral.api import problems
from corral.api.problems import FieldError, Problem, Refused


class Size(msgspec.Struct):
    width: int


class Picture(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    sizes: list[Size] = []
    kind: Literal["a", "b"] = "a"


class Model(pydantic.BaseModel):
    name: str
    sizes: list[int]


def invalid_data(data_type: object, raw: bytes) -> errors.InvalidData:
    with pytest.raises(errors.InvalidData) as caught:
        data.decoder(data_type)(raw)
    return caught.value


@pytest.mark.parametrize(
    ("error", "status", "slug"),
    [
        (errors.InvalidData(), 422, "invalid-data"),
        (errors.InvalidOptions(), 422, "invalid-options"),
        (errors.JobTooLarge(), 413, "job-too-large"),
        (errors.UnknownQueue(), 404, "unknown-queue"),
        (errors.UnknownJobName(), 422, "unknown-job-name"),
        (errors.IdempotencyConflict(), 409, "idempotency-conflict"),
        (errors.JobNotFound(), 404, "job-not-found"),
        (errors.JobFailed(), 409, "job-failed"),
        (errors.ResultTimeout(), 504, "result-timeout"),
        (errors.RedisUnavailable(), 503, "redis-unavailable"),
        (errors.LayoutUnsupported(), 503, "layout-unsupported"),
        (errors.InvalidInput(), 422, "invalid-input"),
    ],
)
def test_each_error_has_its_problem(error: errors.CorralError, status: int, slug: str) -> None:
    problem = problems.of(error)
    assert (problem.status, problem.slug, problem.detail) == (status, slug, str(error))
    assert ("Retry-After" in dict(problem.headers)) == (status == 503)


def test_every_class_of_the_tree_has_a_problem_and_the_inside_stays_inside() -> None:
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, errors.CorralError)]
    known = {c for c in classes if any(base in problems._KINDS for base in c.__mro__)}
    for cls in classes:
        error = (
            cls(1, "secret detail")
            if issubclass(cls, (errors.RetryAfter, errors.Snooze))
            else cls("secret detail")
        )
        problem = problems.of(error)
        assert (problem.slug == "internal-error") == (cls not in known)
        assert ("secret detail" in problem.detail) == (cls in known)


def test_an_unexpected_error_tells_nothing() -> None:
    problem = problems.of(ValueError("password=hunter2"))
    assert (problem.status, problem.slug) == (500, "internal-error")
    assert b"hunter2" not in problem.to_json()
    assert "X-Request-Id" in problem.detail


def test_the_json_of_a_problem() -> None:
    problem = Problem(422, "x-y", "Title", "Detail", (FieldError("$.a", "wrong"),), {"position": 3})
    assert msgspec.json.decode(problem.to_json()) == {
        "type": "urn:corral:problem:x-y",
        "title": "Title",
        "status": 422,
        "detail": "Detail",
        "errors": [{"path": "$.a", "detail": "wrong"}],
        "position": 3,
    }


def test_a_refusal_is_its_problem() -> None:
    problem = Problem(418, "teapot", "t", "d")
    assert problems.of(Refused(problem)) is problem


@pytest.mark.parametrize(
    ("raw", "path", "detail"),
    [
        (b'{"name": 7}', "$.name", "Expected `str`, got `int`"),
        (b"{}", "$.name", "This field is required."),
        (
            b'{"name": "a", "sizes": [{"width": 1}, {"width": "b"}]}',
            "$.sizes[1].width",
            "Expected `int`, got `str`",
        ),
        (b'{"name": "a", "sizes": [{}]}', "$.sizes[0].width", "This field is required."),
        (b'{"name": "a", "size": []}', "$.size", "No such field."),
        (b'{"name": "a", "a`b - at `$.c`": 1}', "$.a`b", "No such field."),
        (b"[]", "$", "Expected `object`, got `array`"),
        (b'{"name": "a", "kind": "private"}', "$.kind", "Invalid enum value"),
    ],
)
def test_the_wrong_field_has_its_path(raw: bytes, path: str, detail: str) -> None:
    problem = problems.of(invalid_data(Picture, raw))
    assert problem.status == 422
    assert problem.errors[0].path.startswith(path)
    assert problem.errors[0].detail == detail
    assert problem.errors[0].path in problem.detail


def test_pydantic_names_all_wrong_fields() -> None:
    problem = problems.of(invalid_data(Model, b'{"sizes": [1, "secret-value"]}'))
    assert [e.path for e in problem.errors] == ["$.name", "$.sizes[1]"]
    assert b"secret-value" not in problem.to_json()


def test_a_path_can_be_moved_to_where_the_data_sits() -> None:
    problem = problems.under(problems.of(invalid_data(Picture, b'{"name": 7}')), "$.jobs[3].data")
    assert problem.errors[0].path == "$.jobs[3].data.name"
    assert "$.jobs[3].data.name" in problem.detail


@pytest.mark.parametrize(
    ("raw", "position"),
    [
        (b'{"name": }', 9),
        (b'{"name": "a"} x', 15),
        (b'{"name": "a"', 12),
        (b"", 0),
        (b" \n", 0),
        (b'{"name": "\xff"}', None),
        (b'{"name": 01}', 10),
    ],
)
@pytest.mark.parametrize("data_type", [Picture, Model, object])
def test_what_is_not_json_is_a_400_with_the_position(
    data_type: object, raw: bytes, position: int | None
) -> None:
    problem = problems.invalid_data(invalid_data(data_type, raw), raw)
    assert (problem.status, problem.slug) == (400, "malformed-json")
    assert problem.extra.get("position") == position


def test_json_that_is_nested_too_deeply_is_refused_not_fatal() -> None:
    raw = b"[" * 100_000 + b"]" * 100_000
    assert problems.invalid_data(invalid_data(object, raw), raw).status == 400


def test_http_statuses_without_an_error_of_ours() -> None:
    problem = problems.http(405, "POST only", headers={"Allow": "POST"})
    assert (problem.slug, problem.title, problem.detail) == (
        "method-not-allowed",
        "Method Not Allowed",
        "POST only",
    )
    assert problem.headers == (("Allow", "POST"),)
    assert problems.http(404).detail == "Not Found"
    assert "traceback" not in problems.http(500, "traceback").detail
