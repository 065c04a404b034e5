"""Payloads encrypted at rest: AES-256-GCM with rotating keys. What is sealed, and to what it is bound. Pure.

A sealed payload is JSON that any client can read and nobody else can open:
`{"$corral:enc":"v1.<key id>.<nonce and ciphertext in base64url>"}`. The nonce is random, 96 bits for each
payload: a key is good for 2³² of them, so rotate it before it has sealed some billions.

Bound (as associated data) is a payload to its prefix, its queue and its kind, so that none can be put in the
place of another; *data* further to the job's name, not to its id: Redis gives ids when a job is added, and a
schedule's data serves all its runs. Results, checkpoints and progress are bound to the job's id, signals to
their name. Sealing hides and protects a payload; it does not say who added a job: plain jobs, as Node adds
them, run as well.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from corral.errors import CannotDecrypt, ConfigurationError
from corral.extras import needs

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Kind = Literal["data", "result", "checkpoint", "progress", "signal"]

MARK = "$corral:enc"
START = f'{{"{MARK}":"'
START_BYTES = START.encode()

_VERSION = "v1"
_NONCE_BYTES, _TAG_BYTES, _KEY_BYTES = 12, 16, 32
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")

#: "+" and "/" have no place in base64url.
_STANDARD = bytes.maketrans(b"-_+/", b"+/!!")

_read = msgspec.json.Decoder(dict[str, Any]).decode


class Sealed(NamedTuple):
    """A sealed payload, taken apart."""

    key_id: str
    nonce: bytes
    ciphertext: bytes


class Keychain:
    """The keys of CORRAL_ENCRYPTION_KEYS: the first seals, all open."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._ciphers = {key_id: _cipher(key) for key_id, key in keys.items()}
        #: The key that seals; "" if there is none.
        self.current = next(iter(self._ciphers), "")

    @classmethod
    def parse(cls, setting: str) -> Keychain:
        """`id:base64key,…`. Raises ConfigurationError that names the entry, never the key."""
        keys: dict[str, bytes] = {}
        for number, entry in enumerate(filter(None, map(str.strip, setting.split(","))), 1):
            key_id, _, encoded = entry.partition(":")
            if not _KEY_ID.fullmatch(key_id):
                raise ConfigurationError(
                    f"CORRAL_ENCRYPTION_KEYS: entry {number} must be id:key; an id is 1 to 32 letters, "
                    "digits, '_' or '-'."
                )
            if key_id in keys:
                raise ConfigurationError(f"CORRAL_ENCRYPTION_KEYS: the id {key_id!r} is there twice.")
            keys[key_id] = _key(key_id, encoded)
        return cls(keys)

    @property
    def ids(self) -> tuple[str, ...]:
        """Of all keys; the first seals."""
        return tuple(self._ciphers)

    def __contains__(self, key_id: str) -> bool:
        return key_id in self._ciphers

    def __bool__(self) -> bool:
        return bool(self._ciphers)

    def __repr__(self) -> str:
        return f"Keychain({', '.join(self._ciphers)})"

    def seal(self, plain: bytes, bound: bytes) -> str:
        """A payload as it is stored. There must be a key."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._ciphers[self.current].encrypt(nonce, plain, bound)
        return f'{START}{_VERSION}.{self.current}.{base64.urlsafe_b64encode(sealed).decode().rstrip("=")}"}}'

    def open(self, sealed: Sealed, bound: bytes) -> bytes:
        """Raises CannotDecrypt."""
        cipher = self._ciphers.get(sealed.key_id)
        if cipher is None:
            raise CannotDecrypt(
                f"It is encrypted with key {sealed.key_id!r}, which CORRAL_ENCRYPTION_KEYS does not have "
                "here. Add that key and retry the job."
            )
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415  # see _cipher

        try:
            return cipher.decrypt(sealed.nonce, sealed.ciphertext, bound)
        except InvalidTag:
            raise CannotDecrypt(
                f"It is encrypted with key {sealed.key_id!r} and does not open: it was changed, it belongs "
                "to another prefix, queue or job, or another key has this id."
            ) from None

    def size(self, plain: int) -> int:
        """Bytes that a payload of so many takes when it is sealed."""
        raw = _NONCE_BYTES + plain + _TAG_BYTES
        return len(START) + len(_VERSION) + len(self.current) + 2 + -(-raw * 4 // 3) + 2


def is_sealed(raw: bytes | str | None) -> bool:
    return raw is not None and (
        raw.startswith(START_BYTES) if isinstance(raw, bytes) else raw.startswith(START)
    )


def take_apart(raw: bytes) -> Sealed:
    """Raises CannotDecrypt for what begins as a sealed payload and is none."""
    try:
        document = _read(raw)
        version, key_id, text = document[MARK].split(".")
        body = _unbase64(text)
        if version == _VERSION and len(document) == 1 and len(body) >= _NONCE_BYTES + _TAG_BYTES:
            return Sealed(key_id[:32], body[:_NONCE_BYTES], body[_NONCE_BYTES:])
    except (msgspec.DecodeError, KeyError, AttributeError, ValueError, RecursionError):
        pass
    raise CannotDecrypt("It is marked as encrypted and is not in the form that this version writes.")


def _unbase64(text: str) -> bytes:
    """base64url, strictly, which the standard library's own does not do."""
    standard = text.encode("ascii").translate(_STANDARD) + b"=" * (-len(text) % 4)
    return binascii.a2b_base64(standard, strict_mode=True)


def bound_to(prefix: str, queue: str, kind: Kind, name: str) -> bytes:
    """The associated data. Lengths stand before the texts: no two of them run together."""
    texts = [part.encode(errors="surrogatepass") for part in ("corral", _VERSION, prefix, queue, kind, name)]
    return b"".join(len(text).to_bytes(4, "big") + text for text in texts)


class Sealing:
    """The sealing of one queue. `active`: what the queue writes is sealed; what is sealed is opened anyhow.

    renew: the keys as they are now, asked for when a key is not known, for it may have been added since.
    """

    __slots__ = ("_bounds", "_keys", "_renew", "active", "prefix", "queue")

    def __init__(
        self, prefix: str, queue: str, keys: Keychain, *, active: bool, renew: Callable[[], Keychain]
    ) -> None:
        self.prefix = prefix
        self.queue = queue
        self.active = active
        self._keys = keys
        self._renew = renew
        #: Of data, by the job's name: names repeat.
        self._bounds: dict[str, bytes] = {}

    @property
    def keys(self) -> Keychain:
        return self._keys

    def seal(self, kind: Kind, name: str, plain: bytes) -> str:
        """name: the job's for data, its id for the others, the signal's."""
        return self._keys.seal(plain, self._bound(kind, name))

    def size(self, plain: int) -> int:
        """Bytes that data of so many takes in Redis."""
        return self._keys.size(plain) if self.active else plain

    def open(self, kind: Kind, name: str, raw: bytes, *, queue: str | None = None) -> bytes:
        """The payload; what is not sealed, as it is. `queue`: whose, if not this one's.

        Raises CannotDecrypt.
        """
        if not raw.startswith(START_BYTES):
            return raw
        sealed = take_apart(raw)
        if sealed.key_id not in self._keys:
            self._keys = self._renew()
        bound = self._bound(kind, name) if queue is None else bound_to(self.prefix, queue, kind, name)
        return self._keys.open(sealed, bound)

    def show(self, kind: Kind, name: str, raw: bytes, *, queue: str | None = None) -> bytes:
        """The same for who only looks: what cannot be opened is shown as it lies there."""
        try:
            return self.open(kind, name, raw, queue=queue)
        except CannotDecrypt:
            return raw

    def value(self, kind: Kind, name: str, value: Any, *, queue: str | None = None) -> Any:
        """`open` for JSON that was read already."""
        if not isinstance(value, dict) or value.keys() != {MARK}:
            return value
        return msgspec.json.decode(self.open(kind, name, msgspec.json.encode(value), queue=queue))

    def shown(self, kind: Kind, name: str, value: Any, *, queue: str | None = None) -> Any:
        """`show` for JSON that was read already."""
        try:
            return self.value(kind, name, value, queue=queue)
        except CannotDecrypt:
            return value

    def _bound(self, kind: Kind, name: str) -> bytes:
        if kind != "data":
            return bound_to(self.prefix, "" if kind == "signal" else self.queue, kind, name)
        known = self._bounds.get(name)
        if known is None:
            if len(self._bounds) >= 256:
                self._bounds.clear()
            known = self._bounds[name] = bound_to(self.prefix, self.queue, kind, name)
        return known


def _cipher(key: bytes) -> AESGCM:
    """Imported here: most programs encrypt nothing, and have not installed what does."""
    with needs("encryption", "CORRAL_ENCRYPTION_KEYS"):
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415  # as above
    return AESGCM(key)


def _key(key_id: str, encoded: str) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise ConfigurationError(
            f"CORRAL_ENCRYPTION_KEYS: key {key_id!r} must be the base64 of {_KEY_BYTES} random bytes "
            "(openssl rand -base64 32)."
        )
    return key
