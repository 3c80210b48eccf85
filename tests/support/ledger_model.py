"""The ledger as a dictionary: what each request was last seen as, and which moves are allowed.

It does not compute the times at which things happen; it holds the rows against the clock as it was
before and after a verb. What had come due before had to be taken, and nothing that was not due
after it.
"""

from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from libs.ledger.accept import Known, Refusal, Refused, Submission
from libs.ledger.claim import Claim
from libs.ledger.states import FINAL, UNLEASED, State, can_move

_SEEN: Final = """
SELECT r.id, r.project_id, r.account_id, r.mode, coalesce(f.state, l.state) AS state, l.fence,
    l.attempts, l.slot_at IS NOT NULL AS has_slot, l.not_before, l.due_at, l.deadline,
    l.lease_until, c.until AS cooled_until,
    CASE WHEN f.request_id IS NOT NULL THEN f::text END AS ending, b.content AS result,
    r.erased_at IS NOT NULL AS is_erased
FROM requests r
LEFT JOIN live l ON l.id = r.id
LEFT JOIN cooldowns c ON c.connection_id = l.connection_id AND c.model = l.model
LEFT JOIN results f ON f.request_id = r.id
LEFT JOIN bodies b ON b.request_id = r.id AND b.kind = 'result'
"""

# All that a verb compares with the clock or with another time. Moved back together they differ from
# the clock, and from each other, as if the clock had gone on: no statement knows any other time.
# Days of expiry stay: nothing that the machine does comes near to them.
_ADVANCE: Final = (
    """
    UPDATE live SET created_at = created_at - $1::interval, updated_at = updated_at - $1::interval,
        started_at = started_at - $1::interval, sent_at = sent_at - $1::interval,
        slot_at = slot_at - $1::interval, not_before = not_before - $1::interval,
        due_at = due_at - $1::interval, deadline = deadline - $1::interval,
        lease_until = lease_until - $1::interval
    """,
    "UPDATE cooldowns SET until = until - $1::interval",
)


async def advance(sql: Any, time: timedelta) -> None:
    """Let that much time go by."""
    for statement in _ADVANCE:
        await sql.execute(statement, time)


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it was last seen. Times are None once it is final; so are fence and attempts.

    `ending`: its whole row of results.
    """

    id: str
    project_id: str
    account_id: str
    mode: str
    state: State
    fence: int | None
    attempts: int | None
    has_slot: bool
    not_before: datetime | None
    due_at: datetime | None
    deadline: datetime | None
    lease_until: datetime | None
    cooled_until: datetime | None
    ending: str | None
    result: bytes | None
    is_erased: bool

    @property
    def is_open(self) -> bool:
        """Whether it is not final."""
        return self.state not in FINAL

    @property
    def waits(self) -> bool:
        """Whether it is open and in nobody's hands."""
        return self.state in UNLEASED


class Window(msgspec.Struct, frozen=True):
    """The database's clock just before and just after a verb."""

    before: datetime
    after: datetime


Rule = Callable[[Any, datetime, datetime], bool]
"""(request, due by this time, not past its deadline at this time)."""


def is_claimable(one: Any, due: datetime, alive: datetime) -> bool:
    """Whether a claim may take it."""
    is_hot = one.cooled_until is not None and one.cooled_until > due
    is_ready = one.waits and one.has_slot and one.not_before <= due
    return bool(is_ready and one.deadline > alive and not is_hot)


def is_due_again(one: Any, due: datetime, alive: datetime) -> bool:
    """Whether its hint has to be published again."""
    return bool(one.waits and one.has_slot and one.due_at <= due and one.deadline > alive)


def is_orphan(one: Any, due: datetime, _: datetime) -> bool:
    """Whether its lease has ended."""
    return bool(one.state is State.PROCESSING and one.lease_until <= due)


def is_late(one: Any, due: datetime, _: datetime) -> bool:
    """Whether its deadline has passed and nobody runs it."""
    return bool(one.waits and one.deadline <= due and one.due_at <= due)


class Model:
    """What is known of every request; `keys` lead to the submission that first used them."""

    def __init__(self) -> None:
        self.seen: dict[str, Seen] = {}
        self.keys: dict[tuple[str, str, str], Submission] = {}
        self.paused: set[str] = set()
        self.claims: set[tuple[str, int]] = set()

    def verdict(self, item: Submission) -> Known | Refused | None:
        """What accept has to say to it; None: accepted, and noted as such."""
        name = item.idempotency and (item.project_id, item.mode, item.idempotency.key)
        first = self.keys.get(name) if name else None
        if first is not None:
            if first.idempotency == item.idempotency:
                return Known(first.id)
            return Refused(Refusal.CONFLICT, first.id)
        if self._pending(item.account_id, item.mode) >= item.pending_limit:
            return Refused(Refusal.PENDING_LIMIT)
        if name:
            self.keys[name] = item
        self.seen[item.id] = _new(item)
        return None

    def holds(self, claim: Claim) -> bool:
        """Whether a finish of this claim must be taken: the fence is all that counts."""
        one = self.seen[claim.request_id]
        return one.is_open and one.fence == claim.fence

    def runs(self, claim: Claim) -> bool:
        """Whether the claim's lease is still its own."""
        return self.holds(claim) and self.seen[claim.request_id].state is State.PROCESSING

    def note_claims(self, claims: Iterable[Claim]) -> None:
        """A claim raises fence and attempts by one, and no fence is ever given twice."""
        for claim in claims:
            one = self.seen[claim.request_id]
            assert (claim.fence, claim.attempt) == ((one.fence or 0) + 1, (one.attempts or 0) + 1)
            assert (claim.request_id, claim.fence) not in self.claims
            self.claims.add((claim.request_id, claim.fence))

    def check_taken(self, taken: Collection[str], rule: Rule, window: Window) -> None:
        """Exactly what was due was taken."""
        for one in self.seen.values():
            if rule(one, window.before, window.after):
                assert one.id in taken, f"left behind: {one}"
            elif one.id in taken:
                assert rule(one, window.after, window.before), f"taken without right: {one}"

    async def look(self, sql: Any, may_change: Collection[str]) -> None:
        """See all requests anew: only those named changed, and only as the states allow."""
        rows = await sql.fetch(_SEEN)
        assert {row["id"] for row in rows} == self.seen.keys()
        for row in rows:
            now = msgspec.convert(dict(row), Seen)
            before = self.seen[now.id]
            _check_move(before, now)
            if (before.state, before.fence) != (now.state, now.fence):
                assert now.id in may_change, f"{before} became {now}"
            self.seen[now.id] = now

    def _pending(self, account_id: str, mode: str) -> int:
        mine = (s for s in self.seen.values() if (s.account_id, s.mode) == (account_id, mode))
        return sum(one.is_open for one in mine)


def _check_move(before: Seen, now: Seen) -> None:
    assert before.state is now.state or can_move(before.state, now.state), f"{before} became {now}"
    if not before.is_open:
        assert now.ending == before.ending
        assert now.result == before.result or now.is_erased
    elif now.is_open:
        assert (now.fence or 0) >= (before.fence or 0)


def _new(item: Submission) -> Seen:
    """Its times are not known before it is looked at."""
    return Seen(
        id=item.id,
        project_id=item.project_id,
        account_id=item.account_id,
        mode=item.mode,
        state=State.QUEUED,
        fence=0,
        attempts=0,
        has_slot=False,
        not_before=None,
        due_at=None,
        deadline=None,
        lease_until=None,
        cooled_until=None,
        ending=None,
        result=None,
        is_erased=False,
    )
