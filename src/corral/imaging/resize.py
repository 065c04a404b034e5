"""All sizes from one decode.

The source is read once, as a stream, and reduced to the largest stage (or, where two stages lie closer
than a factor of two, to a base that serves both); smaller stages come from larger ones. Pixels are
handled as stored and turned upright at the end of each size, when they are few.

Transparency: colours are multiplied by their alpha before a reduction and divided after it, so that
the invisible colour of transparent pixels does not bleed into edges.

In memory at once: the base or largest stage and the stages that others are made from, at one byte a
band; never more than the source's own pixels plus half of that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from corral.imaging.decode import Source, load
from corral.imaging.geometry import Placement, Sides, block_shrink, parents
from corral.imaging.plan import Crop
from corral.imaging.vips import pyvips


class Stages:
    """The reduced versions of a source that its sizes are cut from."""

    def __init__(self, source: Source, placements: Sequence[Placement], *, fine: bool) -> None:
        """Decode and reduce; `fine` as in `load`. Raises pyvips.Error for damaged data."""
        self._turned = source.is_turned
        tree = parents(placement.stage for placement in placements)
        largest = next(iter(tree))
        stream = load(source, largest, fine=fine)
        self._has_alpha = stream.hasalpha()
        if self._has_alpha:
            stream = stream.premultiply().rint().cast("uchar")
        self._images = self._reduce(stream, tree, largest)

    def _reduce(self, stream: Any, tree: Mapping[Sides, Sides | None], largest: Sides) -> dict[Sides, Any]:
        from_source = sum(parent is None for parent in tree.values())
        base = stream
        if from_source > 1:
            factor = block_shrink(Sides(stream.width, stream.height), largest)
            base = (stream.shrink(factor, factor) if factor > 1 else stream).copy_memory()
        images: dict[Sides, Any] = {}
        for stage, parent in tree.items():
            picture = _resized(base if parent is None else images[parent], self._as_stored(stage))
            # A stream can be read once, so its one stage is kept; so is what other stages are made from.
            keep = picture is not base and (from_source == 1 or stage in tree.values())
            images[stage] = picture.copy_memory() if keep or base is stream else picture
        return images

    def _as_stored(self, sides: Sides) -> Sides:
        return sides.turned() if self._turned else sides

    def cut(self, placement: Placement, crop: Crop) -> Any:
        """The finished pixels of one size: upright, cropped, sRGB (or grey), 8 bits."""
        picture = self._images[placement.stage].autorot()
        picture = _cropped(picture, placement.crop, crop, premultiplied=self._has_alpha)
        picture = _resized(picture, placement.out)
        if self._has_alpha:
            picture = picture.unpremultiply().rint().cast("uchar")
        return to_srgb(picture)


def _resized(image: Any, sides: Sides) -> Any:
    if (image.width, image.height) == sides:
        return image
    return image.resize(sides.width / image.width, vscale=sides.height / image.height, kernel="lanczos3")


def _cropped(image: Any, sides: Sides, crop: Crop, *, premultiplied: bool) -> Any:
    if (image.width, image.height) == sides:
        return image
    if crop == "attention":
        # Looks at the whole picture before it cuts, so it needs the pixels to stay.
        return image.copy_memory().smartcrop(
            sides.width, sides.height, interesting="attention", premultiplied=premultiplied
        )
    left, top = (image.width - sides.width) // 2, (image.height - sides.height) // 2
    return image.crop(left, top, sides.width, sides.height)


def to_srgb(image: Any) -> Any:
    """The same colours in sRGB. A picture without a profile is taken as sRGB (CMYK: as offset print)."""
    is_cmyk = image.interpretation == "cmyk"
    if is_cmyk or image.get_typeof("icc-profile-data"):
        try:
            return image.icc_transform(
                "srgb",
                embedded=True,
                input_profile="cmyk" if is_cmyk else "srgb",
                intent="relative",
                black_point_compensation=True,
            )
        except pyvips.Error:
            # A broken profile must not cost the picture: viewers ignore it too.
            image = image.copy()
            image.remove("icc-profile-data")
    return image if image.interpretation in {"srgb", "b-w"} else image.colourspace("srgb")
