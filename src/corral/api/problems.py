"""Every error that leaves the HTTP service, as problem JSON (RFC 9457).

`type` is `urn:corral:problem:<slug>`: stable, meant for programs. `detail` is for people and says what to do
next; `errors` lists wrong fields with their path (`$.data.userId`). Whatever is not known here becomes a
plain 500 that tells nothing of the inside. Pure: `app.py` and `enqueue.py` send what is decided here.

Limit: msgspec reports the first wrong field only, so `errors` mostly holds one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus

import msgspec
import pydantic

from corral import errors
from corral.errors import CorralError

MEDIA_TYPE = "application/problem+json"
URN = "urn:corral:problem:"

#: Seconds. Every request tries Redis anew, so coming back soon costs little.
RETRY_AFTER_SECONDS = 1


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: a JSONPath-like path from the body's root, and what is wrong there."""

    path: str
    detail: str


@dataclass(frozen=True, slots=True)
class Problem:
    """What the caller is told. `extra` are further members of the JSON object."""

    status: int
    slug: str
    title: str
    detail: str
    errors: tuple[FieldError, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> bytes:
        body: dict[str, object] = {
            "type": URN + self.slug,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = [{"path": e.path, "detail": e.detail} for e in self.errors]
        body.update(self.extra)
        return msgspec.json.encode(body)


class Refused(CorralError):
    """The HTTP service refuses a request; `problem` says how and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


#: Class → status and title. The slug is the class name in kebab case. Looked up along the MRO.
_KINDS: dict[type[CorralError], tuple[int, str]] = {
    errors.InvalidData: (422, "The job's data is not valid"),
    errors.InvalidOptions: (422, "A job option is not valid"),
    errors.JobTooLarge: (413, "The job is too large"),
    errors.GroupFull: (429, "The group is full"),
    errors.UnknownQueue: (404, "Unknown queue"),
    errors.UnknownWorker: (404, "Unknown worker"),
    errors.UnknownJobName: (422, "Unknown job name"),
    errors.IdempotencyConflict: (409, "The idempotency key was used for another request"),
    errors.ScheduleNotFound: (404, "Unknown schedule"),
    errors.ScheduleConflict: (409, "Others change this schedule"),
    errors.OperationNotFound: (404, "Unknown operation"),
    errors.DeadLetterNotFound: (404, "Unknown group or operation"),
    errors.UnknownKey: (404, "Unknown key"),
    errors.CannotDecrypt: (409, "The job's data cannot be decrypted here"),
    errors.InvalidInput: (422, "The request is not valid"),
    errors.JobNotFound: (404, "Unknown job"),
    errors.WrongState: (409, "Its state does not allow this"),
    errors.BelongsToSchedule: (409, "The job belongs to a schedule"),
    errors.JobFailed: (409, "The job has failed"),
    errors.CannotCancel: (409, "The job cannot be cancelled"),
    errors.ResultTimeout: (504, "The job did not finish in time"),
    errors.RedisUnavailable: (503, "Redis does not answer"),
    errors.LayoutUnsupported: (503, "The queue's layout is not supported"),
}

INTERNAL = Problem(
    500,
    "internal-error",
    "Internal error",
    "The service made a mistake; it is in its log under this answer's X-Request-Id.",
)


def of(error: BaseException) -> Problem:
    """The problem that tells the caller of `error`. Never raises; the unknown is an internal error."""
    if isinstance(error, Refused):
        return error.problem
    if isinstance(error, errors.InvalidData):
        return invalid_data(error)
    for cls in type(error).__mro__:
        if cls in _KINDS:
            status, title = _KINDS[cls]
            return Problem(
                status,
                slug(cls),
                title,
                str(error),
                headers=(("Retry-After", str(RETRY_AFTER_SECONDS)),) if status == 503 else (),
            )
    return INTERNAL


def slug(cls: type) -> str:
    """InvalidData → invalid-data."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()


def http(status: int, detail: str = "", *, headers: Mapping[str, str] | None = None) -> Problem:
    """The problem for a bare HTTP status, e.g. 404 or 405 from the router."""
    phrase = HTTPStatus(status).phrase
    if status >= 500:
        detail = INTERNAL.detail
    return Problem(
        status,
        re.sub(r"[^a-z]+", "-", phrase.lower()),
        phrase,
        detail or phrase,
        headers=tuple((headers or {}).items()),
    )


# Reading msgspec's messages. They are its documented interface: it offers the path nowhere else.

_AT = re.compile(r"(.*) - at `(\$[^`]*)`", re.DOTALL)
_MISSING = re.compile(r"missing required field `(?P<name>[^`]*)`")
_UNKNOWN = re.compile(r"contains unknown field `(?P<name>.*)`", re.DOTALL)
_BYTE = re.compile(r"\(byte (?P<byte>\d+)\)")


def field_error(message: str, *, known: Iterable[str] = (), prefix: str = "$") -> FieldError:
    """msgspec's message as path and text; the path of a missing or unknown field is the field's own.

    known: the names that the object may have; the nearest is suggested for an unknown one.
    prefix: where the decoded value sits in the body, e.g. `$.jobs[3].data`.
    """
    placed = _AT.fullmatch(message)
    what, path = placed.groups() if placed else (message, "$")
    if missing := _MISSING.search(what):
        path += "." + missing["name"]
        what = "This field is required."
    elif unknown := _UNKNOWN.search(what):
        name = unknown["name"][:100]
        path += "." + name
        near = difflib.get_close_matches(name, list(known), n=1)
        what = f"No such field. Did you mean `{near[0]}`?" if near else "No such field."
    return FieldError(prefix + path[1:], what)


def invalid_data(error: errors.InvalidData, body: bytes | None = None) -> Problem:
    """422 with the wrong fields; 400 where the data is not JSON at all.

    What the reader itself raised, of which InvalidData is the clean version, tells which of both it is.
    Its text is not repeated: it may quote the data.
    body: what was read, if the data was all of it.
    """
    status, title = _KINDS[errors.InvalidData]
    cause = error.__cause__ or error.__context__
    wrong: tuple[FieldError, ...] = ()
    if isinstance(cause, msgspec.ValidationError):
        wrong = (field_error(str(error).partition(": ")[2].removesuffix(".")),)
    elif isinstance(cause, (msgspec.DecodeError, UnicodeDecodeError, RecursionError)):
        return malformed(cause, body)
    elif isinstance(cause, pydantic.ValidationError):
        found = cause.errors(include_input=False, include_url=False, include_context=False)
        if found[0]["type"] == "json_invalid":
            return malformed(cause, body)
        wrong = tuple(FieldError(_path(e["loc"]), e["msg"]) for e in found)
    detail = _detail(wrong) if wrong else str(error)
    return Problem(status, slug(errors.InvalidData), title, detail, wrong)


def _path(location: Iterable[int | str]) -> str:
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)


def under(problem: Problem, prefix: str) -> Problem:
    """The same problem for a value that sits at `prefix` in the body."""
    if prefix == "$" or not problem.errors:
        return problem
    moved = tuple(FieldError(prefix + e.path[1:], e.detail) for e in problem.errors)
    return replace(problem, errors=moved, detail=_detail(moved))


def at(problem: Problem, path: str) -> Problem:
    """The same problem, blamed on one field."""
    return replace(problem, errors=(FieldError(path, problem.detail),))


def malformed(error: Exception, body: bytes | None = None) -> Problem:
    """400 for what is not JSON, with the byte position of the first offence where it is known.

    body: what was read, if `error` came from the start of it; a cut-off body is wrong at its end.
    """
    position: int | None = None
    if isinstance(error, UnicodeDecodeError):
        # msgspec counts from the start of the string, which nobody can see; `check_utf8` from the body's.
        position, detail = error.start if error.object == body else None, "It is not UTF-8"
    elif isinstance(error, pydantic.ValidationError):
        detail = str(error.errors(include_input=False, include_url=False)[0]["msg"])
    elif isinstance(error, RecursionError):
        detail = "It is nested too deeply to be read"
    elif match := _BYTE.search(str(error)):
        position, detail = int(match["byte"]), str(error)[: match.start()].strip()
    elif body is not None and not body.strip():
        position, detail = 0, "The body is empty"
    else:
        position, detail = None if body is None else len(body), "It ends before its JSON does"
    where = "" if position is None else f", at byte {position}"
    return Problem(
        400,
        "malformed-json",
        "Not JSON",
        f"{detail}{where}. Send one JSON object in UTF-8.",
        extra={} if position is None else {"position": position},
    )


def invalid(what: str, wrong: tuple[FieldError, ...]) -> Problem:
    """422 for JSON that is not the request which the route takes."""
    return Problem(422, "invalid-request", "The request is not valid", f"{what}. {_detail(wrong)}", wrong)


def _detail(wrong: tuple[FieldError, ...]) -> str:
    more = f" And {len(wrong) - 1} more: see `errors`." if len(wrong) > 1 else ""
    return f"{wrong[0].path}: {wrong[0].detail}{more}"
