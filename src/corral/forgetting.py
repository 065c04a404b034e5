"""What is left of a job's data once the job has ended and its queue forgets it (`policy.Forget`). Pure.

The kept fields stay byte for byte; beside them stands MARK, so that whoever looks at the job, here or in Bull
Board, sees why the rest is missing. Data that is no JSON object is forgotten whole.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

#: In the data of a job whose other fields were removed.
MARK = "corral:forgotten"

_Fields = dict[str, msgspec.Raw]
_read = msgspec.json.Decoder(_Fields)
_write = msgspec.json.Encoder()
_TRUE = msgspec.Raw(b"true")


def reduced(data: bytes | None, keep: Collection[str]) -> str:
    """The kept fields of `data` (JSON) and the mark."""
    fields = _fields(data)
    left = {name: fields[name] for name in keep if name in fields}
    return _write.encode({**left, MARK: _TRUE}).decode()


def is_reduced(data: bytes | None) -> bool:
    """Whether this was made by `reduced`."""
    # The quick look spares every other job's data a second decoding.
    return data is not None and MARK.encode() in data and MARK in _fields(data)


def same_as_far_as_kept(left: bytes, whole: bytes) -> bool:
    """Whether reduced data can be what is left of `whole`: the same kept fields with the same values."""
    kept, fields = _fields(left), _fields(whole)
    kept.pop(MARK, None)
    return all(
        name in fields and msgspec.json.decode(value) == msgspec.json.decode(fields[name])
        for name, value in kept.items()
    )


def _fields(data: bytes | None) -> _Fields:
    try:
        return _read.decode(data) if data else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
