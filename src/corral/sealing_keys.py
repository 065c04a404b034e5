"""The keys that this process seals and opens payloads with: from the settings, for all its queues.

They are read once, and again when something is sealed with a key that is not known, at most every
RENEW_SECONDS: a key that was added to the file behind CORRAL_ENCRYPTION_KEYS_FILE is found without a restart.
Emits: encryption_keys_not_read (error; error).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

from corral.environment import read_settings
from corral.errors import ConfigurationError
from corral.sealing import Keychain, Sealing

if TYPE_CHECKING:
    from corral.settings import Settings

log = structlog.get_logger(__name__)

RENEW_SECONDS = 5.0


class _Renewal:
    """The process's keys as they were last read; made anew where the setting has changed."""

    def __init__(self) -> None:
        self._setting: str | None = None
        self._keys = Keychain({})
        self._read_at = 0.0

    def of(self, settings: Settings) -> Keychain:
        setting = settings.encryption_keys.get_secret_value()
        if setting != self._setting:
            self._keys, self._setting = Keychain.parse(setting), setting
        return self._keys

    def again(self) -> Keychain:
        now = time.monotonic()
        if not self._read_at or now - self._read_at >= RENEW_SECONDS:
            self._read_at = now
            try:
                return self.of(read_settings())
            except ConfigurationError as error:
                log.error("encryption_keys_not_read", error=str(error))
        return self._keys


_renewal = _Renewal()


def sealing_of(queue: str, prefix: str, encrypt: bool | None) -> Sealing:
    """The sealing of a queue. `encrypt`: what it declares; None: CORRAL_ENCRYPT says so.

    Raises ConfigurationError for a queue that is to encrypt where there is no key.
    """
    settings = read_settings()
    keys = _renewal.of(settings)
    active = encrypt if encrypt is not None else bool({"all", queue} & set(settings.encrypt))
    if active and not keys:
        raise ConfigurationError(
            f"Queue {queue!r} is to encrypt what it stores, and CORRAL_ENCRYPTION_KEYS is empty. Set it to "
            "id:key, with the base64 of 32 random bytes (openssl rand -base64 32)."
        )
    return Sealing(prefix, queue, keys, active=active, renew=_renewal.again)
