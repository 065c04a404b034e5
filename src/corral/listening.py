"""What to say when a port cannot be listened on."""

from __future__ import annotations

import errno

from corral.errors import ConfigurationError


def cannot_listen(host: str, port: int, error: OSError | OverflowError) -> ConfigurationError:
    """The error to raise for what `bind` raised: OverflowError is a port that no machine has."""
    if isinstance(error, OverflowError):
        return ConfigurationError(f"Port {port} does not exist: choose one from 1 to 65535 (0: a free one).")
    if error.errno == errno.EADDRINUSE:
        return ConfigurationError(
            f"Port {port} of {host} is taken by another program: end that, or choose another port "
            "(0: a free one)."
        )
    return ConfigurationError(f"Cannot listen on port {port} of {host}: {error.strerror}.")
