"""A folder on this machine as the place for finished images.

Guarantees: a write is atomic (a reader sees the old file or the new one) and repeatable; no path leads out of
the folder, by `..`, an absolute path or a symbolic link.
Limits: the folder is not fsynced, so the last files may be lost with the machine; their jobs can be retried.

Options: CORRAL_DATA_DIR (the folder is `images` in it).
"""

from __future__ import annotations

import asyncio
import os
import secrets
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from corral.providers.errors import ProviderPermanent, ProviderRetryable


class FolderTarget:
    """Files under `root`, served by the API below `base_url`."""

    def __init__(self, root: Path, base_url: str) -> None:
        self.root = root
        self._base_url = base_url.rstrip("/")

    async def write(self, path: str, content: bytes, content_type: str = "") -> str:  # noqa: ARG002 - the protocol's
        """Store a file. Raises ProviderPermanent for a path that leads out, else ProviderRetryable."""
        try:
            await asyncio.to_thread(self._write, path, content)
        except OSError as error:
            raise ProviderRetryable(
                "folder", f"cannot write below {self.root.name}: {error.strerror}"
            ) from error
        return f"{self._base_url}/{quote(path)}"

    async def close(self) -> None:
        """Nothing: a folder has no connections."""

    def locate(self, path: str) -> Path:
        """The file of a relative path. Raises ProviderPermanent if it is not inside the folder."""
        pure = PurePosixPath(path)
        parts = path.split("/")
        if pure.is_absolute() or "\\" in path or "\0" in path or any(p in ("", ".", "..") for p in parts):
            raise ProviderPermanent("folder", "the path leads out of the folder")
        root = self.root.resolve()
        target = root.joinpath(*parts)
        # A symbolic link inside the folder may point outside of it.
        if not target.parent.resolve().is_relative_to(root):
            raise ProviderPermanent("folder", "the path leads out of the folder")
        return target

    def _write(self, path: str, content: bytes) -> None:
        target = self.locate(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        # In the same folder, because a rename is atomic only within one file system.
        draft = target.with_name(f".{secrets.token_hex(8)}.part")
        try:
            draft.write_bytes(content)
            os.replace(draft, target)  # noqa: PTH105 - Path.replace is the same call; this one says it is atomic
        finally:
            draft.unlink(missing_ok=True)
