from __future__ import annotations

import pytest

from corral.providers.sniff import UNKNOWN, sniff


@pytest.mark.parametrize(
    ("start", "media_type"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg"),
        (b"\xff\xd8\xff\xe1", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "image/png"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"GIF89a", "image/gif"),
        (b"GIF87a", "image/gif"),
        (b"II*\x00", "image/tiff"),
        (b"MM\x00*", "image/tiff"),
        (b"\x00\x00\x00\x20ftypavif", "image/avif"),
        (b"\x00\x00\x00\x18ftypheic", "image/heic"),
        (b"\x00\x00\x00\x18ftypmif1", "image/heif"),
        (b"\xff\x0a\x00", "image/jxl"),
        (b"%PDF-1.7", "application/pdf"),
        # Not pictures, whatever they are called
        (b"", UNKNOWN),
        (b"\xff\xd8", UNKNOWN),
        (b"RIFF\x10\x00\x00\x00WAVEfmt ", UNKNOWN),
        (b"\x00\x00\x00\x18ftypisom", UNKNOWN),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", UNKNOWN),
        (b"<!doctype html>", UNKNOWN),
        (b"PK\x03\x04", UNKNOWN),
        (b"MZ\x90\x00", UNKNOWN),
        (b"This is a text file.", UNKNOWN),
    ],
)
def test_the_first_bytes_decide(start: bytes, media_type: str) -> None:
    assert sniff(start) == media_type
