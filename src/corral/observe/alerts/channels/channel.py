"""What a channel is, and its address as an operator's setting gives it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from corral.errors import ConfigurationError
from corral.observe.alerts.notice import Notice

if TYPE_CHECKING:
    from corral.providers.guarded import GuardedPoster

#: Seconds that sending one notice may take.
SEND_SECONDS = 10.0


class Channel(Protocol):
    """One place where alerts are told. Safe to use from many tasks."""

    #: As CORRAL_ALERT_TO has it.
    name: str

    async def send(self, notice: Notice) -> str:
        """Send one notice. Returns what was answered, in a word. Raises ProviderError."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


@runtime_checkable
class Reminded(Protocol):
    """A channel that forgets what is not said again (Alertmanager)."""

    name: str

    async def remind(self, firing: Sequence[Notice]) -> None:
        """Say what still fires. Raises ProviderError."""
        ...


def operators_poster(name: str, setting: str, url: str, fetch_allow: Sequence[str]) -> GuardedPoster:
    """A poster that goes to this URL. Raises ConfigurationError, without the URL: it may be a secret.

    An operator's own setting vouches for its host and port, so an Alertmanager inside the network needs no
    CORRAL_FETCH_ALLOW; the guard is there for addresses that strangers choose. Its other rules hold.
    """
    # An HTTP client, for those who have such a channel (decision 7).
    import httpx2  # noqa: PLC0415  # as above

    from corral.providers.addresses import Allowance  # noqa: PLC0415  # as above
    from corral.providers.errors import FetchRefused  # noqa: PLC0415  # as above
    from corral.providers.guarded import GuardedPoster  # noqa: PLC0415  # as above
    from corral.providers.urls import check_url  # noqa: PLC0415  # as above

    if not url:
        raise ConfigurationError(f"CORRAL_ALERT_TO names {name}, but {setting} is not set.")
    try:
        parsed = httpx2.URL(url)
        host = f"[{parsed.host}]" if ":" in parsed.host else parsed.host
        port = parsed.port or (443 if parsed.scheme == "https" else 80)
        allow = (*fetch_allow, f"{host}:{port}")
        check_url(url, Allowance.of(allow))
    except FetchRefused as error:
        raise ConfigurationError(f"{setting}: {error.reason}.") from None
    except (httpx2.InvalidURL, ValueError, UnicodeError):
        raise ConfigurationError(f"{setting} is not a URL.") from None
    return GuardedPoster(name, allow=allow)
