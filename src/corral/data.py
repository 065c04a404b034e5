"""Typed data at both ends of a queue: from a handler's annotations to JSON and back.

msgspec reads and writes Structs, dataclasses, TypedDicts and plain JSON; Pydantic models are read and
written by Pydantic. What a type cannot read raises InvalidData with the path of the wrong field.

Pydantic is not imported here: who has a model of it has imported it, and who has none need not wait for it.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from corral.errors import ConfigurationError, InvalidData

if TYPE_CHECKING:
    import pydantic

Decode = Callable[[bytes], Any]

_NOT_SAID = (inspect.Parameter.empty, Any, object)

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

#: The only messages of msgspec that repeat what was sent, which may be personal.
_ECHO = re.compile(r"(Invalid (?:enum )?value) .*?( - at `[^`]*`)?", re.DOTALL)


def _encode_other(value: Any) -> Any:
    if _is_model(type(value)):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, str):  # a subclass, as what Django's templates make; msgspec knows str itself alone
        return str.__str__(value)
    raise TypeError(f"{type(value).__name__} is not JSON: use a Struct, a dataclass, a TypedDict or a model")


_encoder = msgspec.json.Encoder(enc_hook=_encode_other)


def encode(value: Any) -> bytes:
    """Any supported value as JSON. Raises InvalidData if it holds what JSON cannot."""
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidData(f"This cannot be written as JSON: {error}.") from error


def decoder(data_type: Any) -> Decode:
    """A function that reads JSON bytes as `data_type`, raising InvalidData. Make it once, call it often.

    Neither the error nor its stack trace (hence `from None`) repeats the input: it may be personal.
    """
    if data_type in _NOT_SAID:
        return decode_json
    if isinstance(data_type, type) and _is_model(data_type):
        return _pydantic_decoder(data_type)
    try:
        msgspec.json.schema(data_type, schema_hook=_schema_of_model)  # finds what msgspec cannot read
        decode = msgspec.json.Decoder(data_type, dec_hook=_read_model).decode
    except TypeError:
        return _pydantic_decoder(data_type)

    def read(raw: bytes) -> Any:
        try:
            return decode(raw)
        except _UNREADABLE as error:
            raise InvalidData(f"Invalid data: {_without_input(error)}.") from None

    return read


def _without_input(error: Exception) -> str:
    echo = _ECHO.fullmatch(str(error))
    return "".join(filter(None, echo.groups())) if echo else str(error)


def decode_json(raw: bytes) -> Any:
    """Read JSON of no declared type. Raises InvalidData."""
    try:
        return msgspec.json.decode(raw)
    except _UNREADABLE as error:
        raise InvalidData(f"Invalid JSON: {error}.") from error


def _is_model(data_type: type) -> bool:
    loaded = sys.modules.get("pydantic")
    return loaded is not None and issubclass(data_type, loaded.BaseModel)


def _schema_of_model(data_type: type) -> dict[str, Any]:
    if _is_model(data_type):
        return {}
    raise NotImplementedError  # msgspec's word for a type that this hook does not know


def _read_model(data_type: type, value: Any) -> Any:
    """A model inside a type that msgspec reads; msgspec adds the path to what this raises."""
    import pydantic  # noqa: PLC0415  # see above

    try:
        return data_type.model_validate(value)  # type: ignore[attr-defined]  # no other type gets here
    except pydantic.ValidationError as error:
        raise ValueError(_first_error(error)) from None


def _pydantic_decoder(data_type: Any) -> Decode:
    import pydantic  # noqa: PLC0415  # see above

    try:
        validate = pydantic.TypeAdapter(data_type).validate_json
    except pydantic.PydanticSchemaGenerationError as error:
        raise ConfigurationError(f"{data_type!r} cannot be read from JSON. Declare a typed model.") from error

    def read(raw: bytes) -> Any:
        try:
            _skim(raw)  # Pydantic itself would take NaN and Infinity, which no other client can read
            return validate(raw)
        except pydantic.ValidationError as error:
            raise InvalidData(f"Invalid data: {_first_error(error)}.") from None
        except _UNREADABLE as error:
            raise InvalidData(f"Invalid JSON: {error}.") from None

    return read


_skim = msgspec.json.Decoder(msgspec.Raw).decode


def _first_error(error: pydantic.ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in first["loc"])
    return f"{first['msg']} - at `${path}`"
