"""Which signals a worker answers while it runs, and with what.

Only the main thread's loop may handle signals; elsewhere `stop` is called by the owner. SIGTERM and SIGINT
are taken in any case, the others only where nobody has taken them: a program that runs a worker beside other
things may use them for itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator

#: Absent on Windows.
QUIET: signal.Signals | None = getattr(signal, "SIGUSR1", None)
DRAIN: signal.Signals | None = getattr(signal, "SIGUSR2", None)


@contextlib.contextmanager
def answering_signals(
    *, stop: Callable[[], None], quiet: Callable[[], None], drain: Callable[[], None]
) -> Iterator[None]:
    """Answer them while the block runs."""
    loop = asyncio.get_running_loop()
    answers: list[tuple[signal.Signals, Callable[[], None]]] = [
        (signal.SIGTERM, stop),
        (signal.SIGINT, stop),
    ]
    for number, answer in ((QUIET, quiet), (DRAIN, drain)):
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            answers.append((number, answer))
    installed = []
    for number, answer in answers:
        with contextlib.suppress(RuntimeError, ValueError, NotImplementedError):
            loop.add_signal_handler(number, answer)
            installed.append(number)
    try:
        yield
    finally:
        for number in installed:
            loop.remove_signal_handler(number)
