"""What a provider's answer means for the job that asked.

The worker knows no provider: it acts on the base classes from `corral.errors`.

| class | the worker |
|---|---|
| `ProviderRetryable` | counts a failed attempt and waits at least `seconds` |
| `ProviderPermanent` | dead letters at once |
| `ProviderAmbiguous` | counts a failed attempt; the handler reconciles before it sends again |
| `ProviderMisconfigured` | opens the provider's breaker and holds the job, no attempt spent |
| `ProviderHeld` | holds the job: the breaker is open, nothing was sent |

A reason names codes and fields, never a key, a document number or a name (see `redact`).
"""

from __future__ import annotations

from corral.errors import CorralError, Held, InvalidInput, RetryAfter, Unrecoverable

#: Seconds that a job rests where there is no worker to hold it (see `corral.errors.Held`).
MISCONFIGURED_SNOOZE = 60.0


class ProviderError(CorralError):
    """A provider did not do what it was asked."""

    def __init__(self, provider: str, reason: str, *, code: str = "") -> None:
        # Not super(): in the subclasses that is RetryAfter or Snooze, whose first argument is a time.
        CorralError.__init__(self, f"{provider}: {reason}")
        self.provider = provider
        self.reason = reason
        self.code = code
        """The provider's own word for it, if it had one."""


class ProviderRetryable(ProviderError, RetryAfter):
    """The provider cannot do it now. `seconds` is what it asked us to wait; 0 leaves it to the queue."""

    def __init__(self, provider: str, reason: str, *, code: str = "", after: float = 0.0) -> None:
        ProviderError.__init__(self, provider, reason, code=code)
        self.seconds = after


class ProviderPermanent(ProviderError, Unrecoverable):
    """The provider refuses this very request. Asking again cannot help."""


class ProviderAmbiguous(ProviderError):
    """The request was sent, no answer came; it may have been carried out. Reconcile before repeating."""


class ProviderMisconfigured(ProviderError, Held):
    """A key, an account or a setting is wrong, so no job of this provider can succeed until repaired."""

    def __init__(
        self, provider: str, reason: str, *, code: str = "", after: float = MISCONFIGURED_SNOOZE
    ) -> None:
        ProviderError.__init__(self, provider, reason, code=code)
        self.seconds = after
        self.breaker = provider
        self.opening = None
        self.last = False


class ProviderHeld(ProviderMisconfigured):
    """The provider's breaker is open, so nothing was sent. What the breaker opened for is the reason."""


class FetchRefused(ProviderPermanent):
    """The URL's answer is not what was asked for: gone, too large, or of another type."""

    def __init__(self, reason: str) -> None:
        super().__init__("fetch", reason)


class FetchBlocked(FetchRefused):
    """The URL leads to a place that Corral does not connect to. See CORRAL_FETCH_ALLOW."""


class WebhookRejected(InvalidInput):
    """The webhook's signature does not match its body, so nothing in it can be believed."""
