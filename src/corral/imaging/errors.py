"""What can go wrong between the bytes of a source picture and the finished sizes.

`ImageRejected` is about the picture and goes to the dead letters at once; the other two are about this
machine at this moment, so the job's retry policy applies.
"""

from __future__ import annotations

from corral.errors import CorralError, Unrecoverable


class ImageRejected(Unrecoverable):
    """The file is not a picture that Corral renders. Send a whole JPEG, PNG, WebP, GIF or AVIF file."""


class RenderTimeout(CorralError, TimeoutError):
    """Rendering took longer than its time limit and was stopped. Ask for fewer or smaller sizes."""


class RendererUnavailable(CorralError):
    """The rendering process could not start. `python -m corral.imaging.child` shows why."""
