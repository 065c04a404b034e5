"""Pictures: from an untrusted source file to finished sizes.

`render_in_pool` is what a job uses: it renders in a process of its own, so that a file which crashes
the decoder costs one job. Nothing imported here loads the image library into the calling process.
"""

from corral.imaging.errors import ImageRejected, RendererUnavailable, RenderTimeout
from corral.imaging.plan import Limits, Plan, Rendered, Rendering, Size, SourceInfo, plan_for
from corral.imaging.pool import RenderPool, render_in_pool

__all__ = [
    "ImageRejected",
    "Limits",
    "Plan",
    "RenderPool",
    "RenderTimeout",
    "Rendered",
    "RendererUnavailable",
    "Rendering",
    "Size",
    "SourceInfo",
    "plan_for",
    "render_in_pool",
]
