"""Files that stand-ins keep in memory; the oldest make room."""

from __future__ import annotations

from dataclasses import dataclass

#: Bytes of all files of one stand-in.
MAX_ALL = 128 * 2**20


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as it came."""

    content: bytes
    media_type: str
    cache_control: str = ""

    def headers(self) -> dict[str, str]:
        """What is answered with its bytes."""
        headers = {"content-type": self.media_type, "x-content-type-options": "nosniff"}
        return headers | ({"cache-control": self.cache_control} if self.cache_control else {})


class Files:
    """Files by key."""

    def __init__(self, max_bytes: int = MAX_ALL) -> None:
        self._files: dict[str, StoredFile] = {}
        self._bytes = 0
        self._max_bytes = max_bytes

    def __len__(self) -> int:
        return len(self._files)

    def put(self, key: str, file: StoredFile) -> None:
        """Keep a file, in the place of an older one of this key."""
        self.remove(key)
        self._files[key] = file
        self._bytes += len(file.content)
        while self._bytes > self._max_bytes:
            self.remove(next(iter(self._files)))

    def get(self, key: str) -> StoredFile | None:
        """The file of a key."""
        return self._files.get(key)

    def remove(self, key: str) -> bool:
        """Forget a file; whether there was one."""
        file = self._files.pop(key, None)
        self._bytes -= len(file.content) if file else 0
        return file is not None
