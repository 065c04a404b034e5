"""What to make of a picture: sizes, how each is fitted, and the limits that a source must keep.

Plain frozen values; nothing here imports the image library, so the process that only asks for
pictures never loads it. They travel to the rendering process as MessagePack.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from corral.errors import InvalidOptions

Format = Literal["webp", "jpeg", "png", "avif"]
Fit = Literal["cover", "contain"]
Crop = Literal["centre", "attention"]
PictureType = Literal["profile", "moment", "proof"]

#: The longest side that may be asked for, in pixels.
MAX_OUTPUT_SIDE = 4096
#: The same for AVIF, whose encoder takes 3 s and 500 MiB for 4096 x 4096 pixels at its fastest.
MAX_AVIF_SIDE = 2048
#: Sizes of one plan. Eight of the largest are 134 megapixels of encoding, some seconds of work.
MAX_SIZES = 8

#: From this quality on nothing is given away: full colour resolution, and the sharpest reduction.
FINE_QUALITY = 90

MEDIA_TYPES: dict[Format, str] = {
    "webp": "image/webp",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "avif": "image/avif",
}
EXTENSIONS: dict[Format, str] = {"webp": "webp", "jpeg": "jpg", "png": "png", "avif": "avif"}


@dataclass(frozen=True, slots=True)
class Size:
    """One picture to make.

    fit: "cover" fills width x height and crops what is over; "contain" keeps the whole picture within it.
    crop: where a cover crop looks: the "centre", or where "attention" goes (skin, edges, saturated colour).
    quality: 1 to 100 for webp, jpeg and avif; png is lossless and ignores it.
    enlarge: lets the result be larger than its source.
    """

    width: int
    height: int
    format: Format = "webp"
    fit: Fit = "contain"
    crop: Crop = "centre"
    quality: int = 80
    enlarge: bool = False

    def __post_init__(self) -> None:
        if not (1 <= self.width <= MAX_OUTPUT_SIDE and 1 <= self.height <= MAX_OUTPUT_SIDE):
            raise InvalidOptions(f"Size {self.width}x{self.height}: a side is 1 to {MAX_OUTPUT_SIDE} pixels.")
        if self.format == "avif" and max(self.width, self.height) > MAX_AVIF_SIDE:
            raise InvalidOptions(
                f"Size {self.width}x{self.height}: a side of an avif is at most {MAX_AVIF_SIDE} pixels."
            )
        if not 1 <= self.quality <= 100:
            raise InvalidOptions(f"Size quality={self.quality}: quality is 1 to 100.")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a source may ask of the machine. Checked on the header, before a pixel is decoded.

    pixels: width x height. side: pixels of one side. output_bytes: all encoded results together.
    """

    pixels: int = 50_000_000
    side: int = 30_000
    output_bytes: int = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Plan:
    """All sizes to make from one source."""

    sizes: tuple[Size, ...]
    limits: Limits = field(default=Limits())

    def __post_init__(self) -> None:
        if not 1 <= len(self.sizes) <= MAX_SIZES:
            raise InvalidOptions(f"A plan has 1 to {MAX_SIZES} sizes, this one {len(self.sizes)}.")

    @property
    def fine(self) -> bool:
        """Whether any size asks for FINE_QUALITY; all are made from the one decode."""
        return any(size.quality >= FINE_QUALITY for size in self.sizes)


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """The source as a viewer shows it: upright, in pixels, with the format found in its bytes."""

    width: int
    height: int
    format: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """One finished picture. Its sides can be smaller than asked for: see `corral.imaging.geometry`."""

    width: int
    height: int
    format: Format
    content: bytes


@dataclass(frozen=True, slots=True)
class Rendering:
    """The results of one plan, in the order of its sizes."""

    source: SourceInfo
    images: list[Rendered]


@dataclass(frozen=True, slots=True)
class Preset:
    """How a type of picture is treated."""

    fit: Fit
    crop: Crop
    quality: int


#: A profile picture is recognised at a glance, so it fills its frame around the face; a moment is shown
#: whole; a proof is read by people and machines, so its text must survive.
PRESETS: dict[PictureType, Preset] = {
    "profile": Preset(fit="cover", crop="attention", quality=80),
    "moment": Preset(fit="contain", crop="centre", quality=80),
    "proof": Preset(fit="contain", crop="centre", quality=92),
}


class Wanted(NamedTuple):
    """A size as a caller asks for it. fit: None leaves it to the type of picture."""

    width: int
    height: int
    format: Format
    fit: Fit | None = None
    enlarge: bool = False


def plan_for(picture: PictureType, sizes: Iterable[Wanted]) -> Plan:
    """The plan for these sizes of a type of picture. Raises InvalidOptions."""
    preset = PRESETS[picture]
    return Plan(
        tuple(
            Size(
                wanted.width,
                wanted.height,
                wanted.format,
                fit=wanted.fit or preset.fit,
                crop=preset.crop,
                quality=preset.quality,
                enlarge=wanted.enlarge,
            )
            for wanted in sizes
        )
    )
