"""What a queue knows of a job name: its handler, the types of its data and result, and where it runs."""

from __future__ import annotations

import asyncio
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from corral.data import Decode, decoder
from corral.errors import ConfigurationError

Isolation = Literal["async", "thread"]


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


def define(name: str, handler: Callable[..., Any], local_names: Mapping[str, Any]) -> JobDefinition:
    """Read a handler's signature: `(job, data: DataType) -> ResultType`, or `(job) -> ResultType`.

    `local_names` resolves annotations of types that were declared inside a function.
    Raises ConfigurationError if the signature is another.
    """
    signature = inspect.signature(handler)
    parameters = list(signature.parameters.values())
    if not 1 <= len(parameters) <= 2:
        raise ConfigurationError(
            f"The handler of {name!r} takes {len(parameters)} parameters; declare it as (job, data)."
        )
    hints = _hints(name, handler, local_names)
    data_type = hints.get(parameters[1].name, Any) if len(parameters) == 2 else Any
    result_type = hints.get("return", Any)
    return JobDefinition(
        name=name,
        handler=handler,
        data_type=data_type,
        result_type=result_type,
        isolation="async" if asyncio.iscoroutinefunction(handler) else "thread",
        takes_data=len(parameters) == 2,
        decode_data=decoder(data_type),
        decode_result=decoder(Any if result_type is type(None) else result_type),
    )


def _hints(name: str, handler: Callable[..., Any], local_names: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(handler, localns=dict(local_names), include_extras=True)
    except NameError as error:
        raise ConfigurationError(
            f"The handler of {name!r} names a type that cannot be found: {error}. "
            "Import it outside TYPE_CHECKING."
        ) from error
