"""What the headers of an answer tell of a request."""

from typing import Final

from services.gateway.api.calls import Header
from services.gateway.use_cases.following import Reply

POLL_AFTER: Final[Header] = (b"retry-after", b"1")
"""Seconds: how soon asking again makes sense for a request that is under way."""

_REPLAYED: Final[Header] = (b"x-reqrun-replayed", b"true")


def about(reply: Reply) -> list[Header]:
    """Which request, where it stands, and where the time went."""
    standing = reply.standing
    headers = [
        (b"x-reqrun-request-id", standing.request_id.encode()),
        (b"x-reqrun-status", standing.state.value.encode()),
        (b"x-reqrun-attempts", b"%d" % standing.attempts),
        (b"server-timing", _timing(reply)),
    ]
    if reply.is_replayed:
        headers.append(_REPLAYED)
    if not standing.is_final:
        headers += [(b"location", b"/v1/requests/" + standing.request_id.encode()), POLL_AFTER]
    return headers


def _timing(reply: Reply) -> bytes:
    """Milliseconds, W3C Server Timing: how long storing took, and how long the wait."""
    return b"accept;dur=%.1f, wait;dur=%.1f" % (
        reply.accept_seconds * 1000,
        reply.wait_seconds * 1000,
    )
