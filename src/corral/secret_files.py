"""Secrets from files: a secret setting NAME may also be given as NAME_FILE, the path of a file that holds it.

What container platforms mount as a secret, and what no process list or crash report shows. The file's text is
the value, without one line break at its end. Every `Settings.load()` reads the files anew, so a rotated
secret is there without a restart wherever settings are read again (breakers do that for their providers).

A file that is missing, unreadable, empty or too large, and a secret given both ways, is a ConfigurationError
that names the setting and the path; what is in the file is never repeated.

Emits: secret_file_readable_by_all (warning, once a path; setting, path).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Mapping
from pathlib import Path

import structlog

from corral.errors import ConfigurationError

log = structlog.get_logger(__name__)

SUFFIX = "_FILE"

#: Bytes. The largest secret is a service account or a list of webhooks; more is the wrong file.
MAX_FILE_BYTES = 262_144

_warned: set[str] = set()


def secrets_from_files(environ: Mapping[str, str | None], secrets: Collection[str]) -> dict[str, str]:
    """The secrets among `secrets` that `environ` gives by a file, by name. Raises ConfigurationError.

    environ: names in any case, as settings are read.
    """
    given = {name.upper(): value for name, value in environ.items() if value}
    found = {}
    for name in secrets:
        path = given.get(name + SUFFIX)
        if path is None:
            continue
        if name in given:
            raise ConfigurationError(f"{name} and {name}{SUFFIX} are both set. Keep one of them.")
        found[name] = read_secret(name + SUFFIX, path)
    return found


def read_secret(setting: str, path: str) -> str:
    """The text of the file that `setting` names. Raises ConfigurationError."""
    file = Path(path).expanduser()
    try:
        about = file.stat()
        if not stat.S_ISREG(about.st_mode):  # a pipe would have it once, and hold everyone who reads again
            raise ConfigurationError(f"{setting}: {path} is no regular file.")
        if about.st_size > MAX_FILE_BYTES:
            raise ConfigurationError(f"{setting}: {path} is over {MAX_FILE_BYTES:,} bytes. Is it the secret?")
        raw = file.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "it is no path"
        raise ConfigurationError(f"{setting}: {path} cannot be read ({why}).") from None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{setting}: {path} is not UTF-8 text.") from None
    text = text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")
    if not text:
        raise ConfigurationError(f"{setting}: {path} is empty. Unset {setting} if there is no secret.")
    if about.st_mode & stat.S_IROTH and path not in _warned:
        _warned.add(path)
        log.warning("secret_file_readable_by_all", setting=setting, path=path, advice="chmod o-r")
    return text
