"""Content: sealed before it goes into the ledger, opened when it comes out, for its owner alone."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from libs.common import logs
from libs.common.content import BodyKind, new_body_key
from libs.common.contracts.gateway import Ended
from libs.common.crypto import SealBroken
from libs.ledger.look import Standing
from libs.ledger.states import State
from libs.ledger.timeline import Attempt
from services.gateway.domain.errors import ContentUnreadable
from services.gateway.use_cases.callers import Caller

log = logs.get(__name__)

CONTENT_UNREADABLE: Final = "content_unreadable"
WAKE_UP_NOT_BELIEVED: Final = "wake_up_not_believed"


class Sealed(NamedTuple):
    """A body as it is stored, and the half of its key that is stored with it."""

    body: bytes
    body_key: bytes


def seal(caller: Caller, request_id: str, body: bytes) -> Sealed:
    """The body of a new request."""
    body_key = new_body_key()
    return Sealed(caller.data_key.of(request_id, body_key).seal(body, "request"), body_key)


def open_result(caller: Caller, standing: Standing) -> Standing:
    """`standing` with its result in plain, where it has one. Raises ContentUnreadable."""
    if standing.result is None or standing.body_key is None:
        return standing
    sealed = Sealed(standing.result, standing.body_key)
    plain = unseal(caller, standing.request_id, sealed, "result")
    return msgspec.structs.replace(standing, result=plain)


def open_told(caller: Caller, accepted: Standing, told: Ended) -> Standing | None:
    """`accepted` as completed with the told result; None where that does not open.

    Whoever sealed it has both halves of the key: it is the executor's, whoever told it.
    """
    if told.result is None or accepted.body_key is None:
        return None
    seal = caller.data_key.of(accepted.request_id, accepted.body_key)
    try:
        plain = seal.open(told.result, "result")
    except SealBroken:
        log.warning(WAKE_UP_NOT_BELIEVED, request_id=accepted.request_id)
        return None
    return msgspec.structs.replace(
        accepted, state=State.COMPLETED, attempts=told.attempts, result=plain
    )


def open_errors(caller: Caller, request_id: str, attempts: Sequence[Attempt]) -> list[Attempt]:
    """The attempts with the provider's error bodies in plain. Raises ContentUnreadable."""
    return [_open_error(caller, request_id, attempt) for attempt in attempts]


def unseal(
    caller: Caller, request_id: str, sealed: Sealed, kind: BodyKind, number: int = 0
) -> bytes:
    """One body in plain. Raises ContentUnreadable."""
    try:
        return caller.data_key.of(request_id, sealed.body_key).open(sealed.body, kind, number)
    except SealBroken:
        log.error(CONTENT_UNREADABLE, request_id=request_id, kind=kind)  # noqa: TRY400  # a trace says nothing more
        raise ContentUnreadable from None


def _open_error(caller: Caller, request_id: str, attempt: Attempt) -> Attempt:
    if attempt.provider_error is None or attempt.body_key is None:
        return attempt
    sealed = Sealed(attempt.provider_error, attempt.body_key)
    plain = unseal(caller, request_id, sealed, "provider_error", attempt.number)
    return msgspec.structs.replace(attempt, provider_error=plain)
