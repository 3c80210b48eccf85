"""What the gateway needs from outside, in one bundle."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.accounts import KeyContext
from libs.ledger.accept import Accepted, Hint, Submission
from libs.ledger.look import Question, Standing
from libs.ledger.timeline import Attempt


class Ledger(Protocol):
    """The gateway's hand on the request ledger. Everything raises LedgerAway."""

    async def accept(self, submission: Submission) -> Accepted:
        """Store it; returns after COMMIT. Raises ItemRefused. LedgerAway: perhaps stored."""
        ...

    async def look(self, question: Question) -> Standing | None:
        """Where a request stands."""
        ...

    async def find_final(self, questions: Sequence[Question]) -> set[str]:
        """The ids of those that are final; one statement, no bodies."""
        ...

    async def timeline(self, question: Question) -> list[Attempt] | None:
        """A request's attempts, first to last."""
        ...


class Hints(Protocol):
    """Tells executors that a row is ready."""

    def send(self, hint: Hint) -> None:
        """Returns at once. A hint that is lost costs seconds: the dispatcher sends it again."""
        ...


class Accounts(Protocol):
    """Knows whose an API key is."""

    async def resolve(self, digests: Sequence[str]) -> Mapping[str, KeyContext]:
        """Contexts by digest; an unknown or revoked one is absent. Raises AccountsAway."""
        ...


class LastContext(msgspec.Struct, frozen=True):
    """What accounts said about a key, and when it was asked."""

    context: KeyContext
    confirmed_at: datetime


class LastContexts(Protocol):
    """What accounts last said, for when it says nothing. Never raises: it may be away too."""

    async def find(self, digests: Sequence[str]) -> Mapping[str, LastContext]:
        """By digest; what is not there is absent."""
        ...

    def keep(self, contexts: Sequence[LastContext], *, gone: Sequence[str]) -> None:
        """Keep `contexts`, forget `gone`. Returns at once."""
        ...


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """All of them."""

    ledger: Ledger
    hints: Hints
    accounts: Accounts
    last_contexts: LastContexts
    clock: Clock
