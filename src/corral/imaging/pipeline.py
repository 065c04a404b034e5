"""`render`: the whole way from a source file to its finished sizes. Bytes in, bytes out, no I/O.

MEMORY-FIGURES
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
    placements = [place(source.upright, size, enlarge=plan.enlarge) for size in plan.sizes]
    images: list[Rendered] = []
    room = plan.limits.output_bytes
    try:
        stages = Stages(source, placements)
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
