"""What a queue knows of a job name: its handler, the types of its data and result, and where it runs."""

# ruff: noqa: PLC0415  # what adding a job does not need is imported where it is asked for (decision 7)

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from corral.data import Decode, decoder
from corral.errors import ConfigurationError
from corral.resources import Need, needs_of, read_hints

if TYPE_CHECKING:
    from corral.batch import Batch

Isolation = Literal["async", "thread", "process"]


@dataclass(frozen=True, slots=True)
class JobDefinition:
    name: str
    handler: Callable[..., Any]
    data_type: Any
    result_type: Any
    isolation: Isolation
    takes_data: bool
    decode_data: Decode
    decode_result: Decode
    #: Parameters after those two, which resources fill.
    needs: tuple[Need, ...] = ()
    batch: Batch | None = None
    #: How a worker calls the handler if there is something around it; see `worker/around.py`.
    call: Callable[..., Any] | None = None


def define(
    name: str,
    handler: Callable[..., Any],
    local_names: Mapping[str, Any],
    *,
    batch: Batch | None = None,
    isolation: Literal["process"] | None = None,
) -> JobDefinition:
    """Read a handler's signature: `(job, data: DataType) -> ResultType`, or `(job) -> ResultType`.

    Further parameters, and those that are keyword-only, are resources. With a `batch` the first two are
    lists, and so is the result.
    `local_names` resolves annotations of types that were declared inside a function.
    Raises ConfigurationError if the signature is another.
    """
    if isolation is not None and batch is not None:
        raise ConfigurationError(f"The handler of {name!r}: a batch runs in the worker's own process.")
    if isolation is not None:
        _check_importable(name, isolation, handler)
    function = _function_of(name, handler)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError(f"The handler of {name!r} yields; return its result instead.")
    title = f"The handler of {name!r}"
    parameters = list(inspect.signature(handler).parameters.values())
    own = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][:2]
    further = parameters[len(own) :]
    if not own or any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) or p.name == "data" for p in further):
        shown = ", ".join(map(str, parameters))
        raise ConfigurationError(f"{title} takes ({shown}); declare it as (job, data).")
    hints = read_hints(title, function, local_names)
    data_type = hints.get(own[1].name, Any) if len(own) == 2 else Any
    result_type = hints.get("return", Any)
    if batch is not None:
        from corral.batch import item_type, result_item_type

        data_type, result_type = item_type(title, data_type), result_item_type(title, result_type)
    return JobDefinition(
        name=name,
        handler=handler,
        data_type=data_type,
        result_type=result_type,
        isolation=isolation or ("async" if inspect.iscoroutinefunction(function) else "thread"),
        takes_data=len(own) == 2,
        decode_data=decoder(data_type),
        decode_result=decoder(Any if result_type is type(None) else result_type),
        needs=needs_of(title, handler, hints, skip=len(own)),
        batch=batch,
    )


def _function_of(name: str, handler: Any) -> Callable[..., Any]:
    """The function that says what the handler is: the handler itself, what a partial or an object calls."""
    if isinstance(handler, functools.partial):
        return _function_of(name, handler.func)
    if inspect.isroutine(handler):
        return handler
    if isinstance(handler, type) or not callable(handler):
        raise ConfigurationError(f"The handler of {name!r} is no function. Declare one as (job, data).")
    call: Callable[..., Any] = type(handler).__call__
    return call


def _check_importable(name: str, isolation: str, handler: Callable[..., Any]) -> None:
    """Another process finds a handler by module and name; what is inside a function has no such name."""
    if isolation != "process":
        raise ConfigurationError(f'isolation={isolation!r}: "process", or leave it out.')
    qualname = getattr(handler, "__qualname__", None)
    if not inspect.isfunction(handler) or qualname is None or "<" in qualname:  # <locals>, <lambda>
        raise ConfigurationError(
            f"The handler of {name!r} is to run in a process of its own, which cannot import "
            f"{qualname or type(handler).__name__!r}. Declare it as a function at the top of a module."
        )
