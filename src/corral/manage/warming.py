"""What a dashboard does once before it listens, so that its first answer takes no longer than others.

The first look at all queues opens connections, gives the server its scripts, makes encoders, and reads the
last hour of every queue, of which later ones read what is new.
"""

from __future__ import annotations

import contextlib

from litestar import Litestar

from corral.api.lookup import answering
from corral.errors import CorralError
from corral.manage.overview import look_at_all
from corral.manage.service import Management

#: A start waits no longer for it; what was read by then is kept.
SECONDS = 1.0


async def warm_up(app: Litestar, management: Management) -> None:
    """Look at all queues, if Redis answers; whoever asks later is told if it does not."""
    with contextlib.suppress(CorralError):
        async with answering(SECONDS):
            await look_at_all(app, management)
