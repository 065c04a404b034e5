"""Loading and calling Lua: our own scripts, and BullMQ's from the installed `bullmq` package.

BullMQ's scripts are the contract for everything outside the hot path, so they are read from the
package as they are and never copied. `import bullmq` itself is avoided: its classes are not used.
A server that does not know a script (NOSCRIPT: it was restarted) is given it, and the call repeated.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corral.bullmq import redis_errors
from corral.errors import ConfigurationError

if TYPE_CHECKING:
    import redis
    import redis.asyncio as aioredis

Argument = str | bytes | int | float

#: Keys and arguments.
Call = tuple[list[str], list[Argument]]

_OURS = Path(__file__).with_name("lua")
_INCLUDE = re.compile(r"^--@include (\w+)$", re.MULTILINE)


class Script:
    """One Lua script and its SHA1."""

    __slots__ = ("name", "sha", "source")

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self.source = source
        # SHA1 is what EVALSHA speaks; it secures nothing here.
        self.sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, client: aioredis.Redis, keys: list[str], *args: Argument) -> Any:
        """Run it in one round trip; two when the server has to be given the script first."""
        try:
            return await client.evalsha(self.sha, len(keys), *keys, *args)
        except redis_errors.NoScriptError:
            return await client.eval(self.source, len(keys), *keys, *args)

    def run_sync(self, client: redis.Redis, keys: list[str], *args: Argument) -> Any:
        """The same for a blocking client, for the thread that keeps locks."""
        try:
            return client.evalsha(self.sha, len(keys), *keys, *args)
        except redis_errors.NoScriptError:
            return client.eval(self.source, len(keys), *keys, *args)

    def __repr__(self) -> str:
        return f"Script({self.name!r})"


async def run_all(client: aioredis.Redis, script: Script, calls: Sequence[Call]) -> list[Any]:
    """Run it with all these keys and arguments. One round trip; more where the server does not know it."""
    while True:
        pipe = client.pipeline(transaction=False)
        for keys, args in calls:
            pipe.evalsha(script.sha, len(keys), *keys, *args)
        replies = await pipe.execute(raise_on_error=False)
        errors = [reply for reply in replies if isinstance(reply, Exception)]
        if not errors:
            return list(replies)
        if not any(isinstance(error, redis_errors.NoScriptError) for error in errors):
            raise errors[0]
        await client.script_load(script.source)


@cache
def ours(name: str) -> Script:
    """A script of Corral's own, by file name without its ending.

    A line `--@include other` stands for the text of other.lua: Redis's Lua has no modules, and what several
    scripts share must run inside one call all the same.
    """
    return Script(name, _INCLUDE.sub(lambda line: _read(line[1]), _read(name)))


def _read(name: str) -> str:
    return (_OURS / f"{name}.lua").read_text("utf-8")


@cache
def official(name: str) -> Script:
    """A script of BullMQ, by command name (`moveToFinished`)."""
    found = sorted(_commands_folder().glob(f"{name}-*.lua"))
    if not found:
        from importlib import metadata  # noqa: PLC0415  # it loads much, and only a fault needs it

        version = metadata.version("bullmq")
        raise ConfigurationError(f"bullmq {version} has no script {name!r}. Install the version Corral pins.")
    return Script(found[0].stem, found[0].read_text("utf-8"))


@cache
def names_by_sha() -> dict[str, str]:
    """Corral's and BullMQ's scripts, as the server knows them."""
    own = [ours(file.stem) for file in _OURS.glob("*.lua")]
    theirs = [official(file.name.partition("-")[0]) for file in _commands_folder().glob("*-*.lua")]
    return {script.sha: script.name for script in (*theirs, *own)}


@cache
def _commands_folder() -> Path:
    spec = importlib.util.find_spec("bullmq")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError("The bullmq package is not installed. Run: pip install bullmq")
    return Path(spec.submodule_search_locations[0]) / "commands"
