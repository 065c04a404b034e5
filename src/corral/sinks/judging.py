"""How analytics services judge a batch, where they have no rule of their own. Pure.

A refusal is about the events only if it says so (400, 413, 422): those are looked for one by one. Every other
refusal (401, 403, 404, a redirect) is about the key, the address or the account, and holds the jobs: a wrong
address must not send all events to the dead letters. Limit: what a service says besides its code may quote
the events, so it is left out of reasons and logs.
"""

from __future__ import annotations

from corral.providers.verdict import Answer, Kind, Verdict, by_status

_ABOUT_EVENTS = (400, 413, 422)


def about_batch(answer: Answer, code: str = "") -> Verdict:
    """The verdict on a batch; `code` is the service's own word for its refusal."""
    verdict = by_status(answer, code)
    if verdict.kind is Kind.PERMANENT and answer.status not in _ABOUT_EVENTS:
        return Verdict(Kind.MISCONFIGURED, verdict.code)
    return verdict
