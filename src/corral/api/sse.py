"""What all server-sent event streams have in common."""

from __future__ import annotations

#: Below the shortest idle time-out of common proxies and load balancers (30 s).
HEARTBEAT_SECONDS = 15.0

#: How long a browser waits before it comes back, in milliseconds.
RECONNECT_MS = 2_000

MEDIA_TYPE = "text/event-stream"

#: nginx holds answers back until they fill a buffer unless told not to.
HEADERS = {"X-Accel-Buffering": "no"}

#: The first bytes of a stream.
BEGINNING = b"retry: %d\n\n" % RECONNECT_MS

#: A comment, which keeps proxies from closing a quiet stream.
HEARTBEAT = b": still here\n\n"


def frame(name: str, data: bytes, event_id: str | None = None) -> bytes:
    """One event. data: JSON."""
    # A producer of custom events chooses their names; a line break would begin another field.
    plain = "".join(name.splitlines()) or "message"
    # JSON that a producer wrote may be on several lines. Breaks are between its parts, never within a text.
    data = data.replace(b"\r", b" ").replace(b"\n", b" ")
    head = b"" if event_id is None else b"id: %b\n" % event_id.encode()
    return head + b"event: %b\ndata: %b\n\n" % (plain.encode(), data)
