"""The built-in queues, a file each: types, policy, handler. Copy one to start your own."""

from __future__ import annotations

import importlib

from corral.errors import UnknownQueue
from corral.extras import require, told
from corral.queue import Queue

#: Queue name to the module that declares it as `queue`. Imported when asked for: an image library has no
#: place in a process that only sends mail.
_MODULES = {
    "kyc-verification": "corral.queues.kyc_verification",
    "image-processing": "corral.queues.image_processing",
    "analytics": "corral.queues.analytics",
    "email": "corral.queues.email",
    "notification": "corral.queues.notification",
    "webhooks": "corral.queues.webhooks",
}

#: What the handlers of a queue need beyond what declares it.
_EXTRAS = {
    "kyc-verification": ("images",),
    "image-processing": ("images",),
    "email": ("mail",),
    "notification": ("push",),
}


def built_in(*names: str) -> dict[str, Queue]:
    """The named built-in queues, or all of them.

    Raises UnknownQueue, and ConfigurationError where the extra of one is not installed.
    """
    found: dict[str, Queue] = {}
    for name in names or _MODULES:
        if name not in _MODULES:
            raise UnknownQueue(
                f"{name!r} is not a built-in queue. There are: {', '.join(_MODULES)}. "
                "A worker for a queue of your own: corral worker package.module:name."
            )
        with told(f"The queue {name!r}"):
            found[name] = importlib.import_module(_MODULES[name]).queue
    return found


def worker_command(name: str) -> str:
    """What starts a worker for a queue. Where one is declared that is not built in, only its owner knows."""
    return f"corral worker --queues {name}" if name in _MODULES else "corral worker package.module:name"


def check_runnable(name: str) -> None:
    """Raise ConfigurationError if what the handlers of a built-in queue need is not installed."""
    for extra in _EXTRAS.get(name, ()):
        require(extra, f"The queue {name!r}")
