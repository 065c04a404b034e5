"""Typed data at both ends of a queue: from a handler's annotations to JSON and back.

msgspec reads and writes Structs, dataclasses, TypedDicts and plain JSON; Pydantic models are read and
written by Pydantic. What a type cannot read raises InvalidData with the path of the wrong field.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import msgspec
import pydantic

from corral.errors import ConfigurationError, InvalidData

Decode = Callable[[bytes], Any]

_NOT_SAID = (inspect.Parameter.empty, Any, object)


def _encode_other(value: Any) -> Any:
    if isinstance(value, pydantic.BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    raise TypeError(f"{type(value).__name__} is not JSON: use a Struct, a dataclass, a TypedDict or a model")


_encoder = msgspec.json.Encoder(enc_hook=_encode_other)


def encode(value: Any) -> bytes:
    """Any supported value as JSON. Raises InvalidData if it holds what JSON cannot."""
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidData(f"This cannot be written as JSON: {error}.") from error


def decoder(data_type: Any) -> Decode:
    """A function that reads JSON bytes as `data_type`, raising InvalidData. Make it once, call it often."""
    if data_type in _NOT_SAID:
        return decode_json
    if isinstance(data_type, type) and issubclass(data_type, pydantic.BaseModel):
        return _pydantic_decoder(data_type)
    try:
        decode = msgspec.json.Decoder(data_type).decode
    except TypeError:
        return _pydantic_decoder(data_type)

    def read(raw: bytes) -> Any:
        try:
            return decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidData(f"Invalid data: {error}.") from error

    return read


def decode_json(raw: bytes) -> Any:
    """Read JSON of no declared type. Raises InvalidData."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidData(f"Invalid JSON: {error}.") from error


def _pydantic_decoder(data_type: Any) -> Decode:
    try:
        validate = pydantic.TypeAdapter(data_type).validate_json
    except pydantic.PydanticSchemaGenerationError as error:
        raise ConfigurationError(f"{data_type!r} cannot be read from JSON. Declare a typed model.") from error

    def read(raw: bytes) -> Any:
        try:
            return validate(raw)
        except pydantic.ValidationError as error:
            # The input is left out on purpose: it may be personal, and reasons end up in logs and pages.
            first = error.errors(include_input=False, include_url=False)[0]
            path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in first["loc"])
            raise InvalidData(f"Invalid data: {first['msg']} - at `${path}`.") from error

    return read
