"""What a file is, told from its first bytes.

A server's Content-Type and a file's name are claims; the bytes decide. SVG and HTML are text, so they are
unknown here on purpose: neither is a photograph, and both can carry scripts.
"""

from __future__ import annotations

#: What an unknown file is called.
UNKNOWN = "application/octet-stream"

_PREFIXES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"\xff\x0a", "image/jxl"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "image/jxl"),
    (b"%PDF-", "application/pdf"),
)

_FTYP_BRANDS: dict[bytes, str] = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"hevc": "image/heic",
    b"mif1": "image/heif",
    b"msf1": "image/heif",
}


def sniff(content: bytes) -> str:
    """The media type of `content`, or `application/octet-stream`."""
    for prefix, media_type in _PREFIXES:
        if content.startswith(prefix):
            return media_type
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if content[4:8] == b"ftyp":
        return _FTYP_BRANDS.get(content[8:12], UNKNOWN)
    return UNKNOWN
