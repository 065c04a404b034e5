"""`render`: the whole way from a source file to its finished sizes. Bytes in, bytes out, no I/O.

Memory is bounded by the limits of the plan. Measured for sources of 50 megapixels (8160 x 6120) by
`python -m bench.image_memory`, on top of the 60 MiB that the process itself has; left with four WebP sizes
from 1600 x 1200 down, right with the worst plan (eight sizes close to 4096 x 4096, attention crops):

| source | MiB | at worst |
|---|---|---|
| JPEG | 35 | 355 |
| JPEG, progressive, 4:4:4 | 305 | 445 |
| JPEG, progressive, CMYK | 410 | 600 |
| PNG, 8 bits | 60 | 360 |
| PNG, RGBA, 8 bits, interlaced | 275 | 760 |
| PNG, RGBA, 16 bits, interlaced | 480 | 755 |
| WebP, lossy / lossless with alpha | 70 / 250 | 490 / 770 |
| GIF | 255 | 370 |
| AVIF, 8 bits, 4:2:0 / 12 bits, 4:4:4, alpha | 730 / 1215 | 730 / 1215 |
"""

from __future__ import annotations

from corral.imaging.decode import open_source, rejected
from corral.imaging.encode import encode
from corral.imaging.errors import ImageRejected
from corral.imaging.geometry import place
from corral.imaging.plan import Plan, Rendered, Rendering
from corral.imaging.resize import Stages
from corral.imaging.vips import pyvips


def render(content: bytes, plan: Plan) -> Rendering:
    """Make all sizes of the plan from one decode. Raises ImageRejected."""
    source = open_source(content, plan.limits)
    placements = [place(source.upright, size) for size in plan.sizes]
    images: list[Rendered] = []
    room = plan.limits.output_bytes
    try:
        stages = Stages(source, placements, fine=plan.fine)
        for size, placement in zip(plan.sizes, placements, strict=True):
            encoded = encode(stages.cut(placement, size.crop), size.format, size.quality)
            room -= len(encoded)
            if room < 0:
                raise ImageRejected(
                    f"The results are over {plan.limits.output_bytes // 2**20} MiB together. "
                    "Ask for fewer or smaller sizes, or for webp or jpeg instead of png."
                )
            images.append(Rendered(placement.out.width, placement.out.height, size.format, encoded))
    except pyvips.Error as error:
        raise rejected(error, source.format) from None
    return Rendering(source.info, images)
